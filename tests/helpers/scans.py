"""Tiny scans and priors on disk, and the command line called on them."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from helpers.phantom import head_and_maps

from medrestore import priors
from medrestore.cli.main import main
from medrestore.codecs import CalibratedComplex
from medrestore.mri import simulate_scan
from medrestore.priors import EDM

SHAPE = (48, 40)
NOISE = 0.01


def kspace(slices: int = 1, *, shape: tuple[int, int] = SHAPE, coils: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Fully sampled k-space (slice, coil, h, w) with noise, and the magnitudes (slice, h, w) behind it."""
    scans, images = [], []
    for index in range(slices):
        image, maps, generator = head_and_maps(shape, coils, 100 * seed + index)
        scans.append(simulate_scan(image, maps, torch.ones(1, shape[1]), noise_std=NOISE, generator=generator)[0].numpy())
        images.append(image[0, 0].abs().numpy())
    return np.stack(scans), np.stack(images)


def fastmri(path: Path, data: np.ndarray, *, mask: Any = None, reference: np.ndarray | None = None,
            header: str | None = None) -> Path:
    """A file in fastMRI's layout, with what identifies a patient."""
    with h5py.File(path, "w") as file:
        file["kspace"] = data
        for name, value in {"mask": mask, "reconstruction_rss": reference, "ismrmrd_header": header}.items():
            if value is not None:
                file[name] = value
        file.attrs.update({"patient_id": "SECRET-17", "acquisition": "AXT2"})
    return path


def header(encoded: tuple[int, int], recon: tuple[int, int]) -> str:
    """An ISMRMRD header as fastMRI stores it."""
    space = ("<{0}><matrixSize><x>{1}</x><y>{2}</y><z>1</z></matrixSize>"
             "<fieldOfView_mm><x>{1}</x><y>{2}</y><z>5</z></fieldOfView_mm></{0}>")
    return (
        '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><subjectInformation><patientName>SECRET-18</patientName>'
        "</subjectInformation><encoding>" + space.format("encodedSpace", *encoded) + space.format("reconSpace", *recon)
        + "<encodingLimits><kspace_encoding_step_1><minimum>0</minimum>"
        f"<maximum>{encoded[1] - 1}</maximum><center>{encoded[1] // 2}</center></kspace_encoding_step_1></encodingLimits>"
        "<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
    )


def save_prior(folder: Path, channels: int) -> Path:
    """A prior with a network of a few thousand random weights."""
    net = UNet2DModel(
        in_channels=channels, out_channels=channels, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, add_attention=False,
    )
    generator = torch.Generator().manual_seed(channels)
    for weights in net.parameters():
        weights.data = 0.03 * torch.randn(weights.shape, generator=generator)
    priors.save(folder, net, parametrisation=EDM(sigma_data=0.5, sigmas=(0.005, 40.0)), recipe=CalibratedComplex(),
                channels=channels, multiple=2, card={"name": "tiny"})
    return folder


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Bench:
    """A folder to work in, with a prior, and the command line."""

    def __init__(self, folder: Path, prior: Path, capsys: pytest.CaptureFixture[str]):
        self.folder, self.prior, self._capsys = folder, prior, capsys

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def call(self, *words: object) -> Outcome:
        self._capsys.readouterr()
        code = main([str(word) for word in words])
        return Outcome(code, *self._capsys.readouterr())

    def said(self) -> str:
        """What a call has printed that ended this process, as help does."""
        return self._capsys.readouterr().out

    def recon(self, *words: object, quick: bool = True) -> Outcome:
        """`recon` with the tiny prior, DiffPIR, two steps and one sample, as far as `words` say nothing else."""
        options: list[object] = ["--prior", self.prior, "--maps-cache", self / "cache", "--apart", "false"]
        options += ["--steps", 2, "--samples", 1, "--method", "diffpir"] if quick else []
        return self.call("recon", *options, *words)

    def restored(self, *words: object, name: str = "out.h5", quick: bool = True) -> Path:
        """The output of a run that must succeed, without a word on stderr."""
        outcome = self.recon(*words, "-o", self / name, quick=quick)
        assert (outcome.code, outcome.err) == (0, "")
        return self / name

    def files(self) -> dict[str, str]:
        """What lies in the folder, by content; the cache of maps left out."""
        found = (path for path in sorted(self.folder.rglob("*")) if "cache" not in path.relative_to(self.folder).parts[:1])
        return {str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
                for path in found}


def array(path: Path, name: str = "reconstruction_complex") -> np.ndarray:
    with h5py.File(path) as file:
        return file[name][()]


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.fixture(scope="session")
def tiny_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_prior(tmp_path_factory.mktemp("priors") / "tiny", 2)


@pytest.fixture(scope="session")
def grey_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_prior(tmp_path_factory.mktemp("priors") / "grey", 1)


@pytest.fixture
def bench(tmp_path: Path, tiny_prior: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, tiny_prior, capsys)


@pytest.fixture
def scan(bench: Bench) -> Path:
    """A fully sampled scan with a reference."""
    data, images = kspace()
    return fastmri(bench / "scan.h5", data, reference=images)
