"""Every part on another device than the CPU: the same results to rounding, and nothing read back in a step."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from helpers.operators import coil_maps, generator, lines, pixels
from helpers.pretend_device import DEVICE, NAME, Counts, counting, pretending
from helpers.runs import Crop as AnyCrop
from helpers.runs import EdgedWaves, Waves, baseline_config, prior_config
from laws import white
from operators.test_laws import SEEN, through
from priors.test_architectures import MONAI, NCSNPP, UNET
from torch import Tensor

from medrestore import devices
from medrestore.baselines import CGSense, L1Wavelet, TotalVariation
from medrestore.codecs import ComplexChannels, Interval
from medrestore.datasets.base import Batch
from medrestore.levels import karras, time_travel
from medrestore.methods import METHODS, SCANS, Method
from medrestore.methods.base import ProximalMethod, TrajectoryMethod
from medrestore.noise import Noise
from medrestore.operators import AveragePool, Grayscale, Mask, Operator, Sense, check, gaussian_blur
from medrestore.priors import EDM, NetworkPrior, StationaryGaussian, VarianceExploding
from medrestore.priors.architectures import build_network
from medrestore.priors.autoencoder import Autoencoder
from medrestore.priors.latent import SuperResolutionPrior
from medrestore.priors.parametrisations import Epsilon, Parametrisation, Sample, Velocity
from medrestore.priors.spaces import LatentSpace
from medrestore.problem import Problem
from medrestore.restoration import restore, restore_all
from medrestore.sampling import sample
from medrestore.solvers import LOOK
from medrestore.tiling import hierarchical
from medrestore.training.baseline import BaselineTask
from medrestore.training.prior import PriorTask
from medrestore.training.runtime import Process
from medrestore.training.scans import load_scans
from medrestore.training.start import load_images

ROUNDING = 2e-5
ALL = tuple(METHODS.offered(SCANS))
BOTH_AXES = tuple(name for name in ALL if not METHODS[name].inverts())  # methods for masks along both axes
WITHOUT_DATA = tuple(name for name in METHODS if name not in (*ALL, "resample"))  # which is for codes alone


@pytest.fixture(params=["doubles", "no doubles"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device, with double precision as CUDA's or without as Apple's."""
    doubles = request.param == "doubles"
    if not doubles:
        monkeypatch.setattr(devices, "WITHOUT_DOUBLES", {NAME})
    with pretending(doubles=doubles) as place:
        yield place


def moved(value: Any) -> Any:
    """A tensor, or a dataclass with those in it, on the device."""
    if isinstance(value, Tensor):
        return value.to(DEVICE)
    if isinstance(value, tuple):
        return tuple(map(moved, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: moved(getattr(value, one.name)) for one in fields(value) if one.init})
    return value


def same(there: Tensor, here: Tensor, tolerance: float = ROUNDING) -> None:
    """The result of the device is that of the CPU to rounding."""
    assert there.device.type == NAME and there.shape == here.shape and there.dtype == here.dtype
    off = float((there.cpu() - here).abs().max())
    assert off <= tolerance * float(here.abs().max()), f"off by {off / float(here.abs().max()):.1e}"


@pytest.mark.parametrize(("case", "codecs"), [one for one in SEEN if not str(one.id).endswith(("; units", "; field"))])
def test_laws_of_operators(case: Any, codecs: Any, device: torch.device) -> None:
    """Alone, and through the codecs of a prior."""
    _, view, z = through(case, codecs)
    operator = moved(view.operator)
    check(operator, tuple(z.shape[1:]), dtype=z.dtype, device=device, tolerance=case.tolerance)
    same(operator(moved(z)), view.operator(z))


# One step of each method, and no read in it

SIZE = (24, 20)
MEASURES: dict[str, Callable[[], Operator]] = {
    "lines": lambda: Sense(coil_maps(*SIZE), lines(SIZE[1])).spectral(cutoff=0.1),
    "points": lambda: Sense(coil_maps(*SIZE), pixels(*SIZE)),
    "resolved": lambda: Sense(coil_maps(*SIZE), lines(SIZE[1])).resolvent(5.0),
    "pool": lambda: AveragePool(2, SIZE), "colours": Grayscale, "blur": lambda: gaussian_blur(SIZE, 0.5),
    "pixels": lambda: Mask(pixels(*SIZE)),
}


def drawn(measure: str, method: Method, place: torch.device | str, levels: list[float],
          on_step: Callable[[int, Tensor], None] | None = None) -> Tensor:
    """Two samples of a small problem."""
    operator, is_complex = MEASURES[measure](), measure in ("lines", "points", "resolved")
    truth = white((1, 1 if is_complex else 3, *SIZE), torch.complex64 if is_complex else torch.float32, seed=3)
    problem = Problem(operator, operator(truth), 0.05)
    prior = StationaryGaussian(torch.ones(SIZE), channels=2 if is_complex else 3)
    if place == DEVICE:
        problem, prior = moved(problem), moved(prior)
    encoded = problem.encoded(ComplexChannels(1.5) if is_complex else Interval(-1, 2))
    return sample(encoded, prior, method, levels, noise=Noise([4, 5], place), size=SIZE, on_step=on_step)


@pytest.mark.parametrize(("name", "measure"), [
    *((name, measure) for name in ALL for measure in ("lines", "pool", "colours", "blur", "pixels")
      if METHODS[name].served_by(MEASURES[measure]())),
    *((name, "points") for name in BOTH_AXES), ("dds", "resolved"), ("hqs", "resolved"),
    *((name, "pixels") for name in WITHOUT_DATA),
])
def test_steps_are_those_of_the_cpu_and_read_nothing(name: str, measure: str, device: torch.device) -> None:
    method = METHODS.build(name, {"gamma": 5.0} if (name, measure) == ("dds", "resolved") else {}, "", "")
    levels, most = karras(4, 5.0, 0.05), []
    levels = levels if isinstance(method, TrajectoryMethod) else time_travel(levels, 2, 2)
    here = drawn(measure, method, "cpu", levels)
    with counting() as counts:
        at = [Counts()]

        def on_step(step: int, x: Tensor) -> None:
            most.append((counts.reads - at[0].reads, counts.waits - at[0].waits, counts.copies - at[0].copies))
            at[0] = replace(counts)

        at[0] = replace(counts)
        there = drawn(measure, method, device, levels, on_step)
    same(there, here)
    solves = method.calls(1) if measure in ("points", "resolved") and isinstance(method, ProximalMethod) else 0
    reads, waits, copies = zip(*most[1:], strict=True)  # before the first is what is made ready
    losses = 1 if isinstance(method, TrajectoryMethod) else 0  # whether a sample is done, once an iteration
    assert max(reads) <= solves * 60 // LOOK + losses and not any(waits)
    assert sum(copies) <= 4  # of noise, in pieces that grow


@pytest.mark.parametrize("step", [0, 1])
def test_the_first_step_reads_nothing_either(step: int, device: torch.device) -> None:
    """What all steps share is read back before them."""
    for name in ("ddnm+", "hqs"):
        seen: list[int] = []
        with counting() as counts:
            method = METHODS.build(name, {}, "", "")

            class Watched(type(method)):  # type: ignore[misc]
                def step(self, *given: Any, counts: Counts = counts, seen: list[int] = seen, **named: Any) -> Tensor:
                    before = counts.reads + counts.waits
                    x = super().step(*given, **named)
                    seen.append(counts.reads + counts.waits - before)
                    return x

            drawn("lines", Watched(), device, karras(3, 5.0, 0.05))
        assert seen[step] == 0


# Restorations

def many(place: torch.device | str, count: int, **options: Any) -> list[Tensor]:
    """Restorations of several scans in one batch, of different noise."""
    maps = coil_maps(*SIZE)
    problems = []
    for k in range(count):
        A = Sense(maps.roll(k, 1), lines(SIZE[1]))
        y = A(white((1, 1, *SIZE), torch.complex64, seed=k)) + 0.02 * (k + 1) * A.mask * white((1, 4, *SIZE), torch.complex64)
        problems.append(Problem(A if options.get("iterated") else A.spectral(cutoff=0.1), y, 0.02 * (k + 1)))
    prior = StationaryGaussian(torch.ones(SIZE), channels=2)
    if place == DEVICE:
        problems, prior = [moved(problem) for problem in problems], moved(prior)
    method = METHODS.build(options.pop("method"), {}, "", "")
    made = restore_all(problems, prior, method, codec=ComplexChannels(1.0), steps=5, samples=2)
    return [one.samples for one in made] + [one.misfit for one in made]


@pytest.mark.parametrize("method", ALL)
def test_restorations_of_a_batch(method: str, device: torch.device) -> None:
    for there, here in zip(many(device, 2, method=method), many("cpu", 2, method=method), strict=True):
        same(there, here, 2e-4)


def test_reads_of_a_restoration_are_as_many_for_any_number_of_steps(device: torch.device) -> None:
    operator = Sense(coil_maps(*SIZE), lines(SIZE[1])).spectral(cutoff=0.1)
    problem = moved(Problem(operator, operator(white((1, 1, *SIZE), torch.complex64)), 0.02))
    prior = moved(StationaryGaussian(torch.ones(SIZE), channels=2))
    reads = []
    for steps in (3, 12):
        with counting() as counts:
            restore(problem, prior, METHODS.build("dds", {}, "", ""), codec=ComplexChannels(1.0), steps=steps)
        reads.append(counts.reads + counts.waits)
    assert reads[0] == reads[1] <= 12


def test_windows_of_a_picture(device: torch.device) -> None:
    """Mask-shift, and a coarser picture that guides it."""
    made = []
    for place in ("cpu", device):
        keep = torch.ones(32, 40)
        keep[4:28, 6:34] = 0
        problem = Problem(Mask(keep), keep * white((1, 1, 32, 40), seed=2))
        prior = StationaryGaussian(torch.ones(16, 16))
        if place == device:
            problem, prior = moved(problem), moved(prior)
        made.append(hierarchical(problem, prior, METHODS.build("ddnm", {}, "", ""), karras(3, 5.0, 0.05), size=(32, 40),
                                 window=(16, 16), noise=Noise([1, 2], place)))
    same(made[1], made[0], 2e-4)


@pytest.mark.parametrize("baseline", [CGSense(1e-2), TotalVariation(1e-3, 20), L1Wavelet(1e-3, 20)],
                         ids=lambda one: type(one).__name__)
def test_classical_baselines(baseline: Any, device: torch.device) -> None:
    A = Sense(coil_maps(*SIZE), lines(SIZE[1]))
    y = A(white((1, 1, *SIZE), torch.complex64))
    same(baseline.reconstruct(*map(moved, (y, A.maps, A.mask))), baseline.reconstruct(y, A.maps, A.mask), 1e-3)


# The exact data steps are made at once

def test_the_exact_forms_are_made_in_one_piece(device: torch.device) -> None:
    """Not row by row: two reads for any number of rows, where the box lies and whether the decomposition converged."""
    for shape in (SIZE, (48, 20)):
        A = Sense(coil_maps(*shape), lines(shape[1]))
        x = white((2, 1, *shape), torch.complex64)
        with counting() as counts:
            spectral, resolved = moved(A).spectral(cutoff=0.1), moved(A).resolvent(300)
        assert counts.reads <= 8 and spectral.basis.device.type == resolved.inverses.device.type == NAME
        S, T = spectral.spectrum, A.spectral(cutoff=0.1).spectrum
        same(S.synthesise(S.s * S.analyse(moved(x))), T.synthesise(T.s * T.analyse(x)))
        same(resolved.resolve(moved(x)), A.resolvent(300).resolve(x))


def test_maps_of_nothing_on_a_device(device: torch.device) -> None:
    A = moved(Sense(torch.zeros(1, 3, *SIZE, dtype=torch.complex64), lines(SIZE[1])))
    assert not bool(A.spectral().s.any()) and not bool(A.normal(moved(white((1, 1, *SIZE), torch.complex64))).any())


# Networks and training

NETWORKS = [
    (UNET, EDM()), (UNET, Epsilon()), (UNET, Velocity()), (MONAI, Epsilon()), (MONAI, Sample()),
    ({**UNET, "num_heads": 2, "attention_head_dim": None, "time_channels": 12, "time_embedding_dim": 32}, Epsilon()),
    (NCSNPP, VarianceExploding()),
    ({**NCSNPP, "progressive_input": "input_skip", "progressive": "output_skip", "centred": True}, VarianceExploding()),
]


@pytest.mark.parametrize(("config", "parametrisation"), NETWORKS)
def test_networks(config: dict[str, Any], parametrisation: Parametrisation, device: torch.device) -> None:
    net = build_network(dict(config)).requires_grad_(False)
    random = generator()
    for weights in (*net.parameters(), *net.buffers()):
        weights.copy_(0.1 * torch.randn(weights.shape, generator=random))
    x = white((2, 1, 16, 16))
    here = NetworkPrior(net, parametrisation, channels=1)(x, 0.7)
    prior = NetworkPrior(net.to(device, memory_format=torch.channels_last), parametrisation, channels=1)
    prior(moved(x), 0.7)
    with counting() as counts:
        there = prior(moved(x), 0.7)
    same(there, here, 1e-4)
    assert counts.reads == 0 and counts.waits == 1  # x itself


def test_an_autoencoder_and_its_prior(device: torch.device) -> None:
    """Latent super-resolution: encode, decode and denoise."""
    torch_state = torch.random.get_rng_state()
    autoencoder = build_network({"_class_name": "VQModel", "in_channels": 3, "out_channels": 3, "latent_channels": 3,
                                 "block_out_channels": [8, 8], "norm_num_groups": 4, "num_vq_embeddings": 8,
                                 "down_block_types": ["DownEncoderBlock2D"] * 2,
                                 "up_block_types": ["UpDecoderBlock2D"] * 2}).requires_grad_(False)
    net = build_network({**UNET, "in_channels": 6, "out_channels": 3}).requires_grad_(False)
    torch.random.set_rng_state(torch_state)
    small, image = white((1, 3, 8, 8)).sigmoid(), white((1, 3, 16, 16)).sigmoid()

    def made() -> SuperResolutionPrior:
        return SuperResolutionPrior(net, Epsilon(), channels=3, condition_channels=3, factor=2, multiple=2, recipe=Interval(),
                                    space=LatentSpace(cast("Autoencoder", autoencoder), 1.0, Interval()))

    prior = made()
    z = prior.space.encode(image)
    here = prior.space.decode(z), prior.given(small)(z, 0.5)
    net.to(device), autoencoder.to(device)
    prior = made()
    same(prior.space.encode(moved(image)), z, 1e-4)
    for there, expected in zip((prior.space.decode(moved(z)), prior.given(moved(small))(moved(z), 0.5)), here, strict=True):
        same(there, expected, 1e-4)


@pytest.mark.parametrize("changes", [{}, {"objective__kind": "epsilon"}, {"objective__weighting": "min_snr"},
                                     {"network__dropout": 0.1}], ids=str)
def test_a_training_step_of_a_prior(changes: dict[str, Any], tmp_path: Path, device: torch.device) -> None:
    weights = []
    for place in (torch.device("cpu"), device):
        config = prior_config(tmp_path / place.type, **{key: value for key, value in changes.items() if "kind" not in key})
        if "objective__kind" in changes:
            config = prior_config(tmp_path / place.type, objective={"kind": "epsilon"})
        task = PriorTask(config, load_images(config, Waves(), Waves(30, 6), AnyCrop()))
        net, process = task.net.to(place), Process(0, 1, place)
        optimiser = torch.optim.AdamW(net.parameters(), 1e-2)
        batch = Batch(torch.stack([Waves()[k][:, :16, :16] for k in range(4)]))
        for number in range(2):
            with counting() as counts:
                for loss in task.losses(net, batch, number, process):
                    loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        if place == device:
            assert (counts.reads, counts.waits) == (0, 0)
        net.eval()
        task.prepare(lambda label, total: lambda: None)
        scores = task.scores(net, process)
        weights.append((torch.cat([one.detach().cpu().flatten() for one in net.parameters()]), scores))
    if "network__dropout" not in changes:
        assert torch.allclose(weights[0][0], weights[1][0], atol=1e-3)
        assert weights[0][1] == pytest.approx(weights[1][1], rel=1e-2)


@pytest.mark.parametrize("kind", ["unet", "varnet"])
def test_a_training_step_of_a_baseline(kind: str, tmp_path: Path, device: torch.device) -> None:
    losses = []
    for place in (torch.device("cpu"), device):
        config = baseline_config(tmp_path / place.type, kind)
        task = BaselineTask(config, *load_scans(config, EdgedWaves(), EdgedWaves(30, 6)))
        net, process = task.net.to(place), Process(0, 1, place)
        task.prepare(lambda label, total: lambda: None)
        batch = [task.train[k, None] for k in range(2)]
        for loss in task.losses(net, batch, 0, process):
            loss.backward()
            losses.append(float(loss.detach()))
        losses.append(task.scores(net.eval(), process)["psnr"])
    assert losses[: len(losses) // 2] == pytest.approx(losses[len(losses) // 2 :], rel=1e-3)
