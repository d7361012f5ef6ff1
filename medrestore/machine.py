"""Where the network of a job runs, as plain data; importing it loads no torch."""

from dataclasses import dataclass

from .settings import Checked


@dataclass(frozen=True)
class PriorMachine(Checked):
    """Where a prior runs: nothing of it decides the result, but for rounding.

    Args:
        device: cpu, cuda, cuda:1, mps, xpu; default: the accelerator that is there, else the CPU.
        compiled: torch.compile the network (CUDA graphs on a GPU): pays for many images of one size, not on most CPUs.
    """

    device: str | None = None
    compiled: bool = False

    @property
    def place(self) -> str:
        """The device that is used."""
        from .devices import default_device

        return default_device() if self.device is None else self.device
