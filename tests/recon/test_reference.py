"""Another image of the same patient beside a scan: read, checked, on the grid of the reconstruction, and heard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import save_complex_prior
from helpers.scans import kspace

import medrestore as mr
from medrestore.cli.main import main
from medrestore.errors import InputError
from medrestore.io import read_provenance
from medrestore.priors import Watched, load
from medrestore.recon import Plan
from medrestore.recon.reference import ReferenceImages

PLAN: dict[str, Any] = {"steps": 2, "noise_std": 0.01}


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_complex_prior(tmp_path_factory.mktemp("priors") / "reference", reference=True)


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    return kspace(2)[0].astype(np.complex64)


def beside(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((2, 48, 40)).astype(np.float32)


def test_the_image_is_heard_slice_by_slice(data: np.ndarray, prior: Path) -> None:
    images = beside()
    alone, told = mr.reconstruct(data, prior=prior, **PLAN), mr.reconstruct(data, prior=prior, reference_image=images, **PLAN)
    assert float(np.abs(alone.image - told.image).max()) > 1e-4
    again = mr.reconstruct(data, prior=prior, reference_image=3 * images, **PLAN)  # whatever its unit
    np.testing.assert_allclose(again.image, told.image, rtol=1e-3, atol=1e-5)
    other = np.stack([images[0], beside(1)[1]])
    changed = mr.reconstruct(data, prior=prior, reference_image=other, **PLAN)
    np.testing.assert_allclose(changed.image[0], told.image[0], rtol=1e-4, atol=1e-6)
    assert float(np.abs(changed.image[1] - told.image[1]).max()) > 1e-5
    single = mr.reconstruct(data[0], prior=prior, reference_image=images[0] + 0j, **PLAN)
    np.testing.assert_allclose(single.image, told.image[0], rtol=1e-3, atol=1e-5)


def test_the_command_gives_the_same_and_knows_it_again(data: np.ndarray, prior: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", data)
    np.save(tmp_path / "t1.npy", beside())
    words = ["recon", str(tmp_path / "scan.npy"), "--prior", str(prior), "--steps", "2", "--noise-std", "0.01", "--maps-cache",
             "none", "--axes", "slice,coil,row,col", "--check-fit", "false", "--apart", "false", "-o", str(tmp_path / "image.h5")]
    told = [*words, "--reference-image", str(tmp_path / "t1.npy")]
    assert main(told) == 0
    made = read_provenance(tmp_path / "image.h5")
    assert made["config"]["reference_image"] == "t1.npy" and made["reference_fingerprint"]
    expected = mr.reconstruct(data, prior=prior, reference_image=beside(), **PLAN)
    with mr.io.read_reconstruction(tmp_path / "image.h5") as images:
        np.testing.assert_allclose(images[1].numpy(), np.abs(expected.image[1]), rtol=1e-4, atol=1e-6)
    assert main(["recon", "--from", str(tmp_path / "image.h5"), "-o", str(tmp_path / "again.h5"), "--prior", str(prior)]) == 0
    np.save(tmp_path / "t1.npy", beside(1))
    assert main(["recon", "--from", str(tmp_path / "image.h5"), "-o", str(tmp_path / "more.h5"), "--prior", str(prior)]) == 2
    # its own output is a reference image too
    assert main([*words[:-1], str(tmp_path / "second.h5"), "--reference-image", str(tmp_path / "image.h5")]) == 0


def test_commands_that_cannot_work(data: np.ndarray, prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scans").mkdir()
    np.save(tmp_path / "scans" / "scan.npy", data)
    np.save(tmp_path / "t1.npy", beside())
    scan, told = str(tmp_path / "scans" / "scan.npy"), ["--reference-image", str(tmp_path / "t1.npy")]
    for words, says in (
        ([scan, *told], "takes no reference image; leave --reference-image out"),
        ([str(tmp_path / "scans"), *told, "--prior", str(prior)], "of one patient, and the input is a folder"),
        ([scan, "--reference-image", str(tmp_path / "none.h5")], "none.h5 does not exist"),
        ([scan, *told, "--method", "tv"], "--reference-image goes with a diffusion method"),
    ):
        out = tmp_path / ("x" if words[0] != scan else "x.h5")
        assert main(["recon", *words, "--axes", "slice,coil,row,col", "-o", str(out)]) == 2
        error = capsys.readouterr().err
        assert says in error and error.count("\n") == 1, error
        assert not out.exists()


@pytest.mark.parametrize(("images", "says"), [
    (beside()[:1], "with 2 slices, registered"),
    (beside()[:, :40], "40 x 40 pixels, and the image of the scan is 48 x 40; give"),
    (0 * beside(), "is empty"), (np.full((2, 48, 40), np.nan), "not finite"),
], ids=["slices", "size", "empty", "nan"])  # fmt: skip
def test_what_is_not_of_this_scan_is_refused(data: np.ndarray, prior: Path, images: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        mr.reconstruct(data, prior=prior, reference_image=images, **PLAN)


def test_priors_and_plans_that_take_none(data: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no reference image; leave it out"):
        mr.reconstruct(data[0], reference_image=beside()[0], **PLAN)
    for wrong in ({"method": "tv"}, {"across_slices": 5.0}):
        with pytest.raises(InputError, match="reference_image"):
            Plan(reference_image="x.npy", **wrong)
    (tmp_path / "x.npy").write_bytes(b"none")
    with pytest.raises(InputError, match=r"no \.npy of numbers"):
        ReferenceImages(tmp_path / "x.npy", max_gb=1)
    np.save(tmp_path / "y.npy", np.array(["a"]))
    with pytest.raises(InputError, match="a reference image is numbers"):
        ReferenceImages(tmp_path / "y.npy", max_gb=1)


def test_priors_pass_it_on(prior: Path) -> None:
    """Through what wraps them; for a batch, one or as many."""
    x, image = torch.ones(4, 2, 8, 8), torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = load(prior)
    told = plain.with_reference(image)
    wrapped = Watched(plain, lambda images: None).with_reference(image)
    assert torch.equal(wrapped(x, 0.5), told(x, 0.5)) and not torch.equal(told(x, 0.5)[0], told(x, 0.5)[2])
    assert torch.equal(told(x, 0.5)[:2], plain.with_reference(image[:1])(x, 0.5)[:2])
    for wrong, says in ((image[..., :4], "must be of one size"), (image.expand(2, 2, 8, 8), "a reference image of")):
        with pytest.raises(InputError, match=says):
            plain.with_reference(wrong)(x, 0.5)
