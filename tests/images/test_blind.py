"""Blurs whose kernel is not known, from files to files and from arrays."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictured import FieldOf

import medrestore as mr
from medrestore.errors import InputError
from medrestore.images.blind import kernel_calls, kernel_of, with_kernel
from medrestore.images.degradation import Degradation
from medrestore.images.files import Job, restore_file
from medrestore.images.plan import Plan, Writing
from medrestore.images.restore import Measured, prepare
from medrestore.operators import gaussian_blur

SIZE = (40, 36)
BLIND = Degradation(task="blind-deblur", kernel_size=7)


def blurred(channels: int = 1) -> torch.Tensor:
    x = torch.zeros(1, channels, *SIZE)
    x[..., 8:24, 10:20], x[..., 20:34, 16:30] = 0.4, 0.9
    return gaussian_blur(SIZE, (1.5, 0.8))(x)


def test_the_kernel_is_found_once_and_used_for_all_slices() -> None:
    y = torch.cat([blurred(), blurred(), blurred()])
    plan = Plan(BLIND, noise_std=0.01)
    measured, prior = Measured(y), FieldOf(1)
    bare = prepare(measured, plan, prior)
    assert kernel_of(bare) is None and kernel_calls(plan) == 60 and kernel_calls(Plan(Degradation(task="denoise"))) == 0
    setting = with_kernel(bare, measured, plan, prior)
    kernel = kernel_of(setting)
    assert kernel is not None and kernel.shape == (7, 7)
    assert float(kernel.min()) >= 0 and float(kernel.sum()) == pytest.approx(1, abs=1e-3)
    blur = setting.problem(y[:1], 2, "cpu").operator
    torch.testing.assert_close(blur(torch.ones(1, 1, *SIZE)), torch.ones(1, 1, *SIZE))
    again = kernel_of(with_kernel(bare, measured, plan, prior))
    assert again is not None and torch.equal(kernel, again)
    other = Plan(Degradation(task="denoise"), noise_std=0.01)
    plain = prepare(measured, other, prior)
    assert with_kernel(plain, measured, other, prior) is plain


def test_from_file_to_file_with_the_kernel_beside(tmp_path: Path) -> None:
    source, out = tmp_path / "y.npy", tmp_path / "x.npy"
    np.save(source, blurred()[0, 0].numpy())
    job = Job(Plan(BLIND, noise_std=0.01, steps=3), FieldOf(1), {"sha256": "0"})
    assert restore_file(source, out, job)
    kernel = np.load(tmp_path / "x.kernel.npy")
    assert kernel.shape == (7, 7) and abs(kernel.sum() - 1) < 1e-3
    record = json.loads((tmp_path / "x.npy.json").read_text())
    assert "x.kernel.npy" in record["files"] and record["method"].startswith("DDS(")
    assert not restore_file(source, out, Job(job.plan, FieldOf(1), {"sha256": "0"}, writing=Writing(resume=True)))


def test_an_array_gives_an_array_and_its_kernel() -> None:
    made = mr.restore_image(blurred(3)[0].permute(1, 2, 0).numpy(), prior=FieldOf(1), task="blind-deblur", kernel_size=5,
                            noise_std=0.01, steps=2)
    assert made.image.shape == (*SIZE, 3) and isinstance(made.kernel, np.ndarray) and made.kernel.shape == (5, 5)


def test_a_kernel_that_does_not_fit() -> None:
    plan, measured = Plan(Degradation(task="blind-deblur", kernel_size=41), noise_std=0.01), Measured(blurred())
    with pytest.raises(InputError, match="a kernel of 41 pixels is too large for"):
        with_kernel(prepare(measured, plan, FieldOf(1)), measured, plan, FieldOf(1))


def test_nothing_is_blurred_by_what_is_not_known() -> None:
    with pytest.raises(InputError, match="give the `task` deblur"):
        mr.degrade(np.ones((16, 16), np.float32), task="blind-deblur")
