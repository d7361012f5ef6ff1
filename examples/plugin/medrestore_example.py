"""A method, an operator and a reader of k-space for medrestore; the entry points in pyproject.toml give them their names."""

from dataclasses import dataclass

import numpy as np
import torch

from medrestore.consistency import prox
from medrestore.io.kspace.arrays import ArrayFile
from medrestore.io.kspace.open import Format
from medrestore.methods import HQS
from medrestore.operators import Mask


@dataclass(frozen=True)
class Halfway(HQS):
    """HQS whose last word has the data: half a proximal step after each estimate."""

    def step(self, x, sigma, sigma_next, *, problem, denoise, constrain, noise):
        x0 = super().step(x, sigma, sigma_next, problem=problem, denoise=denoise, constrain=constrain, noise=noise)
        return constrain((x0 + prox(problem, x0, self.lam)) / 2)


def every_second_row(size, channels, first=0):
    return Mask((torch.arange(size[0]) % 2 == first).float()[:, None].expand(size))


def read(path, request):
    coils, rows, columns = np.fromfile(path, np.int32, 3, offset=8)
    return ArrayFile(path, np.memmap(path, np.complex64, "r", 20, (coils, rows, columns)), ("coil", "row", "col"),
                     kind="raw lines", request=request)


RAW = Format("raw lines", (".lines",), lambda path, begin, request: begin.startswith(b"RAWLINES"), read)
