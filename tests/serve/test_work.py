"""A job is done by the functions that the commands call: the same bytes come out."""

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.networks import save_rgb_prior
from helpers.scans import Bench, array, fastmri, kspace
from PIL import Image

from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.plan import Plan as ImagePlan
from medrestore.inpainting.plan import Plan as InpaintPlan
from medrestore.recon.plan import Plan, Undersampling
from medrestore.serve.work import Work, perform


@pytest.fixture(autouse=True)
def stay() -> Iterator[None]:
    """A worker changes the folder that it works in."""
    here = Path.cwd()
    yield
    os.chdir(here)


@pytest.fixture(scope="session")
def rgb_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_rgb_prior(tmp_path_factory.mktemp("priors") / "rgb")


def done(folder: Path, kind: str, plan: Any, **inputs: str) -> list[tuple[Any, ...]]:
    told: list[tuple[Any, ...]] = []
    perform(Work(kind, folder, plan, inputs, "cpu"), 0, told.append)
    return told


def names(folder: Path) -> list[str]:
    with zipfile.ZipFile(folder / "result.zip") as archive:
        assert archive.testzip() is None
        return archive.namelist()


def titles(told: list[tuple[Any, ...]]) -> list[str]:
    return [view.title for kind, *rest in told if kind == "views" for view in rest[0]]


def picture(path: Path, size: tuple[int, int] = (24, 40)) -> Path:
    y, x = np.mgrid[: size[0], : size[1]]
    Image.fromarray(np.stack([(9 * x + 5 * y + 40 * k) % 256 for k in range(3)], -1).astype(np.uint8)).save(path)
    return path


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_scan(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    data, images = kspace()
    fastmri(folder / "scan.h5", data, reference=images)
    plan = Plan("diffpir", steps=2, samples=2, prior=str(bench.prior), undersample=Undersampling("uniform1d", 2, 14))
    told = done(folder, "recon", plan, scan="scan.h5")
    assert names(folder) == ["reconstruction.h5", "reconstruction.h5.json", "reconstruction.nii.gz", "reconstruction.png"]
    assert titles(told) == ["zero-filled", "restored", "spread", "reference"]
    expected = bench.restored(folder / "scan.h5", "--undersample", "uniform1d", "--accel", 2, "--acs", 14, "--samples", 2)
    np.testing.assert_array_equal(array(folder / "result" / "reconstruction.h5"), array(expected))
    made = json.loads((folder / "result" / "reconstruction.h5.json").read_text())
    assert made["input"]["name"] == "scan.h5" and made["config"]["prior"] == "tiny"
    text = repr(told) + json.dumps(made)
    assert str(tmp_path) not in text.replace(str(bench.prior), "") and "SECRET" not in text
    assert [kind for kind, *_ in told].count("step") > 0


def test_an_image(rgb_prior: Path, tmp_path: Path) -> None:
    picture(tmp_path / "image.jpg")
    plan = ImagePlan(Degradation(task="denoise"), noise_std=9.0, steps=2, prior=str(rgb_prior))
    told = done(tmp_path, "restore", plan, image="image.jpg")
    assert names(tmp_path) == ["restored.png", "restored.png.json", "restored.png.preview.png"]
    assert titles(told) == ["given", "restored"] and opened(tmp_path / "result" / "restored.png").shape == (24, 40, 3)


def test_a_frame(rgb_prior: Path, tmp_path: Path) -> None:
    picture(tmp_path / "frame.png")
    mask = np.zeros((24, 40), np.uint8)
    mask[8:14, 10:20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    plan = InpaintPlan(mask_means="hole", steps=2, window=16, prior=str(rgb_prior), samples=2)
    told = done(tmp_path, "inpaint", plan, frame="frame.png", mask="mask.png")
    assert "restored.png" in names(tmp_path) and "restored.png.json" in names(tmp_path)
    assert titles(told) == ["given", "restored", "spread"]
    before, after = (opened(tmp_path / name) for name in ("frame.png", "result/restored.png"))
    np.testing.assert_array_equal(before[mask == 0], after[mask == 0])
    assert (before != after).any()


@pytest.mark.parametrize(("content", "said"), [
    (b"", "scan.h5 is empty, it has no bytes at all; copy it again"),
    (b"no scan at all", "scan.h5 is of no known k-space format"),
])
def test_bad_input_is_one_sentence(bench: Bench, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "scan.h5").write_bytes(content)
    with pytest.raises(InputError) as error:
        done(tmp_path, "recon", Plan("diffpir", steps=2, prior=str(bench.prior)), scan="scan.h5")
    assert said in str(error.value) and not (tmp_path / "result.zip").exists()


def test_too_little_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medrestore.serve import work

    def short(*_: object) -> None:
        raise MemoryError

    monkeypatch.setitem(work.KINDS, "recon", short)
    with pytest.raises(InputError, match="the memory is too small for this; draw fewer samples in a batch"):
        done(tmp_path, "recon", None)
