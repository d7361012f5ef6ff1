"""Changes of the bytes of a file, each a pure function of its seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

NUMBERS = (0, 1, -1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1)
LENGTHS = (1, 2, 4, 8)
HEAD = 2048  # bytes, where most headers are; half of the changes fall there

Change = Callable[[bytearray, np.random.Generator], None]


def mutant(data: bytes, *seed: int) -> bytes:
    """`data` with one to four changes."""
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 4]))):
        if len(changed) > 0:
            CHANGES[rng.choice(len(CHANGES), p=SHARES)](changed, rng)
    return bytes(changed)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    return int(rng.integers(min(len(data), HEAD) if rng.random() < 0.5 else len(data)))


def _bit(data: bytearray, rng: np.random.Generator) -> None:
    data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _byte(data: bytearray, rng: np.random.Generator) -> None:
    data[_place(data, rng)] = int(rng.choice([0, 1, 255, int(rng.integers(256))]))


def _number(data: bytearray, rng: np.random.Generator) -> None:
    """A whole number that programs have trouble with, of any width and order."""
    width, at = int(rng.choice(LENGTHS)), _place(data, rng)
    value = int(rng.choice(np.array(NUMBERS, object))) & ((1 << 8 * width) - 1)
    data[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.7 else "big")


def _float(data: bytearray, rng: np.random.Generator) -> None:
    value = rng.choice([np.nan, np.inf, -np.inf, 3e38, 1e-45])
    part = np.array(value, rng.choice(["<f4", "<f8", ">f4"])).tobytes()
    at = _place(data, rng) // len(part) * len(part)
    data[at : at + len(part)] = part


def _cut(data: bytearray, rng: np.random.Generator) -> None:
    del data[_place(data, rng) :]


def _removed(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 64))]


def _doubled(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + int(rng.integers(1, 64))] * int(rng.choice([1, 2, 50]))


def _inserted(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    data[at:at] = rng.bytes(int(rng.integers(1, 16)))


def _exchanged(data: bytearray, rng: np.random.Generator) -> None:
    one, other, size = _place(data, rng), _place(data, rng), int(rng.choice(LENGTHS))
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


WEIGHTS: dict[Change, int] = {_bit: 6, _byte: 6, _number: 6, _float: 2, _cut: 1, _removed: 1, _doubled: 1, _inserted: 1,
                            _exchanged: 2}
CHANGES = tuple(WEIGHTS)
SHARES = np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values())
