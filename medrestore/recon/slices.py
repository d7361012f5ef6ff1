"""Slices of a volume that walk in step: how many, and the next ones made ready meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .data_step import exact_gb
from .plan import Plan
from .preparation import Prepared

Item = TypeVar("Item")


def slices_at_once(ready: Prepared, plan: Plan, device: str, slices: int) -> int:
    """How many slices have their network calls made together: `Plan.together`, as far as there are slices and memory.

    Args:
        ready: the first of them.
        slices: of the volume.
    """
    wanted = plan.together
    if wanted is None:
        wanted = 1 if device == "cpu" else plan.batch_size // min(plan.samples, plan.batch_size)
    if ready.problem.operator is not ready.sense:  # an exact form, which each slice of a group holds
        wanted = int(min(wanted, plan.spectral_gb / exact_gb(ready.sense)))
    return max(1, min(wanted, slices))


def images_of(plan: Plan, slices: int) -> int:
    """In a network call for so many slices."""
    return slices * min(plan.samples, plan.batch_size)


def ahead(make: Callable[[int], Item], numbers: Sequence[int], *, threaded: bool) -> Iterator[Item]:
    """`make` of each number in turn; threaded, the next is made while the caller is at work on this one.

    So coil maps and spectra, which the CPU makes, cost no time while a GPU samples. Without a GPU there is no core to spare.
    """
    if not threaded:
        yield from map(make, numbers)
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, numbers[0])
        for number in numbers[1:]:
            ready = coming.result()  # and the one before is let go, before another is made
            coming = pool.submit(make, number)
            yield ready
        yield coming.result()
