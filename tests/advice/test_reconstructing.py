"""Advice on reconstructions, baselines and filled frames, followed."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.advice import case, followed, follows
from helpers.frames import known, picture, scene
from helpers.networks import save_complex_prior
from helpers.operators import coil_maps
from helpers.ready import PLAN
from helpers.scans import SHAPE, fastmri, kspace
from helpers.slices import error, scan
from helpers.trained import network
from torch import Tensor

import medrestore as mr
from medrestore.baselines import (
    CGSense,
    DeepImagePrior,
    Degraded,
    PseudoInverse,
    Supervised,
    ZeroFilled,
    save,
    tune,
)
from medrestore.baselines.weights import describe
from medrestore.inpainting.outputs import check_output, check_replaced
from medrestore.inpainting.plan import Writing
from medrestore.inpainting.told import dropped
from medrestore.io import read_kspace
from medrestore.io.frames.mha import Geometry
from medrestore.mri import radial
from medrestore.operators import NonCartesianSense, Sense, SmoothPhase, WalshHadamard
from medrestore.problem import Problem
from medrestore.recon.folder import scans
from medrestore.recon.opening import open_scan
from medrestore.recon.plan import Plan, Reading
from medrestore.recon.preparation import prepare

DATA = kspace(2)[0].astype(np.complex64)
MAPS = coil_maps(*SHAPE).numpy()
KSPACE, SENSE, MASK, IMAGE = scan(24, 20)
TINY: dict[str, Path] = {}
RANDOM = WalshHadamard.random((8, 8), 0.9, generator=torch.Generator().manual_seed(0))


def reconstructed(data: np.ndarray = DATA[:1], prior: Any = None, **how: Any) -> bool:
    """Whether an image of every slice comes out that is not empty."""
    made = mr.reconstruct(data, prior=prior or TINY["prior"], **{"steps": 2, "noise_std": 0.01, **how}).image
    slices = made.reshape(-1, *made.shape[-2:])
    return len(slices) == len(data) and bool((np.abs(slices).max((1, 2)) > 0).all())


def opened(folder: Path, maps: np.ndarray) -> bool:
    """Whether a scan is opened with maps."""
    np.save(folder / "scan.npy", DATA)
    np.save(folder / "maps.npy", maps)
    with open_scan(folder / "scan.npy", replace(PLAN, maps=str(folder / "maps.npy")), Reading()) as (
        _,
        found,
    ):
        return found is not None and np.allclose(found[0].kspace.numpy(), maps[:1])


def prepared(folder: Path, maps: np.ndarray) -> bool:
    np.save(folder / "scan.npy", DATA)
    with read_kspace(folder / "scan.npy") as file:
        return prepare(file[0], PLAN, maps=torch.from_numpy(maps)).kspace.shape[1] > 0


def beside(folder: Path, image: np.ndarray) -> bool:
    return reconstructed(prior=save_complex_prior(folder / "prior", reference=True), reference_image=image)


def listed(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        fastmri(folder / name, DATA)
    return [path.stem for path in scans(folder)]


def best(score: Any, *, cases: int) -> bool:
    weight, table = tune(CGSense, (1e-3, 1e-1), [(KSPACE, SENSE, MASK, IMAGE)] * cases, score)
    return weight in table


def lame(x: Tensor, reference: Tensor) -> float:
    """A score that is not a number for the second case."""
    lame.calls += 1  # type: ignore[attr-defined]
    return float("nan") if lame.calls > 2 else -error(x, reference)  # type: ignore[attr-defined]


lame.calls = 0  # type: ignore[attr-defined]


def varnet(mask: Tensor) -> bool:
    data = KSPACE * 0 + torch.randn(
        KSPACE.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0)
    )
    found = Supervised(network("varnet")).reconstruct(data * mask, SENSE, mask)
    return bool(found.isfinite().all())


def whole(folder: Path) -> bool:
    save(folder / "b", Supervised(network("unet")))
    return describe(folder / "b")["kind"] == "unet"


OFF = MASK.clone()
OFF[:, 6:14] = 0
HELD = SmoothPhase(Sense(SENSE, MASK), torch.ones(1, 1, 24, 20) + 0j, torch.ones(1, 1, 24, 20))
TWO = torch.cat([SENSE, SENSE])
TRAJECTORY = radial(20, (24, 20))
ALONG = NonCartesianSense(SENSE, TRAJECTORY, torch.ones(TRAJECTORY.shape[:2]))
EVEN = np.ones(SHAPE[1], np.float32)
EVEN[1:13:2] = EVEN[27::2] = 0
CASES = [
    case(
        "{} takes Cartesian scans alone, and this one was acquired along a trajectory; take "
        "zero-filled, CG-SENSE, total variation or L1-wavelet",
        lambda _: DeepImagePrior().along(ALONG, ALONG(IMAGE)),
        lambda _: (
            [baseline.along(ALONG, ALONG(IMAGE)).shape == IMAGE.shape for baseline in CLASSICAL] == [True] * 4
        ),
    ),
    case(
        "{} holds no phase; take CG-SENSE, total variation or L1-wavelet",
        lambda _: ZeroFilled().in_phase(HELD, KSPACE),
        lambda _: (
            [baseline.in_phase(HELD, KSPACE).isfinite().all() for baseline in CLASSICAL[1:]] == [True] * 3
        ),
    ),
    case(
        "There are {} sets of coil maps and this method takes one; take zero-filled, CG-SENSE, total "
        "variation or L1-wavelet, which take several.",
        lambda _: DeepImagePrior(channels=4, steps=2).reconstruct(KSPACE, TWO, MASK),
        lambda _: (
            [baseline.reconstruct(KSPACE, TWO, MASK).isfinite().all() for baseline in CLASSICAL] == [True] * 4
        ),
    ),
    case(
        "The deep image prior diverged at lr {}; take a lower one.",
        lambda _: DeepImagePrior(channels=4, steps=12, lr=1e30).reconstruct(KSPACE, SENSE, MASK),
        lambda _: (
            DeepImagePrior(channels=4, steps=12, lr=1e-3).reconstruct(KSPACE, SENSE, MASK).isfinite().all()
        ),
    ),
    case(
        "{} measures {}, which is no picture; take PseudoInverse",
        lambda _: Degraded().restore(Problem(RANDOM, RANDOM(torch.ones(1, 1, 8, 8)), 0)),
        lambda _: (
            PseudoInverse().restore(Problem(RANDOM, RANDOM(torch.ones(1, 1, 8, 8)), 0)).shape == (1, 1, 8, 8)
        ),
    ),
    case(
        "The score of weight {} on case {} is not a number; leave the case out.",
        lambda _: best(lame, cases=2),
        lambda _: best(lambda x, image: -error(x, image), cases=1),
    ),
    case(
        "The centre of k-space is not sampled, so there is nothing to make coil maps from; take "
        "another baseline.",
        lambda _: varnet(OFF),
        lambda _: ZeroFilled().reconstruct(KSPACE * OFF, SENSE, OFF).isfinite().all(),
    ),
    case(
        "{} cannot be read ({}); give the folder of a trained baseline",
        lambda folder: describe(folder),
        lambda folder: whole(folder),
    ),
    case(
        "`reference_image` goes with a diffusion method slice by slice; leave it out",
        lambda _: reconstructed(method="cg-sense", reference_image=np.ones(SHAPE, np.float32)),
        lambda _: reconstructed(method="cg-sense"),
    ),
    case(
        "kspace of slice {} is zero everywhere; leave the slice out, or correct the mask",
        lambda _: reconstructed(DATA[:1] * EVEN, mask=1 - EVEN),
        lambda _: reconstructed() and reconstructed(DATA[:1] * EVEN, mask=EVEN),
    ),
    case(
        "{} holds no scan ({}); give the folder that does",
        lambda folder: listed(folder),
        lambda folder: listed(folder, "a.h5") == ["a"],
    ),
    case(
        "{} and {} would both become {}.h5; rename one",
        lambda folder: listed(folder, "a.h5", "a.hdf5"),
        lambda folder: ((folder / "a.hdf5").rename(folder / "b.hdf5"), listed(folder))[1] == ["a", "b"],
    ),
    case(
        "the coil maps are {} and the k-space is {} (coil, height, width); give the maps of this scan",
        lambda folder: prepared(folder, MAPS[:, :3]),
        lambda folder: prepared(folder, MAPS),
    ),
    case(
        "{} holds maps of shape {}, and {} is {} (slice, coil, height, width); give the maps of this scan",
        lambda folder: opened(folder, np.ones((2, 3, *SHAPE), np.complex64)),
        lambda folder: opened(folder, np.ones((2, 4, *SHAPE), np.complex64)),
    ),
    case(
        "is lam of hqs, dds (without gamma) and diffpir, or of cg-sense, tv and l1-wavelet, and "
        "stands once: leave it out with {} and these options",
        lambda _: Plan("ddnm", weight=0.5),
        lambda _: (
            [Plan("ddnm").weight, Plan("hqs", weight=0.5).weight, Plan("cg-sense", weight=0.5).weight]
            == [None, 0.5, 0.5]
        ),
    ),
    case(
        "goes with `across_slices`, which makes slices a volume; set that too, or leave it out",
        lambda _: Plan("dds", three_planes=True),
        lambda _: (
            Plan("dds", three_planes=True, across_slices=20.0).three_planes and not Plan("dds").three_planes
        ),
    ),
    case(
        "goes with a diffusion method, and {} is none; leave it out",
        lambda _: Plan("cg-sense", start_sigma=1.0),
        lambda _: Plan("cg-sense").is_classical,
    ),
    case(
        "{} is empty; leave it out, or give the slice that shows the same as the scan",
        lambda folder: beside(folder, np.zeros(SHAPE, np.float32)),
        lambda folder: (
            beside(folder / "again", np.ones(SHAPE, np.float32))
            and reconstructed(prior=folder / "again" / "prior")
        ),
    ),
    case(
        "{} is a folder and no output of inpaint, so it is never replaced; give another `out`",
        lambda folder: ((folder / "notes").touch(), check_replaced(folder, Writing(overwrite=True))),
        lambda folder: check_replaced(folder / "other", Writing()) is None,
    ),
    case(
        "{} holds the input {}, and an output takes the place of the whole folder; give another `out`",
        lambda folder: check_output(folder, file_in(folder)),
        lambda folder: check_output(folder.parent / "other", file_in(folder)) is None,
    ),
    case(
        "{} lies among the pictures of {}, and would be read as one of them; give another `out`",
        lambda folder: check_output(folder / "out.png", folder),
        lambda folder: check_output(folder.parent / "out.png", folder) is None,
    ),
]
CLASSICAL = [
    ZeroFilled(),
    CGSense(1e-3),
    mr.baselines.TotalVariation(1e-3, 5),
    mr.baselines.L1Wavelet(1e-3, 5),
]


def file_in(folder: Path) -> Path:
    (folder / "a.png").touch()
    return folder / "a.png"


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_images_come_out_as_a_sentence_proposes(
    sentence: str, wrong: Any, right: Any, tmp_path: Path, tiny_prior: Path
) -> None:
    TINY["prior"] = tiny_prior
    (tmp_path / "again").mkdir()
    followed(sentence, wrong, right, tmp_path / "again" if "holds no scan" in sentence else tmp_path)


@follows(
    "{}: spacing, origin and orientation are not carried over, which {} has no place for; name the output .mha to have them",
    "{}: the frames are not evenly spaced in time, which {} has no place for; name the output .mkv or .mp4 to have their times",
)
def test_names_of_outputs_that_have_a_place_for_it() -> None:
    given = scene([picture(index) for index in range(3)], [known((10, 20, 12, 12))] * 3)
    given.obstructed.geometry = Geometry(3, {"ElementSpacing": "1 1 2"})
    given.obstructed.times = tuple(Fraction(k, 25) for k in (0, 1, 5))
    space, time = dropped(given, Path("out"))
    assert space.endswith("name the output .mha to have them") and time.endswith(
        "name the output .mkv or .mp4 to have their times"
    )
    assert list(dropped(given, Path("out.mha"))) == [time.replace("png has", ".mha has")]
    for end in (".mkv", ".mp4"):
        assert list(dropped(given, Path(f"out{end}"))) == [space.replace("png has", f"{end} has")]
