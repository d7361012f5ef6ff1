"""`medrestore inpaint` from files to files: every kind, known pixels bit by bit, resume to the same bytes, and refusals."""

import csv
import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.inpainted import (
    SIZE,
    dreaming,
    folder,
    frame,
    hole,
    inpaint,
    pair,
    picture,
    refused,
    restored,
    save,
    stack,
)
from helpers.scans import Bench

from medrestore.cli.main import COMMANDS
from medrestore.files import unfinished
from medrestore.inpainting import scene as inpainting_scene
from medrestore.inpainting.plan import Plan
from medrestore.io.frames.mha import Geometry, MhaWriter
from medrestore.io.frames.video import VideoWriter
from medrestore.io.scenes.open import open_frames
from medrestore.settings import plain

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "restore").glob("inpaint-*.yaml"))
REAL = Path(__file__).parents[3] / "shared" / "data" / "surgical"


@pytest.fixture
def bench(tmp_path, rgb_prior, capsys):
    return Bench(tmp_path, rgb_prior, capsys)


def test_one_picture(bench):
    save(bench / "a.png", frame(0)), save(bench / "m.png", hole())
    out = restored(bench, bench / "a.png", "--mask", bench / "m.png", "--mask-means", "hole", "-o", bench / "new" / "b.png")
    known = hole() == 0
    assert np.array_equal(picture(bench / "new/b.png")[known], frame(0)[known])
    assert not np.array_equal(picture(bench / "new/b.png"), frame(0))
    assert "1 frame of 40 x 24, 10.4% hidden (white means hole" in out
    preview = picture(bench / "new/b.png.preview.png")
    assert preview.shape == (SIZE[0], 2 * SIZE[1] + 4, 3)
    assert np.array_equal(preview[:, -SIZE[1] :], picture(bench / "new/b.png"))  # the result, beside what was hidden
    preview = preview[:, : SIZE[1]]
    assert np.array_equal(preview[known], frame(0)[known]) and (preview[10, 12] == (frame(0)[10, 12] + [255, 0, 0]) // 2).all()
    made = json.loads((bench / "new/b.png.json").read_text())
    assert made["mask_means"] == "hole" and made["input"]["frames"] == 1 and len(made["levels"]) == 3
    assert made["method"] == "DDNMPlus(eta=0.85)" and made["config"]["steps"] == 2 and made["seeds"] == [0]
    assert sorted(path.name for path in (bench / "new").iterdir()) == ["b.png", "b.png.frames.csv", "b.png.json",
                                                                      "b.png.preview.png"]


def test_polarity_is_what_was_said(bench):
    save(bench / "a.png", frame(0)), save(bench / "m.png", hole()), save(bench / "n.png", 255 - hole())
    restored(bench, bench / "a.png", "--mask", bench / "m.png", "--mask-means", "hole", "-o", bench / "hole.png")
    restored(bench, bench / "a.png", "--mask", bench / "n.png", "--mask-means", "keep", "-o", bench / "keep.png")
    assert (bench / "hole.png").read_bytes() == (bench / "keep.png").read_bytes()


def test_masks_grow(bench):
    """A rim of 3 pixels around the hole is painted over too, and said to be; what is further off is kept. Scores do not move."""
    save(bench / "a.png", frame(0)), save(bench / "m.png", hole())
    words = bench / "a.png", "--mask", bench / "m.png", "--mask-means", "hole", "--truth", bench / "a.png", "--feather", 0
    out = restored(bench, *words, "-o", bench / "b.png", "--grow", 3)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    away = np.hypot(np.maximum(np.maximum(6 - y, y - 15), 0), np.maximum(np.maximum(8 - x, x - 17), 0))
    assert np.array_equal(picture(bench / "b.png")[away > 3], frame(0)[away > 3])
    rim = (away > 0) & (away <= 3)
    assert (picture(bench / "b.png") != frame(0)).any(-1)[rim].mean() > 0.9
    assert f"{(away <= 3).mean():.1%} hidden (masks grown by 3 pixels, white means hole" in out
    made = json.loads((bench / "b.png.json").read_text())
    assert made["hole_fraction"] == pytest.approx((away <= 3).mean()) and made["config"]["grow"] == 3
    (row,) = csv.DictReader((bench / "b.png.frames.csv").read_text().splitlines())
    assert float(row["hole_fraction"]) == pytest.approx((away == 0).mean()) and int(row["known_changed"]) > 0.9 * rim.sum()
    refused(bench, *words, "-o", bench / "c.png", "--grow", 40, says="m.png, grown by 40 pixels, hides all of 1 of 1 frames")


def test_a_folder(bench):
    words = folder(bench, [hole(), np.zeros(SIZE, np.uint8), hole(20)])
    out = restored(bench, *words, "-o", bench / "out")
    for index, mask in enumerate((hole(), np.zeros(SIZE), hole(20))):
        made = picture(bench / "out" / f"f{index}.png")
        assert np.array_equal(made[mask == 0], frame(index)[mask == 0])
        assert np.array_equal(made, frame(index)) == (index == 1)
    assert "1 frames with nothing hidden pass through" in out and "change in the hole" in out
    rows = list(csv.DictReader((bench / "out.frames.csv").read_text().splitlines()))
    assert [row["frame"] for row in rows] == ["0", "1", "2"] and rows[2]["change"] and not rows[2]["psnr"]


@pytest.mark.parametrize("suffix", [".mha", ".mkv"])
def test_stacks_and_videos(bench, suffix):
    masks = [hole(4 + 8 * index) for index in range(3)]
    source, mask = stack(bench / "in.mha", [frame(i) for i in range(3)]), stack(bench / "masks.mha", masks)
    restored(bench, source, "--mask", mask, "--mask-means", "hole", "-o", bench / f"out{suffix}")
    with open_frames(bench / f"out{suffix}") as made:
        assert len(made) == 3
        for index, pixels in enumerate(made):
            assert np.array_equal(pixels[masks[index] == 0], frame(index)[masks[index] == 0])


def test_a_static_scene_is_seen_through_and_scored(bench):
    """What one frame hides the others show: all of it is data, and comes back exactly."""
    root = dreaming(bench / "set", "scene_0001", [hole(4), hole(24)], [frame(0)] * 2)
    out = restored(bench, root / "scene_0001", "--dataset", "dreaming", "-o", bench / "out")
    assert np.array_equal(picture(bench / "out/000.png"), frame(0)) and np.array_equal(picture(bench / "out/001.png"), frame(0))
    assert "100.0% of what was hidden was seen in other frames" in out and "hole alone         100.00" in out
    made = json.loads((bench / "out/provenance.json").read_text())
    assert made["frames"]["seen_elsewhere"] == [1.0, 1.0] and made["scores"]["flicker"] == 0
    out = restored(bench, root / "scene_0001", "--dataset", "dreaming", "-o", bench / "imagined", "--no-temporal-fill")
    assert not np.array_equal(picture(bench / "imagined/000.png"), frame(0))


def test_many_scenes_of_which_one_fails(bench):
    root = dreaming(bench / "set", "scene_0001", [hole()], [frame(0)])
    dreaming(root, "scene_0002", [np.zeros(SIZE, np.uint8)], [frame(1)])
    outcome = inpaint(bench, root, "--dataset", "dreaming", "-o", bench / "out")
    assert outcome.code == 1 and outcome.err == "medrestore inpaint: error: 1 of 2 scenes failed: scene_0002\n"
    assert sorted(path.name for path in (bench / "out").iterdir()) == ["scene_0001", "scene_0001.frames.csv",
                                                                      "scene_0001.preview.png", "summary.csv"]


def test_warm_start_takes_fewer_steps_after_the_first_frame(bench):
    words = folder(bench, [hole(), hole()])
    for name in ("f0", "f1"):
        save(bench / "frames" / f"{name}.png", frame(0))
    restored(bench, *words, "-o", bench / "cold", "--steps", 6)
    restored(bench, *words, "-o", bench / "warm", "--steps", 6, "--warm-start", 0.2)
    assert (bench / "cold/f0.png").read_bytes() == (bench / "warm/f0.png").read_bytes()
    cold = [picture(bench / "cold" / f"f{i}.png").astype(int) for i in (0, 1)]
    warm = [picture(bench / "warm" / f"f{i}.png").astype(int) for i in (0, 1)]
    assert np.array_equal(*cold)  # the same noise
    assert np.abs(warm[1] - warm[0]).mean() > 0
    made = json.loads((bench / "warm/provenance.json").read_text())
    assert made["warm_levels"][0] == 0.2 and len(made["warm_levels"]) < len(made["levels"])


KILLED = """
import os, signal, sys
from medrestore.cli.main import main
from medrestore.inpainting import scene as inpainting_scene
real, count = inpainting_scene.inpaint_frame, 0
def dying(*given, **options):
    global count
    count += 1
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **options)
inpainting_scene.inpaint_frame = dying
main(sys.argv[1:])
"""


def test_a_killed_run_resumes_to_the_same_bytes(bench):
    words = [*folder(bench, [hole(4 + 3 * index) for index in range(4)]), "--warm-start", 1, "--seed", 3]
    restored(bench, *words, "-o", bench / "whole")
    options = ["inpaint", "--prior", bench.prior, "--steps", 2, "--window", 16, *words, "-o", bench / "out"]
    died = subprocess.run([sys.executable, "-c", KILLED, *map(str, options)], capture_output=True, timeout=100,
                          env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert unfinished(bench / "out") and not (bench / "out").exists()
    (stage,) = bench.folder.glob(".out.*.part")
    assert sorted(path.name for path in stage.glob("*.png")) == ["000000.png", "000001.png"]
    restored(bench, *words, "-o", bench / "out", "--resume")
    for name in ("f0.png", "f1.png", "f2.png", "f3.png"):
        assert (bench / "out" / name).read_bytes() == (bench / "whole" / name).read_bytes()
    texts = [(bench / name / "provenance.json").read_text() for name in ("out", "whole")]
    assert texts[0].replace('"out.', '"whole.') == texts[1]
    assert (bench / "out.frames.csv").read_bytes() == (bench / "whole.frames.csv").read_bytes()
    assert not unfinished(bench / "out") and not list(bench.folder.glob(".out*"))
    before = bench.files()
    assert "is complete already" in restored(bench, *words, "-o", bench / "out", "--resume")
    assert bench.files() == before
    restored(bench, *words, "-o", bench / "out", "--resume", "--seed", 4)  # another plan made it
    assert bench.files() != before


def stopped(bench, monkeypatch, *words, after):
    """A run that Ctrl-C ends at a frame."""
    def interrupted(*given, **options):
        if next(calls) == after:
            raise KeyboardInterrupt
        return real(*given, **options)

    real, calls = inpainting_scene.inpaint_frame, count()
    with monkeypatch.context() as patch:
        patch.setattr(inpainting_scene, "inpaint_frame", interrupted)
        assert inpaint(bench, *words).code == 130


def test_stopped_runs_say_how_to_go_on(bench, monkeypatch):
    words = [*folder(bench, [hole()] * 2), "-o", bench / "out"]
    stopped(bench, monkeypatch, *words, after=1)
    refused(bench, *words, says="pass --resume to go on")
    restored(bench, *words, "--resume")
    words, before = pair(bench, hole())[:5], bench.files()
    stopped(bench, monkeypatch, *words, "-o", bench / "new.png", after=0)
    assert bench.files() == before  # one picture is not resumed, so nothing is kept
    restored(bench, *words, "-o", bench / "new.png")


def test_a_stopped_run_of_another_plan_does_not_pass_for_a_whole_one(bench, monkeypatch):
    """Nor does it touch anything of an output that it did not get to replace."""
    words = [*folder(bench, [hole()] * 2), "-o", bench / "out", "--resume"]
    restored(bench, *words)
    names = ("out/f0.png", "out/provenance.json", "out.preview.png", "out.frames.csv")
    whole = {name: (bench / name).read_bytes() for name in names}
    stopped(bench, monkeypatch, *words, "--grow", 2, after=1)
    assert {name: (bench / name).read_bytes() for name in names} == whole
    assert "is complete already" in restored(bench, *words)
    assert "is complete already" not in restored(bench, *words, "--grow", 2)
    assert (bench / "out.preview.png").read_bytes() != whole["out.preview.png"]


def test_a_config_is_the_same_as_its_flags(bench):
    words = pair(bench, hole())
    (bench / "plan.yaml").write_text("method: diffpir\nsteps: 3\ntemporal_fill: false\nwarm_start: '1'\n")
    restored(bench, *words[:5], "-o", bench / "one.png", "--config", bench / "plan.yaml", "--steps", 3)
    restored(bench, *words[:5], "-o", bench / "two.png", "--method", "diffpir", "--steps", 3, "--warm-start", 1,
             "--no-temporal-fill")
    assert (bench / "one.png").read_bytes() == (bench / "two.png").read_bytes()
    assert json.loads((bench / "one.png.json").read_text())["key"] == json.loads((bench / "two.png.json").read_text())["key"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_recipes_parse(path):
    given = yaml.safe_load(path.read_text())
    assert COMMANDS["inpaint"].parse(["frames", "--config", str(path)]).plan == Plan(**given)


def test_every_field_of_the_plan_is_an_option(bench, capsys):
    """The options, their defaults and the keys of a config are those of the plan; a printed config is that plan again."""
    with pytest.raises(SystemExit):
        COMMANDS["inpaint"].parse(["--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert {key: printed[key] for key in plain(Plan())} == plain(Plan())
    (bench / "plan.yaml").write_text(yaml.safe_dump(printed))
    assert COMMANDS["inpaint"].parse(["--config", str(bench / "plan.yaml")]).plan == Plan()


@pytest.mark.skipif(not REAL.exists(), reason="needs the laparoscopic frames")
def test_real_frames_are_paired(bench):
    """The first of four real frames, around its instrument, paired with its mask by its name."""
    for role in ("frame", "mask"):
        name = f"video01_000000_{role}.png"
        save(bench / f"{role}s" / name, picture(REAL / f"{role}s" / name)[0:60, 240:360])
    restored(bench, bench / "frames", "--mask", bench / "masks", "--mask-means", "hole", "-o", bench / "out")
    made, given = (picture(place / "video01_000000_frame.png") for place in (bench / "out", bench / "frames"))
    hidden = picture(bench / "masks" / "video01_000000_mask.png").reshape(60, 120, -1)[..., 0] > 127
    assert 0 < hidden.mean() < 0.5 and np.array_equal(made[~hidden], given[~hidden])


def test_the_surgical_demo_needs_its_prior(bench, monkeypatch):
    from medrestore import shipped

    monkeypatch.setattr(shipped, "priors", dict)
    outcome = bench.call("demo", "surgical", "-o", bench / "demo.png")
    assert outcome.code == 2 and "surgical-starter does not come with this copy" in outcome.err
    assert outcome.err.count("\n") == 1 and not (bench / "demo.png").exists()


def test_the_surgical_demo(bench, monkeypatch):
    from medrestore import shipped
    from medrestore.cli import demo

    monkeypatch.setattr(shipped, "priors", lambda: {"surgical-starter": bench.prior})
    monkeypatch.setattr(demo, "SIZE", (54, 96))
    monkeypatch.setattr(demo, "WINDOW", 32)
    outcome = bench.call("demo", "surgical", "--steps", 3, "-o", bench / "demo.png")
    assert (outcome.code, outcome.err) == (0, ""), outcome
    rows = {line[:16].strip(): line[16:].split() for line in outcome.out.splitlines() if line[:4] in ("obst", "smoo", "rest")}
    assert {name: row[-1] for name, row in rows.items()} == dict.fromkeys(("obstructed", "smooth fill", "restored"), "0")
    assert float(rows["restored"][0]) > float(rows["smooth fill"][0]) + 6  # dB, of what other frames show
    assert "is seen in other frames and taken from there" in outcome.out
    assert (bench / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_the_levels_of_a_mask_of_labels_are_asked_for(bench):
    """The refusal's own words lead on."""
    labels = hole()
    labels[6:9][labels[6:9] > 0], labels[9:12][labels[9:12] > 0] = 85, 170
    words = (save(bench / "a.png", frame(0)), "--mask", save(bench / "m.png", labels))
    refused(bench, *words, "--mask-means", "hole", "-o", bench / "o.png",
            says="--hole-values 85,170,255, or save it as 0 and 255")
    out = restored(bench, *words, "--hole-values", "85,170,255", "-o", bench / "o.png")
    assert "the levels 85, 170, 255 hide" in out
    changed = (picture(bench / "o.png") != frame(0)).any(-1)
    assert not changed[labels == 0].any() and all(changed[labels == level].mean() > 0.9 for level in (85, 170, 255))
    assert json.loads((bench / "o.png.json").read_text())["hole_values"] == [85, 170, 255]
    restored(bench, *words, "--hole-values", "1-255", "-o", bench / "p.png")
    assert (bench / "p.png").read_bytes() == (bench / "o.png").read_bytes()
    for wrong in ("85;170", "a", "1-", "-5"):
        refused(bench, *words, f"--hole-values={wrong}", "-o", bench / "q.png", says="--hole-values takes grey levels")
    refused(bench, *words, "--hole-values", "300", "-o", bench / "q.png", says="--hole-values")


def test_what_a_stack_knows_beside_its_pixels(bench):
    geometry = Geometry(3, {"ElementSpacing": "0.5 0.6 2", "Offset": "1 2 3", "TransformMatrix": "0 -1 0 1 0 0 0 0 1"})
    with MhaWriter(bench / "s.mha", size=SIZE, count=1, geometry=geometry) as writer:
        writer.put(frame(0))
    words = (bench / "s.mha", "--mask", save(bench / "m.png", hole()), "--mask-means", "hole")
    assert "carried over" not in restored(bench, *words, "-o", bench / "o.mha")
    with open_frames(bench / "o.mha") as made:
        assert geometry.fields.items() <= made.geometry.fields.items()
    assert "spacing, origin and orientation are not carried over" in restored(bench, *words, "-o", bench / "o.png")
    times = [Fraction(0), Fraction(1, 25), Fraction(2)]
    with VideoWriter(bench / "v.mkv", size=SIZE, fps=Fraction(25), times=times) as writer:
        for index in range(3):
            writer.put(frame(index))
    words = (bench / "v.mkv", *words[1:])
    assert "not evenly spaced in time" in restored(bench, *words, "-o", bench / "folder")
    assert "not evenly spaced" not in restored(bench, *words, "-o", bench / "w.mkv")
    with open_frames(bench / "w.mkv") as made:
        assert made.times == tuple(times)
