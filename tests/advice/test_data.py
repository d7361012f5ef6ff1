"""Advice on files of data, followed: saved as the sentence says, named, left out or joined, they are read."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from helpers.advice import advised, follows
from helpers.networks import save_rgb_prior
from PIL import Image

from medrestore import priors
from medrestore.datasets.sources import images
from medrestore.evaluation.statistics import cells
from medrestore.evaluation.tables import read_rows, write_rows
from medrestore.files import files_in, globbed, text_of
from medrestore.io import open_volume, read_npz
from medrestore.io.frames.base import decode_picture
from medrestore.io.frames.pictures import read_picture
from medrestore.io.guards import open_npy
from medrestore.io.images.open import open_images
from medrestore.metrics import psnr, ssim
from medrestore.priors import latent
from medrestore.settings import build
from medrestore.settings.documents import read_yaml
from medrestore.settings.plain import override
from medrestore.training.config import Optim

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 255, (16, 24, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]
VOLUME = RNG.random((6, 7, 5)).astype(np.float32)


def saved(pixels: np.ndarray, name: str, mode: str | None = None) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        picture = Image.fromarray(pixels)
        (picture if mode is None else picture.convert(mode)).save(folder / name)
        return folder / name

    return save


def stored(values: np.ndarray, name: str) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        writers = {
            ".npy": np.save,
            ".tif": tifffile.imwrite,
            ".npz": lambda path, array: np.savez(path, x=array),
            ".gz": lambda path, array: nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path),
        }
        writers[Path(name).suffix](folder / name, values)
        return folder / name

    return save


def npz(path: Path) -> object:
    return read_npz(path, "x", max_gb=1)


# how it is read, what is saved wrongly, the sentence, what it says to save
FILES: dict[str, tuple[Callable[[Path], object], Callable[[Path], Path], str, Callable[[Path], Path]]] = {
    "transparency": (
        lambda path: decode_picture(path.read_bytes(), str(path)),
        saved(np.concatenate([COLOUR, GREY[..., None] // 2], -1), "a.png"),
        "save it without an alpha channel",
        saved(COLOUR, "a.png"),
    ),
    "CMYK": (
        lambda path: decode_picture(path.read_bytes(), str(path)),
        saved(COLOUR, "a.jpg", "CMYK"),
        "save it with 8 bits, grey or RGB",
        saved(COLOUR, "a.png"),
    ),
    "sixteen bits": (read_picture, saved(GREY.astype(np.uint16) * 200, "a.png"), "save it with 8 bits", saved(GREY, "a.png")),
    "transparent image": (
        open_images,
        saved(np.concatenate([COLOUR, GREY[..., None] // 2], -1), "a.png"),
        "save it without an alpha channel",
        saved(COLOUR, "a.png"),
    ),
    "CMYK image": (open_images, saved(COLOUR, "a.jpg", "CMYK"), "save it in grey or RGB", saved(COLOUR, "a.png")),
    "integers of 64 bits": (
        open_images,
        stored(GREY.astype(np.int64), "a.tif"),
        "save it with 8 or 16 bits, or as float32",
        stored(GREY.astype(np.float32), "a.tif"),
    ),
    "text in npy": (
        lambda path: open_npy(path, max_gb=1),
        stored(np.array(["a"]), "a.npy"),
        "save a complex64 array",
        stored(np.ones(3, np.complex64), "a.npy"),
    ),
    "text in npz": (npz, stored(np.array(["a"]), "a.npz"), "save a numeric array", stored(np.ones(3), "a.npz")),
    "complex NIfTI": (
        open_volume,
        stored(VOLUME.astype(np.complex64), "a.nii.gz"),
        "save magnitudes",
        stored(VOLUME, "a.nii.gz"),
    ),
    "NIfTI of four axes": (
        open_volume,
        stored(VOLUME[..., None].repeat(2, -1), "a.nii.gz"),
        "one volume of three axes is needed, split it",
        stored(VOLUME, "a.nii.gz"),
    ),
    "NIfTI by another name": (
        open_volume,
        stored(GREY.astype(np.float32), "a.npy"),
        "convert it to NIfTI",
        stored(VOLUME, "a.nii.gz"),
    ),
}


@follows(
    "save it without an alpha channel",
    "save it with 8 bits",
    "save it in grey or RGB",
    "save it with 8 or 16 bits, or as float32",
    "save a complex64 array",
    "save complex64",
    "save a numeric array",
    "save magnitudes",
    "split it",
    "convert it to NIfTI",
    "or convert it to PNG",
    "name it so",
    "save a grey or RGB picture",
)
@pytest.mark.parametrize("name", FILES)
def test_files_saved_as_the_sentence_says(name: str, tmp_path: Path) -> None:
    read, wrong, sentence, right = FILES[name]
    with advised(sentence):
        read(wrong(tmp_path))
    read(right(tmp_path))


@follows(
    "save it as UTF-8",
    "write ** between slashes alone",
    "give a folder that can be read",
    "give a text file that can",
    "raise `max_gb` if that is real",
)
def test_names_and_texts(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("Schädel".encode("latin-1"))
    with advised("save it as UTF-8"):
        text_of(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("Schädel", encoding="utf-8")
    assert text_of(tmp_path / "list.txt") == "Schädel"
    with advised(r"write \*\* between slashes alone, as DIR/\*\*/\*.png"):
        globbed(f"{tmp_path}/a**/x.png")
    (tmp_path / "deep").mkdir()
    saved(GREY, "a.png")(tmp_path / "deep")
    assert len(globbed(f"{tmp_path}/**/*.png")) == 1
    with advised("give a folder that can be read"):
        files_in(tmp_path / "none", (".png",))
    assert files_in(tmp_path / "deep", (".png",))
    stored(np.ones((100, 100)), "a.npy")(tmp_path)
    with advised("raise `max_gb` if that is real"):
        open_npy(tmp_path / "a.npy", max_gb=1e-6)
    assert open_npy(tmp_path / "a.npy", max_gb=1).shape == (100, 100)


@follows(
    "take its magnitude before scoring",
    "take magnitudes first",
    "crop them to one shape",
    "score the same slices",
    "at least {} x {} pixels",
)
def test_scores() -> None:
    a, b = torch.rand(1, 16, 16), torch.rand(1, 16, 16)
    with advised("take its magnitude before scoring"):
        psnr(a * 1j, b, data_range=1.0)
    assert np.isfinite(psnr((a * 1j).abs(), b, data_range=1.0))
    with advised("crop them to one shape"):
        ssim(a, b[..., 1:], data_range=1.0)
    assert np.isfinite(ssim(a[..., 1:], b[..., 1:], data_range=1.0))


def rows(protocol: str) -> list[dict[str, object]]:
    return [
        {
            "case": f"c{n}",
            "patient": f"p{n}",
            "slice": 0,
            "setting": "s",
            "accel": 4.0,
            "method": "DDS",
            "seed": 0,
            "calls": 2.0,
            "protocol": protocol,
            "data_range": 1.0,
            "psnr": 30.0 + n,
        }
        for n in range(3)
    ]


@follows(
    "name the table by one of them",
    "give a table of scores",
    "correct it or leave it empty",
    "take one",
    "score by a protocol that has it",
    "give a whole table",
)
def test_tables(tmp_path: Path) -> None:
    with advised("name the table by one of them"):
        write_rows(tmp_path / "a.txt", rows("complex"))
    write_rows(tmp_path / "a.csv", rows("complex"))
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text(text.replace("30.0", "many"))
    with advised("correct it or leave it empty"):
        read_rows(tmp_path / "a.csv")
    for right in ("30.0", ""):
        (tmp_path / "a.csv").write_text(text.replace("30.0", right))
        assert len(read_rows(tmp_path / "a.csv")) == 3
    with advised("cannot be averaged; take one"):
        cells([*rows("complex"), *rows("natural")], "psnr")
    assert cells(rows("complex"), "psnr")
    with advised("score by a protocol that has it"):
        cells(rows("complex"), "lpips")


@follows(
    "name at least one of the kinds",
    "give a file, a folder or a glob",
    "name one, as key=NAME",
    "complex images have one channel and no interval; leave it out",
    "choose of these",
    "state it, as interval: [0, 4095] for 12 bits",
)
def test_sources_of_training_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=RNG.random((3, 16, 16)).astype(np.float32), y=RNG.random((3, 16, 16)).astype(np.float32))
    with advised("name one, as key=NAME"):
        images({"kind": "npz", "path": str(tmp_path / "a.npz"), "interval": [0, 1]})
    assert len(images({"kind": "npz", "path": str(tmp_path / "a.npz"), "key": "x", "interval": [0, 1]})) == 3
    with advised("give a file, a folder or a glob"):
        images({"kind": "pictures", "files": str(tmp_path / "none")})
    for index in range(2):
        Image.fromarray(GREY.astype(np.uint16) * 16).save(tmp_path / f"{index}.png")
    with advised(r"as interval: \[0, 4095\] for 12 bits, with channels: 1"):
        images({"kind": "pictures", "files": str(tmp_path)})[0]
    assert images({"kind": "pictures", "files": str(tmp_path), "interval": [0, 4095], "channels": 1})[0].shape[0] == 1


@follows("write lines such as steps: 25", "write a number, a word or a [list]", "write key=value, as optim.lr=1e-4")
def test_texts_of_settings() -> None:
    with advised("write lines such as steps: 25"):
        read_yaml("a: [", "mine.yaml")
    assert read_yaml("steps: 25", "mine.yaml") == {"steps": 25}
    given: dict[str, dict[str, object]] = {}
    with advised("write key=value, as optim.lr=1e-4"):
        override(given, ["optim.lr"])
    override(given, ["optim.lr=1e-4"])
    assert build(Optim, given["optim"], "mine.yaml").lr == 1e-4
    with advised(r"write a number, a word or a \[list\]"):
        override({}, ["a=["])
    for value in ("3", "word", "[1, 2]"):
        override({}, [f"a={value}"])


@follows(
    "scale or clamp it first",
    "pad or crop it first",
    "repeat a grey channel to make colours of it",
    "load it by medrestore.priors.load",
)
def test_a_prior_of_another_kind() -> None:
    with advised("load it by medrestore.priors.load"):
        latent.load("brain-mr-starter")
    assert priors.load("brain-mr-starter").channels == 2


@follows("leave `label` out", "`label`")
def test_classes_of_a_prior(tmp_path: Path) -> None:
    plain, classes = save_rgb_prior(tmp_path / "a"), save_rgb_prior(tmp_path / "b", classes=3)
    with advised("leave `label` out"):
        priors.load(plain, label=1)
    assert priors.load(plain).channels == 3
    with advised("its classes are the numbers from 0 to 2"):
        priors.load(classes, label=7)
    assert priors.load(classes, label=2).channels == 3
