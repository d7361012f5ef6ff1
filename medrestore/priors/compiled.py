"""A network behind `torch.compile`, which runs uncompiled where that fails."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..allocator import is_out_of_memory
from .architectures import tensor_of


class Compiled(torch.nn.Module):
    """A network that is compiled at its first call; where that fails it runs uncompiled, with one warning.

    On a GPU its calls are CUDA graphs: their outputs are overwritten by the next call, so copies are returned.

    Args:
        net: any network whose output is a tensor, or has one as its `sample`.
    """

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net
        self.run: Callable[..., Any] | None = None

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        if self.run is not self.net:
            try:
                return self._compiled(*inputs, **named)
            except Exception as error:  # no compiler, an unsupported operation, ...: the network runs without
                if is_out_of_memory(error):
                    raise
                warnings.warn(f"the network could not be compiled and runs as it is ({type(error).__name__}: "
                              f"{(str(error).splitlines() or [''])[0][:200]})", stacklevel=2)
                self.run = self.net
        return tensor_of(self.net(*inputs, **named))

    def _compiled(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        with warnings.catch_warnings():  # of the libraries that compile
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")
            if self.run is None:
                graphs = inputs[0].device.type == "cuda"
                self.run = torch.compile(self.net, dynamic=False, mode="reduce-overhead" if graphs else "default")
            return tensor_of(self.run(*inputs, **named)).clone()
