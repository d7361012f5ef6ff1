"""Rows of the table: whole restorations beside the network calls in them, and the memory of a volume."""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import h5py
import torch
from speed_cases import Size, head
from speed_timing import Row, clock, medians
from torch import Tensor

from medrestore import keep_freed_memory
from medrestore.codecs import CalibratedComplex
from medrestore.io import Scan
from medrestore.methods import DDS, Method
from medrestore.mri import sampling_mask
from medrestore.priors import EDM, NetworkPrior, load
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare
from medrestore.restoration import restore

BENCHMARKS = Path(__file__).parent
STEPS = 2  # of the runs whose memory is measured: the least there is
METHODS: dict[str, Method] = {"DDS": DDS(), "DDS with gamma 5": DDS(gamma=5.0)}


def network(size: Size, *, bf16: bool) -> NetworkPrior:
    """A diffusers network of about 10 million random weights: what it says is nonsense, how long it takes is not."""
    from diffusers import UNet2DModel

    levels = len(size.widths)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = UNet2DModel(in_channels=2, out_channels=2, layers_per_block=2, block_out_channels=size.widths,
                          down_block_types=("DownBlock2D",) * levels, up_block_types=("UpBlock2D",) * levels)
    return NetworkPrior(net.to(memory_format=torch.channels_last), EDM(sigma_data=0.3, time_scale=60.0), channels=2,
                        multiple=2 ** (levels - 1), recipe=CalibratedComplex(), bf16=bf16)


def undersampled(coils: int, side: int) -> Scan:
    """A slice of a head as a reader hands it out, 4x along one axis."""
    full, lines = head(coils, (side, side))
    mask = torch.maximum(sampling_mask("uniform1d", (side, side), 4, seed=0).mask, lines)
    return Scan("head", 0, full * mask, mask, 24, None, None, (side, side), None, None)


@contextmanager
def counted(prior: NetworkPrior) -> Iterator[list[float]]:
    """Seconds of the network in each call of the prior while this lasts."""
    seconds: list[float] = []
    inner = prior._forward

    def forward(x: Tensor, t: Tensor) -> Tensor:
        started = clock()
        done = inner(x, t)
        seconds.append(clock() - started)
        return done

    with mock.patch.object(prior, "_forward", forward):
        yield seconds


@torch.no_grad()
def calls_alone(prior: NetworkPrior, x: Tensor, levels: Sequence[float]) -> None:
    """The calls of a run, and nothing else."""
    for sigma in levels:
        prior(x, sigma)


def planned(size: Size, method: Method, *, calls: int, samples: int) -> Plan:
    """What decides the form of the data step."""
    return Plan(method=method, steps=calls, samples=samples, batch_size=samples)


def noise(count: int, size: Size) -> Tensor:
    """What a network is called on."""
    return torch.randn(count, 2, size.side, size.side, generator=torch.Generator().manual_seed(0))


class Walk:
    """`restore` as a plan has it, which also counts what the network in it takes."""

    def __init__(self, scan: Scan, plan: Plan, prior: NetworkPrior) -> None:
        self.ready, self.plan, self.prior = prepare(scan, plan), plan, prior
        self.levels = plan.levels(prior)
        self.inside: list[float] = []

    def __call__(self) -> None:
        plan = self.plan
        with counted(self.prior) as seconds:
            result = restore(self.ready.problem, self.prior, plan.sampler, levels=self.levels, samples=plan.samples,
                             batch_size=plan.batch_size)
        assert len(seconds) == plan.steps and result.samples.isfinite().all(), "the run is not what it should be"
        self.inside.append(sum(seconds))

    @property
    def said(self) -> str:
        """How the data step is made."""
        return self.ready.data_step.chosen.removeprefix("its ")


def said_of(prior: NetworkPrior, size: Size) -> str:
    """A network in words."""
    millions = sum(one.numel() for one in prior.net.parameters()) / 1e6
    return f"{millions:.1f} M parameters, {'bf16' if prior.bf16 else 'float32'}, {size.side} x {size.side}"


def one_sample(size: Size, scan: Scan, prior: NetworkPrior) -> list[Row]:
    """DDS, its weight tied to the noise or fixed, beside the same network calls alone."""
    walks = {name: Walk(scan, planned(size, method, calls=size.calls, samples=1), prior) for name, method in METHODS.items()}
    x, levels = noise(1, size), next(iter(walks.values())).levels[:-1]
    alone, within = "its network calls alone", "its network calls within it"
    times = medians({**walks, alone: lambda: calls_alone(prior, x, levels)})
    return [Row(f"{name}, {size.calls} calls, {walk.said}, {said_of(prior, size)}",
                {"restore()": times[name], alone: times[alone], within: statistics.median(walk.inside)},
                limits={alone: 1.05, within: None}) for name, walk in walks.items()]


def samples(size: Size, scan: Scan, prior: NetworkPrior) -> Row:
    """Several samples in one batch beside the network calls of as many single runs."""
    walk = Walk(scan, planned(size, DDS(), calls=size.sample_calls, samples=size.samples), prior)
    x, levels = noise(size.samples, size), walk.levels[:-1]
    alone, singles = "its network calls alone", f"network calls of {size.samples} single runs"
    times = medians({"restore()": walk, alone: lambda: calls_alone(prior, x, levels),
                     singles: lambda: calls_alone(prior, x[:1], levels)})
    times[singles] *= size.samples
    return Row(f"{size.samples} samples in one batch, {size.sample_calls} calls, {walk.said}, {said_of(prior, size)}", times,
               limits={alone: None, singles: 0.9})


def call_in_process(images: int, side: int, memory: str) -> float:
    """Seconds of a call of the shipped prior, its freed memory "kept" or dealt with by "default"."""
    called = [sys.executable, str(BENCHMARKS / "network_call.py"), str(images), str(side), str(torch.get_num_threads()), memory]
    return float(subprocess.run(called, check=True, capture_output=True, text=True).stdout)


def allocator_rows(size: Size) -> list[Row]:
    """What the commands of medrestore gain by keeping freed memory; nothing where there is no glibc."""
    if platform.libc_ver()[0] != "glibc":
        return []
    return [Row(f"network call on {count} of {size.side} x {size.side}, shipped prior, bf16",
                {said: call_in_process(count, size.side, memory)
                 for said, memory in (("freed memory kept, as commands do", "kept"), ("glibc's default", "default"))})
            for count in (1, size.samples)]


def run_rows(size: Size) -> list[Row]:
    """Whole restorations, and what comes before them, with freed memory kept, as the commands of medrestore do."""
    rows = allocator_rows(size)
    keep_freed_memory()
    scan = undersampled(size.coils, size.side)
    priors = [network(size, bf16=bf16) for bf16 in (False, True)]
    rows += [row for prior in priors for row in (*one_sample(size, scan, prior), samples(size, scan, prior))]
    before = medians({name: partial(prepare, scan, planned(size, method, calls=size.calls, samples=1))
                      for name, method in METHODS.items()})
    shipped, z = load("brain-mr-starter", bf16=True), noise(1, size)
    return [
        *rows,
        Row("prepare() before it, once a slice: coil maps, noise, exact data step", before),
        Row(f"one call of the shipped prior, bf16, {size.side} x {size.side}",
            medians({"network call": lambda: calls_alone(shipped, z, [1.0])})),
    ]


def write_volume(path: Path, size: Size) -> None:
    """An undersampled volume in fastMRI's layout: the same head, other noise in each slice."""
    scan = undersampled(size.slice_coils, size.slice_side)
    generator = torch.Generator().manual_seed(1)
    level = 0.01 * scan.kspace.abs().mean()
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("kspace", (size.slices, *scan.kspace.shape[1:]), "complex64")
        file.create_dataset("mask", data=scan.mask[0].numpy())
        for index in range(size.slices):
            noise = torch.view_as_complex(torch.randn(*scan.kspace.shape[1:], 2, generator=generator))
            stored[index] = ((scan.kspace[0] + level * noise) * scan.mask).numpy()


def peak(volume: Path, slices: str) -> float:
    """MiB that `medrestore recon` holds at most on some slices of a volume, in a process of its own."""
    recon = [sys.executable, "-m", "medrestore.cli.main", "recon", str(volume), "-o", str(volume.with_name(f"{slices[2:]}.h5")),
             "--slices", slices, "--steps", str(STEPS), "--maps-cache", "none", "--method", "ddnm+"]  # which needs the spectrum
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run([sys.executable, str(BENCHMARKS / "peak_memory.py"), *recon], env=os.environ | threads,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"recon failed: {done.stderr}")
    return float(done.stdout)


def memory_rows(size: Size) -> list[Row]:
    """The most memory of a whole volume beside that of its first slice."""
    with tempfile.TemporaryDirectory() as folder:
        volume = Path(folder) / "volume.h5"
        write_volume(volume, size)
        first, whole = peak(volume, "0:1"), peak(volume, f"0:{size.slices}")
        results = [Path(folder) / f"{slices}.h5" for slices in (1, size.slices)]
        with h5py.File(results[1]) as file:
            assert len(file["reconstruction"]) == size.slices, "the run is not what it should be"
    said = f"peak memory of recon, {size.slice_coils} coils, {size.slice_side} x {size.slice_side}, exact spectrum"
    return [Row(said, {f"{size.slices} slices": whole, "1 slice": first}, limits={"1 slice": 1.05}, unit="MiB")]
