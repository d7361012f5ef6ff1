"""Rows of the table: Ah A beside its peers, and coil maps."""

import numpy as np
import torch
from speed_cases import Size, head, plain_normal
from speed_peers import normals
from speed_timing import Row, medians
from torch import Tensor

from medrestore.mri import espirit, sampling_mask, simulated_maps
from medrestore.operators import Sense


def normal(kind: str, images: int, coils: int, side: int, aims: dict[str, float]) -> Row:
    """Ah A, `kind` being that of the mask."""
    generator = torch.Generator().manual_seed(0)
    shape = (side, side)
    sense = Sense(simulated_maps(coils, shape, generator=generator), sampling_mask(kind, shape, 4, seed=0).mask)
    x = torch.randn(images, 1, *shape, dtype=torch.complex64, generator=generator)
    peers, notes = normals(sense, x)
    expected = plain_normal(sense, x)
    for name, image in {"this": sense.normal(x), **{name: peer.image(peer.run()) for name, peer in peers.items()}}.items():
        assert image.shape == expected.shape and torch.allclose(image, expected, atol=1e-4), f"{name} computes something else"
    contenders = {"this": lambda: sense.normal(x), "plain": lambda: plain_normal(sense, x)}
    if images > 1:
        contenders["plain, image by image"] = lambda: [plain_normal(sense, one) for one in x.split(1)]
    contenders |= {name: peer.run for name, peer in peers.items()}
    axes = "one axis" if sense.one_axis else "both axes"
    said = f"AhA, {axes}, {coils} coils, {side} x {side}" + (f", {images} images" if images > 1 else "")
    return Row(said, medians(contenders), aims={name: aim for name, aim in aims.items() if name in contenders}, notes=notes)


def normal_rows(size: Size) -> list[Row]:
    """Ah A of one image and of several, masks along one axis and along both."""
    several = (size.several, size.several_coils, size.several_side)
    return [
        normal("uniform1d", 1, size.coils, size.side, {"plain": 3.0, "sigpy": 6.0, "deepinv": 4.0, "mrpro": 4.0}),
        normal("poisson2d", 1, size.coils, size.side, {"plain": 1.7}),
        normal("uniform1d", *several, {"plain": 20.0, "deepinv": 20.0}),
        normal("poisson2d", *several, {}),
    ]


def sigpys_espirit(scan: Tensor) -> np.ndarray:
    """sigpy's maps (coil, h, w) from the 24 x 24 centre of k-space."""
    from sigpy.mri.app import EspiritCalib

    return EspiritCalib(scan[0].numpy(), calib_width=24, crop=0.8, show_pbar=False).run()


def calibration(coils: int, shape: tuple[int, int]) -> Row:
    """ESPIRiT."""
    scan, lines = head(coils, shape)
    ours, theirs = espirit(scan, mask=lines)[0], torch.from_numpy(sigpys_espirit(scan))
    inside = (ours != 0).any(0)
    assert (inside != (theirs != 0).any(0)).float().mean() < 1e-3
    off = (ours - (ours * theirs.conj()).sum(0).sgn() * theirs).abs().amax(0)[inside & (theirs != 0).any(0)]
    assert (off < 1e-3).float().mean() > 0.995
    return Row(f"ESPIRiT, {coils} coils, {shape[0]} x {shape[1]}, 24 lines", medians({
        "this": lambda: espirit(scan, mask=lines), "sigpy": lambda: sigpys_espirit(scan)}), aims={"sigpy": 5.0})


def calibration_rows(size: Size) -> list[Row]:
    """ESPIRiT at the size of the others, and at that of the brains of the quality table."""
    return [calibration(size.coils, (size.side, size.side)),
            *([calibration(8, (217, 182))] if size.side > 200 else [])]
