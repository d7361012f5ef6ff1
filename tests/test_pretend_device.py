"""The pretend device itself: it refuses and counts what an accelerator refuses and waits for."""

import pytest
import torch
from helpers.pretend_device import counting, pretending


def test_it_computes_and_says_where():
    with pretending() as device:
        x = torch.randn(3, 4, device=device, generator=torch.Generator(device).manual_seed(0))
        z = torch.fft.fft2(torch.complex(x, x))
    assert x.device.type == (x + 1).device.type == z.device.type == "pretend" and x.cpu().device.type == "cpu"
    assert torch.allclose((z.conj() * z).real.cpu(), z.cpu().abs().square(), rtol=1e-4)


@pytest.mark.parametrize("mix", [
    lambda x: x + torch.ones(3, 4), lambda x: torch.ones(3, 4) * x, lambda x: torch.where(torch.ones(4) > 0, x, 0.0),
    lambda x: x.numpy(), lambda x: torch.ones(4).add_(x[0]), lambda x: torch.cat([x, torch.ones(3, 4)]),
    lambda x: torch.randn(3, device=x.device, generator=torch.Generator()),
    lambda x: torch.empty(3, 4).copy_(x, non_blocking=True),
    lambda x: x[torch.ones(3, 4) > 0] + torch.ones(12),
])
def test_it_refuses_what_an_accelerator_refuses(mix):
    with pretending() as device, pytest.raises(RuntimeError):
        mix(torch.ones(3, 4, device=device))


def test_single_numbers_and_indices_may_lie_on_the_host():
    with pretending() as device:
        x = torch.ones(3, 4, device=device)
        two, none = (torch.tensor(number, device="cpu") for number in (2.0, 0.0))
        y = torch.where(x > 0, two * x, none)[torch.tensor([0, 2], device="cpu")]
    assert y.cpu().tolist() == [[2.0] * 4] * 2


def test_reads_and_copies_are_counted():
    with pretending() as device, counting() as counts:
        x = torch.ones(3, 4, device=device)
        assert (counts.reads, counts.waits, counts.copies) == (0, 0, 0)
        float(x.sum()), bool(x.any()), x.tolist(), x.cpu()
        assert counts.reads == 4
        torch.ones(2).to(device), x.copy_(torch.zeros(3, 4)), torch.tensor([1.0, 2.0], device=device)
        assert (counts.waits, counts.copies) == (3, 0)
        torch.ones(2).to(device, non_blocking=True), x.copy_(torch.zeros(3, 4), non_blocking=True)
    assert (counts.reads, counts.waits, counts.copies) == (4, 3, 2)


def test_a_device_without_doubles():
    with pretending(doubles=False) as device:
        for make in (lambda: torch.ones(2, dtype=torch.float64, device=device), lambda: torch.ones(2, device=device).double(),
                     lambda: torch.ones(2, dtype=torch.float64).to(device)):
            with pytest.raises(TypeError, match="double precision"):
                make()
    with pretending() as device:
        assert torch.ones(2, device=device).double().dtype == torch.float64
