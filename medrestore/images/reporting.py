"""What is said of a restoration: lines before and after the work, scores against the truth, a picture to look at."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..io.images import FileImages
from ..jobs import PriorJob, about, seconds_of
from ..metrics import psnr, ssim
from ..report.panel import Column, frames_panel, panel
from ..restoration import padded_size
from .operators import FOUND
from .plan import Plan, window_of
from .restore import Restored, Setting

COLOURS = "the colours are plausible, not true; in PSNR the grey image is often nearer to the truth (docs/images.md)"


def summary(
    images: FileImages, setting: Setting, numbers: Sequence[int], job: PriorJob[Plan], device: str
) -> Iterator[str]:
    """The lines before the work."""
    plan, (height, width) = job.plan, setting.size
    name, size = Path(images.where).name, f"{width} x {height}"
    before = (
        ""
        if images.values.shape[-2:] == setting.size
        else f"{images.values.shape[-1]} x {images.values.shape[-2]} to "
    )
    many = "1 image" if len(images.values) == 1 else f"{len(numbers)} of {len(images.values)} slices"
    minutes = _minutes(setting, numbers, job, device)
    yield (
        f"{name}: {many}, {before}{size}, {setting.degradation.name}; noise {setting.sigma:.3g} ({setting.noise_source}); "
        f"prior {job.prior_name}, {type(plan.sampler).__name__}, {plan.steps} steps, "
        f"{plan.samples} {'sample' if plan.samples == 1 else 'samples'}, on {device}"
        + ("" if minutes is None else f", {about(minutes)}")
    )
    for note in setting.notes:
        yield f"note: {note}"
    if setting.degradation.task == "colorize":
        none = f"{job.prior_name} is of grey images, so no colour is made; give a prior of colours"
        yield f"note: {none if setting.channels == 1 else COLOURS}"


def evaluations(setting: Setting, slices: int, job: PriorJob[Plan]) -> int:
    """How many images, or windows of them, the network is given for so many slices; without a coarser image that guides."""
    plan, window = job.plan, window_of(job.plan, job.prior, setting.size)
    windows = 1
    if window is not None:
        windows = math.prod(max(1, -(-2 * n // w) - 1) for n, w in zip(setting.size, window, strict=True))
    calls = plan.sampler.calls(len(plan.levels(job.prior)) - 1) * windows * plan.samples * slices
    return calls * (setting.channels // setting.coordinates.channels)


def _minutes(setting: Setting, numbers: Sequence[int], job: PriorJob[Plan], device: str) -> float | None:
    """How long it takes, by one call of the network; None where calls alone do not tell."""
    prior = job.prior
    if prior.whole:  # of codes: the autoencoder takes time too
        return None
    side = window_of(job.plan, prior, setting.size) or padded_size(prior, setting.size)
    x = torch.zeros(1, prior.channels, *side, device=device)
    seconds = seconds_of(lambda: prior(x, 1.0).sum().item(), device)  # which waits for the device
    return seconds * evaluations(setting, len(numbers), job) / 60


def report(
    done: Sequence[Restored], setting: Setting, scores: Mapping[str, Mapping[str, float]]
) -> Iterator[str]:
    """The lines after the work."""
    misfit = sum(one.misfit for one in done) / len(done)
    yield (
        f"data misfit {misfit:.2f} (1 = the data are explained to their noise)"
        if setting.sigma > 0
        else f"data misfit {misfit:.2g} of |data|"
    )
    if scores:
        yield f"{'':16s} {'PSNR dB':>8s} {'SSIM':>7s}"
        for name, value in scores.items():
            yield f"{name:16s} {value['psnr']:8.2f} {value['ssim']:7.4f}"


def scored(
    done: Sequence[Restored], mean: Tensor, reference: Tensor, setting: Setting, given: Tensor
) -> dict[str, dict[str, float]]:
    """PSNR and SSIM against the truth, the peak of which is the range: of the images without a prior and the restored ones."""
    shown = {"restored": mean}
    if all(one.simple is not None for one in done):
        shown = {
            "without a prior": torch.stack([one.simple for one in done if one.simple is not None]),
            **shown,
        }
    if given.shape[-2:] != setting.size and not given.is_complex() and given.shape[1] == setting.channels:
        shown = {"bicubic": F.interpolate(given, setting.size, mode="bicubic", align_corners=False), **shown}
    peak, found = float(reference.abs().max()), {}
    for name, image in shown.items():
        a, b = (
            one.abs().flatten(0, 1) if one.is_complex() else one.flatten(0, 1) for one in (image, reference)
        )
        value = psnr(a, b, data_range=peak)
        found[name] = {"psnr": value if math.isfinite(value) else 999.0, "ssim": ssim(a, b, data_range=peak)}
    return found


def views(given: Tensor, restored: Restored, setting: Setting) -> dict[str, Tensor]:
    """The images of a slice by title: what was given, restored, and the spread of the samples where there are several.

    Args:
        given: (channel, height, width), in the units of the file.

    Returns:
        (height, width), or (height, width, 3) in colour, in the units of the file, real; of the size of the restored image.
    """
    images = {"given": F.interpolate(_real(given)[None], setting.size, mode="nearest")[0], "restored": _real(restored.mean)}
    if len(restored.samples) > 1:
        images["spread"] = _real(restored.std)
    return {title: image[0] if len(image) == 1 else image.permute(1, 2, 0) for title, image in images.items()}


def _real(image: Tensor) -> Tensor:
    return (image.abs() if image.is_complex() else image).float()


def write_preview(
    path: Path, given: Tensor, restored: Restored, setting: Setting, truth: Tensor | None, *, title: str
) -> None:
    """A picture of what was given, the image without a prior, the restored one, its spread and the truth."""
    given = given.abs() if given.is_complex() else given
    shown = [("given", F.interpolate(given[None].float(), setting.size, mode="nearest")[0])]
    if restored.simple is not None and tuple(given.shape[-2:]) != setting.size:
        shown.append(("without a prior", restored.simple))
    shown.append(("restored", restored.mean))
    low, high = setting.interval
    if len(restored.samples) > 1:
        shown.append(("spread x 10", 10 * restored.std.abs() + low))
    kernel = setting.files.kernels.get(FOUND)
    if kernel is not None:
        tile = F.interpolate(kernel[None, None] / kernel.max(), setting.size, mode="nearest")[0].expand(setting.channels, -1, -1)
        shown.append(("kernel", low + (high - low) * tile))
    shown += [] if truth is None else [("truth", truth)]
    scaled = [
        (name, ((image.abs() if image.is_complex() else image) - low) / (high - low)) for name, image in shown
    ]
    if setting.channels == 1:
        panel([Column(name, image[0], 1.0) for name, image in scaled], path, title=title)
        return
    frames = [
        (name, (255 * image).round().clamp(0, 255).to(torch.uint8).expand(3, -1, -1))
        for name, image in scaled
    ]
    frames_panel([frames], path, title=title)
