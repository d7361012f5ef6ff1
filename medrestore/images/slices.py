"""The restored slices of a file in a folder, which a run that stopped leaves to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError
from ..io.npz import read_npz, write_npz
from ..priors import Prior
from .plan import Plan
from .restore import Measured, Restored, Setting, restore_slice


@dataclass(frozen=True)
class Slices:
    """The restored slices of a file in a folder, each a file that is there in full or not at all."""

    folder: Path

    @property
    def count(self) -> int:
        """How many are stored."""
        return len(list(self.folder.glob("*.npz")))

    def missing(self, numbers: Sequence[int]) -> list[int]:
        """Those of some slices that are not stored."""
        return [number for number in numbers if self.load(number) is None]

    def restore(
        self,
        measured: Measured,
        setting: Setting,
        numbers: Sequence[int],
        prior: Prior,
        plan: Plan,
        *,
        device: str,
    ) -> None:
        """Restores and stores those that are missing."""
        for number in self.missing(numbers):
            y = measured.y[number : number + 1]
            self.save(number, restore_slice(setting, y, number, prior, plan, device=device))

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    def save(self, number: int, restored: Restored) -> None:
        """Stores a slice."""
        misfit = np.array([restored.misfit])
        write_npz(self._place(number), samples=restored.samples, misfit=misfit, simple=restored.simple)

    def load(self, number: int) -> Restored | None:
        """A slice; None where there is none, or a damaged one."""
        place = self._place(number)
        try:
            samples, misfit = (torch.from_numpy(read_npz(place, name)) for name in ("samples", "misfit"))
        except InputError:
            return None
        try:
            simple = torch.from_numpy(read_npz(place, "simple"))
        except InputError:
            simple = None
        return Restored(samples, simple, float(misfit))

    def read(self, number: int) -> Restored:
        """A slice that has been stored.

        Raises:
            InputError: it was removed or damaged since.
        """
        restored = self.load(number)
        if restored is None:
            raise InputError(f"slice {number} was removed or damaged while the others were made; run again")
        return restored
