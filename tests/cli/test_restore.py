"""`medrestore restore` and `degrade` from files to files; 15 mistakes, one sentence each."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from helpers.networks import save_rgb_prior
from helpers.pictured import grey
from helpers.scans import Bench
from PIL import Image

from medrestore.cli.main import COMMANDS
from medrestore.images.plan import Plan
from medrestore.settings import plain


def png(path: Path, shape: tuple[int, ...] = (24, 32), seed: int = 0) -> Path:
    pixels = grey(seed, (shape[0], shape[1])).numpy()
    Image.fromarray(pixels if len(shape) == 2 else np.stack([pixels, pixels[::-1], 255 - pixels], -1)).save(
        path
    )
    return path


def done(bench: Bench, *words: Any) -> str:
    outcome = bench.call(*words)
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.out


def restored(bench: Bench, *words: Any) -> str:
    return done(bench, "restore", "--prior", bench.prior, "--steps", 2, *words)


@pytest.mark.parametrize(
    "words",
    [
        ("--task", "denoise", "--noise-std", 9),
        ("--task", "sr", "--factor", 2),
        ("--task", "sr", "--factor", 2, "--filter", "bicubic"),
        ("--task", "deblur", "--blur-std", "2,1", "--noise-std", 1),
        ("--task", "deblur", "--motion", "5,30"),
        ("--task", "deblur", "--kernel", "k.npy"),
        ("--task", "inpaint", "--mask", "m.png", "--mask-means", "hole"),
        ("--task", "cs", "--keep", 0.25),
        ("--task", "old-photo", "--factor", 2, "--keep", 0.9),
        ("--operators", "[{kind: gaussian, std: [1]}, {kind: pool, factor: 2}]"),
    ],
    ids=str,
)
def test_every_task_goes_there_and_back(
    bench: Bench, words: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`degrade`, then `restore` without a word on what was done."""
    monkeypatch.chdir(bench.folder)
    clean, mask = png(bench / "clean.png"), np.zeros((24, 32), np.uint8)
    mask[4:9, 5:12] = 255
    Image.fromarray(mask).save(bench / "m.png")
    np.save(bench / "k.npy", np.ones((3, 5)))
    done(bench, "degrade", clean, *words, "-o", "d.png")
    out = restored(bench, "d.png", "-o", "r.png", "--truth", clean)
    assert "restored" in out and np.asarray(Image.open(bench / "r.png")).shape == (24, 32)
    assert json.loads((bench / "r.png.json").read_text())["config"]["degradation"]["task"] == (
        words[1] if words[0] == "--task" else None
    )


def test_coefficients_of_compressed_sensing(bench: Bench) -> None:
    png(bench / "clean.png")
    done(
        bench,
        "degrade",
        bench / "clean.png",
        "--task",
        "cs",
        "--keep",
        0.5,
        "--pattern",
        "walsh-hadamard",
        "-o",
        bench / "d.npy",
    )
    restored(bench, bench / "d.npy", "-o", bench / "r.npy")
    assert np.load(bench / "r.npy").shape == (24, 32)


def test_moduli_of_a_transform(bench: Bench) -> None:
    png(bench / "clean.png")
    words = ("--task", "phase-retrieval", "-o")
    for name, says in (("d.png", "name the output .tif or .npy"), ("d.nii", "no place in the patient")):
        outcome = bench.call("degrade", bench / "clean.png", *words, bench / name)
        assert outcome.code == 2 and says in outcome.err
    done(bench, "degrade", bench / "clean.png", *words, bench / "d.npy")
    moduli = np.load(bench / "d.npy")
    assert moduli.shape == (48, 64) and moduli.dtype == np.float32 and moduli.min() >= 0
    expected = np.abs(np.fft.fft2(np.asarray(Image.open(bench / "clean.png"), np.float64), (48, 64), norm="ortho"))
    np.testing.assert_allclose(moduli, expected, rtol=1e-3, atol=1e-2)
    restored(bench, bench / "d.npy", "-o", bench / "r.npy")
    assert np.load(bench / "r.npy").shape == (24, 32)


def test_colour(bench: Bench, rgb_prior: Path) -> None:
    png(bench / "c.png", (24, 32, 3))
    done(bench, "degrade", bench / "c.png", "--task", "colorize", "-o", bench / "d.png")
    out = restored(bench, bench / "d.png", "--prior", rgb_prior, "-o", bench / "r.png")
    assert np.asarray(Image.open(bench / "r.png")).shape == (24, 32, 3) and "denoise" not in out
    restored(bench, bench / "c.png", "--task", "denoise", "-o", bench / "e.png", "--noise-std", 4)
    assert np.asarray(Image.open(bench / "e.png")).shape == (24, 32, 3)


def test_a_folder_fails_in_part(bench: Bench) -> None:
    (bench / "in").mkdir()
    png(bench / "in" / "a.png")
    (bench / "in" / "b.png").write_bytes(b"none")
    outcome = bench.call(
        "restore",
        "--prior",
        bench.prior,
        "--steps",
        2,
        "--task",
        "denoise",
        "--noise-std",
        5,
        bench / "in",
        "-o",
        bench / "out",
    )
    assert outcome.code == 1 and outcome.err.strip() == "medrestore restore: error: 1 images failed: b.png"
    assert (bench / "out" / "a.png").is_file()


def test_the_config_is_the_plan(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("task: sr\nfactor: 3\nmethod: dds\nsamples: 2\nslices: 1\n")
    plan = (
        COMMANDS["restore"].parse(["x.png", "--config", str(tmp_path / "p.yaml"), "--interval", "0,100"]).plan
    )
    assert (
        plan.degradation.factor == 3
        and plan.method == "dds"
        and plan.slices == (1, 2)
        and plan.interval == (0, 100)
    )
    assert plain(COMMANDS["restore"].parse(["x.png"]).plan) == plain(Plan())
    with pytest.raises(SystemExit):
        COMMANDS["restore"].parse(["--print_schema"])


def mistakes(bench: Bench) -> dict[str, tuple[list[Any], str]]:
    """Words for `restore` but for the output, and what is said."""
    fine = png(bench / "fine.png")
    rng = np.random.default_rng(0)
    Image.frombytes("CMYK", (8, 8), bytes(256)).save(bench / "cmyk.jpg")
    Image.fromarray(rng.integers(0, 255, (8, 8, 4)).astype(np.uint8)).save(bench / "alpha.png")
    tifffile.imwrite(bench / "nan.tif", np.full((16, 16), np.nan, np.float32))
    np.save(bench / "k.npy", np.ones((99, 99)))
    (bench / "cut.png").write_bytes(fine.read_bytes()[:60])
    (bench / "text.png").write_text("not a picture")
    header = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)).header
    header.set_data_shape((30000, 30000, 30))
    (bench / "huge.nii").write_bytes(bytes(header.binaryblock) + bytes(4))
    png(bench / "small.png", (8, 8))
    flat = bench / "flat.png"
    Image.fromarray(np.full((16, 16), 90, np.uint8)).save(flat)
    denoise = ["--task", "denoise", "--noise-std", "9"]
    return {
        "wrong mode": ([bench / "cmyk.jpg", *denoise], "CMYK"),
        "alpha": ([bench / "alpha.png", *denoise], "partly transparent"),
        "not finite": ([bench / "nan.tif", *denoise], "NaN"),
        "huge header": ([bench / "huge.nii", *denoise], "over the limit"),
        "kernel too large": ([fine, "--task", "deblur", "--kernel", bench / "k.npy"], "more than the image"),
        "no factor": ([fine, "--task", "sr"], "--factor is missing"),
        "class for a prior without": ([fine, *denoise, "--label", "3"], "without classes"),
        "cut off": ([bench / "cut.png", *denoise], "is damaged"),
        "no picture": ([bench / "text.png", *denoise], "no complete PNG"),
        "nothing said": ([fine], "give the --task"),
        "mask of another size": (
            [fine, "--task", "inpaint", "--mask", bench / "small.png", "--mask-means", "hole"],
            "grey levels",
        ),
        "meaning of the mask": (
            [fine, "--task", "inpaint", "--mask", bench / "small.png"],
            "--mask-means is missing",
        ),
        "exact method": ([fine, *denoise, "--method", "ddnm"], "takes data as free of noise"),
        "no noise": ([flat, "--task", "denoise"], "give its --noise-std"),
        "no such file": ([bench / "none.png", *denoise], "does not exist"),
        "another task's option": ([fine, *denoise, "--keep", "0.5"], "--keep says more of the --task cs"),
        "no such step": ([fine, "--operators", "[{kind: twirl}]"], "kind must be one of"),
        "levels": ([fine, *denoise, "--sigma-max", "0.0001"], "--sigma-max"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "wrong mode",
        "alpha",
        "not finite",
        "huge header",
        "kernel too large",
        "no factor",
        "class for a prior without",
        "cut off",
        "no picture",
        "nothing said",
        "mask of another size",
        "meaning of the mask",
        "exact method",
        "no noise",
        "no such file",
        "another task's option",
        "no such step",
        "levels",
    ],
)
def test_mistakes_are_told_in_one_sentence(bench: Bench, name: str) -> None:
    words, says = mistakes(bench)[name]
    before = bench.files()
    suffix = Path(str(words[0])).name.split(".", 1)[1].replace("jpg", "png")
    outcome = bench.call(
        "restore", "--prior", bench.prior, "--steps", 2, *words, "-o", bench / f"out.{suffix}"
    )
    assert outcome.code == 2 and outcome.err.count("\n") == 1, outcome
    assert outcome.err.startswith("medrestore restore: error: ") and says in outcome.err
    assert bench.files() == before


def test_a_prior_of_classes_needs_one(bench: Bench) -> None:
    prior = save_rgb_prior(bench / "classes", channels=1, names=("skin", "bone", "gut"))
    fine = png(bench / "fine.png")
    words = ("restore", "--prior", prior, "--steps", 2, fine, "--task", "denoise", "--noise-std", 30)
    outcome = bench.call(*words, "-o", bench / "x.png")
    assert outcome.code == 2 and "needs a --label, the class of the image; its classes are skin, bone, gut" in outcome.err
    outcome = bench.call(*words, "-o", bench / "x.png", "--label", "bones")
    assert outcome.code == 2 and "no class 'bones'" in outcome.err and "did you mean bone?" in outcome.err
    for label in ("skin", "gut"):
        done(bench, *words, "-o", bench / f"{label}.npy", "--label", label)
    a, b = (np.load(bench / f"{label}.npy") for label in ("skin", "gut"))
    assert (a != b).any()


def test_mistakes_with_outputs(bench: Bench) -> None:
    fine = png(bench / "fine.png")
    for out, says in (
        (fine, "the input itself"),
        (bench / "x.gif", "names no kind"),
        (bench / "x.nii", "can be written as"),
    ):
        outcome = bench.call(
            "restore", "--prior", bench.prior, fine, "--task", "denoise", "--noise-std", 9, "-o", out
        )
        assert outcome.code == 2 and says in outcome.err and outcome.err.count("\n") == 1
    assert bench.call("restore").code == 2 and bench.call("restore", fine).code == 2
