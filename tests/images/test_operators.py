"""Operators of degradations: each is what its step says, and what does not fit is refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from laws import close, white
from PIL import Image

from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.operators import DegradationFiles, grain, image_channels, operator_of, read_kernel, size_before
from medrestore.operators import (
    AveragePool,
    Grayscale,
    Identity,
    LocalOperator,
    Mask,
    Operator,
    ReflectingBlur,
    bicubic_downsample,
    check,
    gaussian_blur,
    motion_kernel,
)

SIZE = (24, 32)


def made(size=SIZE, channels: int = 3, number: int = 0, **given) -> Operator:
    done = Degradation(**given)
    return operator_of(done, size, channels, DegradationFiles.read(done), number)


def test_each_step_is_its_operator() -> None:
    x = white((1, 3, *SIZE))
    for given, expected in (
        (dict(task="denoise"), Identity()),
        (dict(task="sr", factor=4), AveragePool(4, SIZE)),
        (dict(task="sr", factor=4, filter="bicubic"), bicubic_downsample(SIZE, 4)),
        (dict(task="deblur", blur_std=(2.0, 1.0)), gaussian_blur(SIZE, (2.0, 1.0))),
        (dict(task="deblur", motion=(5.0, 20.0)), ReflectingBlur(motion_kernel(5.0, 20.0), SIZE)),
        (dict(task="colorize", weights=(0.3, 0.6, 0.1)), Grayscale((0.3, 0.6, 0.1))),
    ):
        close(made(**given)(x), expected(x))


@pytest.mark.parametrize(
    "given",
    [
        dict(task="sr", factor=2),
        dict(task="sr", factor=2, filter="bicubic"),
        dict(task="deblur", blur_std=(1.0,)),
        dict(task="deblur", motion=(4.0, 20.0)),
        dict(task="colorize"),
        dict(task="cs", keep=0.3),
        dict(task="cs", keep=0.3, pattern="walsh-hadamard", block=4),
        dict(task="old-photo", factor=2, keep=0.8),
        dict(
            operators=(
                {"kind": "gaussian", "std": (0.7,)},
                {"kind": "pool", "factor": 2},
                {"kind": "pixels", "keep": 0.5},
            )
        ),
    ],
    ids=str,
)
def test_all_are_local_and_obey_their_laws(given) -> None:
    operator = made(**given)
    assert isinstance(operator, LocalOperator)
    check(operator, (3, *SIZE), tolerance=5e-3)


def test_random_steps_are_of_the_seed_and_the_slice() -> None:
    a, b, c, d = (
        made(task="cs", keep=0.4, number=number, pattern_seed=seed).keep
        for seed, number in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert torch.equal(a, b) and not torch.equal(a, c) and not torch.equal(a, d)
    assert int(a.sum()) == round(0.4 * 24 * 32)


def test_compressed_sensing_takes_every_size_and_keeps_means() -> None:
    for size in ((16, 16), (45, 83)):
        x = torch.full((1, 1, *size), 3.0)
        operator = made(size, 1, task="cs", keep=0.25, pattern="walsh-hadamard")
        close(operator.pinv(operator(x)), x)


def test_files_of_masks_and_kernels(tmp_path: Path) -> None:
    hole = np.zeros(SIZE, np.uint8)
    hole[2:5, 3:9] = 255
    Image.fromarray(hole).save(tmp_path / "m.png")
    operator = made(task="inpaint", mask=str(tmp_path / "m.png"), mask_means="hole")
    assert isinstance(operator, Mask) and torch.equal(
        operator.keep, torch.from_numpy((hole == 0).astype(np.float32))
    )
    kernel = np.array([[1, 2], [3, 4]], np.float64)
    np.save(tmp_path / "k.npy", kernel)
    close(read_kernel(str(tmp_path / "k.npy")), torch.from_numpy(kernel / 10).float())
    Image.fromarray(kernel.astype(np.uint8)).save(tmp_path / "k.png")
    close(read_kernel(str(tmp_path / "k.png")), torch.from_numpy(kernel / 10).float())
    for name, values, words in (
        ("zero", np.zeros((2, 2)), "sum to 0"),
        ("nan", np.array([[np.nan]]), "NaN"),
        ("cube", np.ones((2, 2, 2)), r"\(height, width\) of real"),
    ):
        np.save(tmp_path / f"{name}.npy", values)
        with pytest.raises(InputError, match=words):
            read_kernel(str(tmp_path / f"{name}.npy"))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.ones((30, 3)))
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / "all.png")
    for given, words in (
        (dict(task="sr", factor=5), "24 rows do not divide by a factor of 5; pass `crop`"),
        (dict(task="deblur", kernel=str(tmp_path / "k.npy")), "30 x 3 pixels, more than the image"),
        (dict(task="deblur", motion=(90.0, 0.0)), "more than the image"),
        (dict(task="deblur", blur_std=(20.0,)), "give a smaller std"),
        (
            dict(task="inpaint", mask=str(tmp_path / "small.png"), mask_means="keep"),
            "give a mask of that size",
        ),
        (dict(task="inpaint", mask=str(tmp_path / "all.png"), mask_means="keep"), "hides every pixel"),
        (dict(task="inpaint", mask=str(tmp_path / "none.png"), mask_means="keep"), "does not exist"),
        (dict(task="cs", keep=1e-6), "is none of them"),
        (dict(task="cs", keep=0.5, pattern="walsh-hadamard", block=12), "power of two"),
    ):
        with pytest.raises(InputError, match=words):
            made(**given)


def test_sizes_and_channels_follow_from_the_steps() -> None:
    steps = Degradation(task="old-photo", factor=3, keep=0.5).steps
    assert size_before(steps, (10, 7)) == (30, 21) and grain(steps) == 3
    assert image_channels(steps, 1, colour=True) == 3 and image_channels(steps, 1, colour=False) == 1
