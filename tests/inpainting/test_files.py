"""Scenes to files from Python: what is written, when it is current, resumed, and never replaced."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.frames import WINDOW, FieldPrior, known, picture, scene
from torch import Tensor

from medrestore.errors import InputError
from medrestore.files import preview_place, unfinished
from medrestore.inpainting.files import inpaint_scene
from medrestore.inpainting.job import Job
from medrestore.inpainting.outputs import damaged, is_done, read_record, table_place
from medrestore.inpainting.plan import Plan, Writing
from medrestore.inpainting.scene import fill_frames
from medrestore.io.frames.mha import MhaFrames
from medrestore.io.scenes.base import Scene
from medrestore.methods import DiffPIR

PLAN = Plan(steps=2, window=WINDOW)
JOB = Job(PLAN, FieldPrior(), {"sha256": "weights"})
HIDDEN = known((10, 20, 12, 12))


class StoppedPrior(FieldPrior):
    """Interrupts the program at one of its calls."""

    def __init__(self, after: int, error: BaseException | None = None) -> None:
        super().__init__()
        self.after, self.error = after, error or KeyboardInterrupt()

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        if len(self.calls) == self.after:
            raise self.error
        return super().__call__(x, sigma)


def film(count: int = 3, first: int = 0) -> Scene:
    return scene([picture(index) for index in range(first, first + count)], [HIDDEN] * count)


def write(out: Path, job: Job = JOB, given: Callable[[], Scene] = film) -> bool:
    return inpaint_scene(given, out, job, source=Path("frames"))


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["out", "out.mha"])
def test_what_is_written_is_what_the_loop_makes(tmp_path: Path, name: str) -> None:
    assert write(tmp_path / name)
    expected = [one.frame.permute(1, 2, 0).numpy() for one in fill_frames(film(), FieldPrior(), PLAN)]
    if name == "out.mha":
        with MhaFrames(tmp_path / name) as frames:
            made = list(frames)
    else:
        from medrestore.io.frames.pictures import read_picture

        made = [read_picture(tmp_path / name / f"{index:06d}.png") for index in range(3)]
    assert all((one == other).all() for one, other in zip(made, expected, strict=True))
    assert preview_place(tmp_path / name).is_file() and table_place(tmp_path / name).is_file()
    record = read_record(tmp_path / name)
    assert (
        record["config"]["steps"] == 2
        and record["method"] == "DDNMPlus(eta=0.85)"
        and record["prior_sha256"] == "weights"
    )
    assert len(record["frames"]["hidden"]) == 3 and record["input"]["name"] == "frames"


def test_an_output_is_current_for_its_own_plan_only(tmp_path: Path) -> None:
    """Whatever else a plan has, from Python as from the command line: the key is made of all of it."""
    out = tmp_path / "out.png"
    fingerprints: list[str] = []

    class Watched(Job):
        def key(self, fingerprint: str) -> str:
            fingerprints.append(fingerprint)
            return super().key(fingerprint)

    write(out, Watched(PLAN, FieldPrior(), JOB.about), lambda: film(1))
    assert is_done(out, JOB.key(fingerprints[0])) and not is_done(out, JOB.key("other frames"))
    others = (
        replace(PLAN, steps=3),
        replace(PLAN, method=DiffPIR()),
        replace(PLAN, options={"eta": 0.5}),
        replace(PLAN, grow=1),
    )
    assert not any(is_done(out, replace(JOB, plan=other).key(fingerprints[0])) for other in others)
    first = out.read_bytes()
    resumed = replace(JOB, writing=Writing(resume=True))
    assert not write(out, resumed, lambda: film(1)) and out.read_bytes() == first
    assert write(out, replace(resumed, plan=others[1]), lambda: film(1)) and out.read_bytes() != first
    table_place(out).unlink()
    assert not is_done(out, replace(JOB, plan=others[1]).key(fingerprints[0]))


@pytest.mark.parametrize("name", ["out", "out.mha", "out.png"])
def test_a_damaged_output_is_made_again(tmp_path: Path, name: str) -> None:
    out, resumed = tmp_path / name, replace(JOB, writing=Writing(resume=True))

    def given() -> Scene:
        return film(1)

    write(out, given=given)
    whole = content(tmp_path)
    assert not write(out, resumed, given) and damaged(out) == []
    for place in (out / "000000.png" if name == "out" else out, preview_place(out), table_place(out)):
        changed = bytearray(place.read_bytes())
        changed[len(changed) // 2] ^= 1
        place.write_bytes(changed)
        assert damaged(out) == [place.name]
        assert write(out, resumed, given) and content(tmp_path) == whole


def test_names_of_inputs_are_stored_as_far_as_asked(tmp_path: Path) -> None:
    source, given = tmp_path / "DOE^JANE" / "op.mha", replace(JOB, plan=replace(PLAN, prior="/patients/jane/priors/mine"))
    told = {}
    for names in (Writing(), Writing(keep_paths=True), Writing(anonymous=True)):
        out = tmp_path / f"{len(told)}"
        inpaint_scene(film, out, replace(given, writing=names), source=source)
        record = read_record(out)
        told[names] = [record["input"]["name"], record["config"]["prior"]]
        texts = b"".join(content(out).values()).decode(errors="replace")
        assert ("JANE" in texts) == names.keep_paths
        again = replace(given, writing=replace(names, resume=True))
        assert not inpaint_scene(film, out, again, source=source)
        if names == Writing():  # what tells less is made again
            again = replace(again, writing=Writing(resume=True, anonymous=True))
            assert inpaint_scene(film, out, again, source=source)
    assert list(told.values()) == [["op.mha", "mine"], [str(source), "/patients/jane/priors/mine"], ["omitted", "omitted"]]


def test_what_others_put_into_an_output_is_never_lost(tmp_path: Path) -> None:
    write(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("precious")
    before = content(tmp_path)
    for leave in (Writing(overwrite=True), Writing(resume=True)):
        with pytest.raises(InputError, match=r"out holds notes\.txt, which medrestore did not write"):
            write(tmp_path / "out", replace(JOB, writing=leave, plan=replace(PLAN, steps=3)))
        assert content(tmp_path) == before


@pytest.mark.parametrize("warm_start", [None, 1.0])
def test_a_stopped_run_is_resumed_to_the_same_bytes(tmp_path: Path, warm_start: float | None) -> None:
    job = replace(JOB, plan=replace(PLAN, warm_start=warm_start, temporal_fill=False))
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    write(tmp_path / "a" / "out", job)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "b" / "out", replace(job, prior=StoppedPrior(after=4)))
    assert unfinished(tmp_path / "b" / "out") and not (tmp_path / "b" / "out").exists()
    with pytest.raises(InputError, match="pass `resume` to go on where that stopped"):
        write(tmp_path / "b" / "out", job)
    again = FieldPrior()
    write(tmp_path / "b" / "out", replace(job, prior=again, writing=Writing(resume=True)))
    assert (
        content(tmp_path / "a") == content(tmp_path / "b") and 0 < len(again.calls) < 6 + 1
    )  # and one that is timed


def test_a_stopped_picture_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out.png", replace(JOB, prior=StoppedPrior(after=2)), lambda: film(1))
    assert not content(tmp_path)


def test_outputs_are_replaced_with_leave_only(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"out exists; pass `overwrite` to replace it, or another `out`"):
        write(out)
    assert content(tmp_path) == before
    assert (
        write(out, replace(JOB, writing=Writing(overwrite=True), plan=replace(PLAN, seed=1)))
        and content(tmp_path) != before
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for leave in (Writing(overwrite=True), Writing(resume=True)):
        with pytest.raises(InputError, match="no output of inpaint, so it is never replaced"):
            write(tmp_path / "mine", replace(JOB, writing=leave))


def test_one_picture_is_of_one_frame(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is one picture, and scene has 3 frames"):
        write(tmp_path / "out.png")
    assert not content(tmp_path)


class ChangedFilm:
    """Opens another film from the third time on."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self) -> Scene:
        self.opened += 1
        return film() if self.opened < 3 else film(first=1)


def test_a_scene_that_is_changed_while_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frames was changed while it was read; run again"):
        write(tmp_path / "out", given=ChangedFilm())
    assert not (tmp_path / "out").exists()


def test_frames_that_are_done_stay_when_a_later_one_fails(tmp_path: Path) -> None:
    job = replace(JOB, plan=replace(PLAN, temporal_fill=False))
    with pytest.raises(InputError, match="no more"):
        write(tmp_path / "out", replace(job, prior=StoppedPrior(after=4, error=InputError("no more"))))
    assert unfinished(tmp_path / "out") and not (tmp_path / "out").exists()
    again = FieldPrior()
    assert write(tmp_path / "out", replace(job, prior=again, writing=Writing(resume=True)))
    whole = FieldPrior()
    write(tmp_path / "whole", replace(job, prior=whole))
    assert len(again.calls) < len(whole.calls)


@pytest.mark.parametrize("name", ["out", "out.mha", "out.png"])
def test_a_run_that_fails_leaves_all_of_the_output_that_it_was_to_replace(tmp_path: Path, name: str) -> None:
    out, overwriting = tmp_path / name, Writing(overwrite=True)

    def given() -> Scene:
        return film(1)

    write(out, given=given)
    before = content(tmp_path)
    with pytest.raises(InputError, match="no more"):
        write(out, replace(JOB, writing=overwriting, prior=StoppedPrior(after=2, error=InputError("no more"))), given)
    assert content(tmp_path) == before and not damaged(out)
    other = replace(JOB, writing=overwriting, plan=replace(PLAN, grow=2))
    assert write(out, other, given) and not damaged(out)
    assert content(tmp_path).keys() == before.keys() and preview_place(out).read_bytes() != before[preview_place(out).name]


def test_the_picture_of_the_mask_can_be_looked_at_from_the_beginning(tmp_path: Path) -> None:
    out, seen = tmp_path / "out", list[bool]()

    class Looking(FieldPrior):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            seen.append(preview_place(out).is_file() and not out.exists() and not table_place(out).exists())
            return super().__call__(x, sigma)

    write(out, replace(JOB, prior=Looking()))
    assert seen[0] is False and all(seen[1:])  # the first call is timed before


def test_nothing_is_replaced_by_a_file_beside_that_is_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    before = content(out)
    table_place(out).unlink()
    table_place(out).mkdir()
    with pytest.raises(InputError, match=r"out\.frames\.csv exists"):
        write(out, replace(JOB, writing=Writing(overwrite=True), plan=replace(PLAN, seed=1)))
    assert content(out) == before


@pytest.mark.parametrize(("samples", "titles"), [(1, ["given", "restored"]), (2, ["given", "restored", "spread"])])
def test_whoever_looks_on_is_shown_each_frame(tmp_path: Path, samples: int, titles: list[str]) -> None:
    shown: list[tuple[int, Mapping[str, Tensor]]] = []
    job = replace(JOB, plan=replace(PLAN, samples=samples), show=lambda number, images: shown.append((number, images)))
    write(tmp_path / "out", job)
    assert [number for number, _ in shown] == [0, 1, 2] and list(shown[0][1]) == titles
    for index, images in shown:
        assert torch.equal(images["given"].permute(2, 0, 1), film().frame(index))
        assert torch.equal(images["restored"].permute(2, 0, 1)[:, HIDDEN], images["given"].permute(2, 0, 1)[:, HIDDEN])
        assert "spread" not in images or (images["spread"].shape == HIDDEN.shape and not images["spread"][HIDDEN].any())


def test_the_progress_of_one_frame_is_that_of_its_windows(tmp_path: Path) -> None:
    bars: list[int] = []
    steps: list[int] = []

    def progress(label: str, total: int) -> Callable[[], None]:
        bars.append(total)
        return lambda: steps.append(1)

    write(tmp_path / "one.png", replace(JOB, progress=progress), lambda: film(1))
    assert bars == [PLAN.steps] and len(steps) == PLAN.steps
