"""Ways to spoil the bytes of a file."""

from collections.abc import Callable
from pathlib import Path


def cut(to: int | float) -> Callable[[Path], None]:
    """The beginning alone: so many bytes, or such a share."""

    def spoil(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: to if isinstance(to, int) else int(to * len(data))])

    return spoil


def flip(share: float, bit: int = 0x10, count: int = 1) -> Callable[[Path], None]:
    """Bits at a place of the file."""

    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        for at in range(count):
            data[int(share * len(data)) + at] ^= bit
        path.write_bytes(data)

    return spoil
