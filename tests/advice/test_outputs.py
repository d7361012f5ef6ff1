"""Advice on where an output goes, followed: another name, overwriting, going on, a name of another kind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from helpers.advice import advice, advised, follows, works
from helpers.checkpoints import FACES
from helpers.networks import save_rgb_prior
from helpers.scans import Bench, fastmri, kspace
from PIL import Image

from medrestore.evaluation.tables import write_rows
from medrestore.files import expanded, new_file, write_file
from medrestore.priors.convert import ddpm


def picture(path: Path, shape: tuple[int, ...] = (16, 24, 3), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(60, 200, shape).astype(np.uint8)).save(path)
    return path


def mask(path: Path, size: tuple[int, int] = (16, 24)) -> Path:
    hidden = np.zeros(size, np.uint8)
    hidden[4:8, 6:12] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(hidden).save(path)
    return path


@pytest.fixture
def pictured(bench: Bench) -> Bench:
    """A bench with a prior of pictures, a picture, a mask, a noisy picture and a checkpoint."""
    save_rgb_prior(bench / "rgb")
    picture(bench / "a.png"), mask(bench / "m.png")
    works(bench, "degrade", bench / "a.png", "--task", "denoise", "--noise-std", 9, "-o", bench / "noisy.png")
    state = {key: 0.05 * torch.randn(shape) for key, shape in ddpm.ddpm_layout(FACES).items()}
    torch.save(state, bench / "faces.pt")
    rows = [
        {
            "case": f"c{n}",
            "patient": f"p{n}",
            "slice": 0,
            "setting": "s",
            "accel": 4.0,
            "method": "DDS",
            "seed": 0,
            "calls": 2.0,
            "protocol": "fastmri-slice",
            "data_range": 1.0,
            "psnr": 30.0 + n,
            "nmse": 0.02,
        }
        for n in range(3)
    ]
    write_rows(bench / "t.csv", rows)
    return bench


LONG = ("recon", "inpaint", "restore")
COMMANDS: dict[str, tuple[str, tuple[str, ...], str]] = {  # words, and the end of a name for the output
    "recon": ("recon", ("scan.h5", "--prior", "PRIOR", "--steps", "2", "--maps-cache", "cache"), ".h5"),
    "degrade": ("degrade", ("a.png", "--task", "sr", "--factor", "2"), ".png"),
    "restore": ("restore", ("noisy.png", "--prior", "rgb", "--steps", "2"), ".png"),
    "inpaint": ("inpaint", ("a.png", "--mask", "m.png", "--mask-means", "hole", "--prior", "rgb", "--steps", "2"), ".png"),
    "generate": ("generate", ("--prior", "rgb", "--steps", "2", "--height", "8", "--width", "8"), ".png"),
    "compare": ("compare", ("t.csv", "t.csv"), ".md"),
    "convert": ("convert", ("faces.pt",), ""),
}


@follows(
    "`overwrite`",
    "--overwrite",
    "pass `overwrite` to replace",
    "or give another `out`",
    "or another -o",
    "allow overwriting",
    "or choose another output",
    "choose another output",
    "give another name",
    "give another place",
    "give another -o",
)
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in COMMANDS])
def test_what_exists_is_replaced_with_overwrite_or_left_under_another_name(
    name: str, pictured: Bench, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictured.folder)
    command, words, end = COMMANDS[name]
    given = [command, *(str(pictured.prior) if word == "PRIOR" else word for word in words)]
    works(pictured, *given, "-o", f"out{end}")
    option = advice(pictured, r"(--[a-z-]+)[^-]*(?:another|choose)", *given, "-o", f"out{end}")[1]
    works(pictured, *given, "-o", f"another{end}")
    works(pictured, *given, "-o", f"out{end}", option)


@follows("pass `resume` to do the rest", "`resume`", "--resume")
@pytest.mark.slow
def test_a_folder_begun_is_gone_on_with(bench: Bench) -> None:
    (bench / "scans").mkdir()
    for name in "ab":
        fastmri(bench / "scans" / f"{name}.h5", kspace()[0])
    words = (
        "recon",
        bench / "scans",
        "-o",
        bench / "images",
        "--prior",
        bench.prior,
        "--steps",
        2,
        "--maps-cache",
        bench / "cache",
        "--apart",
        "false",
    )
    works(bench, *words)
    for name in ("b.h5", "b.png"):
        (bench / "images" / name).unlink()
    option = advice(bench, "pass (--resume) to do the rest", *words)[1]
    assert "1 of 2 scans to do" in works(bench, *words, option)


def frames(bench: Bench, count: int = 2) -> tuple[Any, ...]:
    for index in range(count):
        picture(bench / "frames" / f"f{index}.png", seed=index), mask(bench / "masks" / f"f{index}.png")
    return (
        "inpaint",
        bench / "frames",
        "--mask",
        bench / "masks",
        "--mask-means",
        "hole",
        "--prior",
        bench / "rgb",
        "--steps",
        2,
    )


@follows("pass `resume` to go on where that stopped", "`overwrite` to begin again")
@pytest.mark.slow
def test_frames_begun_by_another_run(pictured: Bench) -> None:
    words = frames(pictured)
    works(pictured, *words, "-o", pictured / "filled")
    (pictured / "filled" / "f1.png").unlink()
    said = advice(pictured, "pass (--[a-z]+)", *words, "-o", pictured / "filled")[1]
    works(pictured, *words, "-o", pictured / "filled", said)


@follows(
    "give a folder",
    "name ending in .mha or .mkv",
    "name a new folder, or a file ending in .png",
    "give a name ending in .png",
    "a folder or a name ending in .png",
)
@pytest.mark.slow
def test_names_for_frames(pictured: Bench) -> None:
    words = frames(pictured)
    ends = advice(pictured, r"give a folder, or a name ending in (\.\w+) or (\.\w+)", *words, "-o", pictured / "one.png").groups()
    for name in ("folder", *(f"stack{end}" for end in ends)):
        works(pictured, *words, "-o", pictured / name)
    single = (
        "inpaint",
        pictured / "a.png",
        "--mask",
        pictured / "m.png",
        "--mask-means",
        "hole",
        "--prior",
        pictured / "rgb",
        "--steps",
        2,
    )
    end = advice(pictured, r"give a name ending in (\.png)", *single, "-o", pictured / "b.jpg")[1]
    works(pictured, *single, "-o", pictured / f"b{end}")
    ends = advice(pictured, r"ending in (\.png), (\.mha), (\.mkv) or (\.mp4)", *single, "-o", pictured / "b.xyz").groups()
    for end in ends:
        works(pictured, *single, "-o", pictured / f"c{end}")
    advice(pictured, "give -o, a folder or a name ending in .png, .mha, .mkv or .mp4", *single)


@follows(
    "name the output so",
    "name the output .tif",
    "name the output .tif or .npy",
    "name the output .npy or .tif",
    "take png or tif",
    "name one, such as restored",
    "give such a name",
    "a name ending in .png, .tif or .npy",
    "name the file to write",
)
def test_names_for_images(pictured: Bench, scan: Path) -> None:
    drawn = ("generate", "--prior", pictured / "rgb", "--steps", 2, "--height", 8, "--width", 8)
    for end in advice(pictured, r"written as (\.png), (\.tif) or (\.npy); name the output so", *drawn, "-o", "x.nii").groups():
        works(pictured, *drawn, "-o", pictured / f"x{end}")
    for end in advice(
        pictured, r"name the output (\.tif) or (\.npy)", *drawn, "--samples", 2, "-o", pictured / "x2.png"
    ).groups():
        works(pictured, *drawn, "--samples", 2, "-o", pictured / f"x2{end}")
    advice(pictured, "give -o, a name ending in .png, .tif or .npy", *drawn)
    coarse = ("degrade", pictured / "a.png", "--task", "sr", "--factor", 2)
    known = advice(pictured, r"written as (.*); name the output so", *coarse, "-o", pictured / "b.nii.gz")[1]
    for end in [one for one in known.replace(" or ", ", ").split(", ") if one]:
        works(pictured, *coarse, "-o", pictured / f"kind{end}")
    (pictured / "there").mkdir()
    name = advice(pictured, r"name one, such as (\S+)", *coarse, "-o", pictured / "there")[1]
    works(pictured, *coarse, "-o", pictured / "there" / name)
    with advised("name the file to write"), new_file(pictured / "there"):
        pass
    write_file(pictured / "there" / "file", b"text")


@follows("name the output .tif")
def test_values_that_png_cannot_hold(pictured: Bench) -> None:
    deep = np.random.default_rng(0).integers(0, 4000, (16, 24, 3)).astype(np.uint16)
    tifffile.imwrite(pictured / "deep.tif", deep)
    words = ("degrade", pictured / "deep.tif", "--task", "sr", "--factor", 2)
    end = advice(pictured, r"name the output (\.tif)", *words, "-o", pictured / "deep.png")[1]
    works(pictured, *words, "-o", pictured / f"coarse{end}")


@follows(
    "the output of one file is a file",
    "a folder of images needs a folder",
    "give -o, the folder of the study",
    "a folder of scans needs a folder",
)
def test_folders_for_folders(pictured: Bench) -> None:
    for index in range(2):
        picture(pictured / "many" / f"{index}.png")
    words = ("degrade", pictured / "many", "--task", "sr", "--factor", 2)
    advice(pictured, "a folder of images needs a folder for what is made of them", *words, "-o", pictured / "a.png")
    works(pictured, *words, "-o", pictured / "coarse")
    advice(pictured, "is the folder of the images, which are never replaced; give another -", *words, "-o", pictured / "many")


@follows("is the input itself, which is never replaced", "move that away", "move it to have a table")
def test_what_is_of_the_user_stays(pictured: Bench) -> None:
    words = ("degrade", pictured / "a.png", "--task", "sr", "--factor", 2)
    before = (pictured / "a.png").read_bytes()
    advice(
        pictured, "is the input itself, which is never replaced; give another", *words, "-o", pictured / "a.png", "--overwrite"
    )
    works(pictured, *words, "-o", pictured / "other.png")
    assert (pictured / "a.png").read_bytes() == before
    works(pictured, "convert", pictured / "faces.pt", "-o", pictured / "prior")
    (pictured / "prior" / "notes.txt").write_text("mine")
    again = ("convert", pictured / "faces.pt", "-o", pictured / "prior", "--overwrite")
    name = advice(pictured, r"holds (\S+), which medrestore did not write.*; move that away, or choose another", *again)[1]
    (pictured / "prior" / name).rename(pictured / name)
    works(pictured, *again)
    assert (pictured / "notes.txt").read_text() == "mine"


@follows("write the path in full")
def test_a_home_that_nobody_has(tmp_path: Path) -> None:
    with advised("write the path in full"):
        expanded("~nobody-of-this-name/x")
    assert expanded(str(tmp_path)) == tmp_path
