"""Groups of slices of a volume: how many share a batch, and preparing the next group during sampling."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..operators import Sense
from .data_step import exact_gb
from .plan import Plan
from .prepared import Prepared

Item = TypeVar("Item")


def slices_at_once(ready: Prepared, plan: Plan, device: str, slices: int, *, frames: int = 1) -> int:
    """How many slices share a batch: `Plan.together`, as far as there are slices and memory; the frames of a slice always do.

    Args:
        ready: the first slice.
        slices: of the volume, each frame counting.
        frames: of each slice.
    """
    if plan.across_slices is not None:
        return min(plan.slab, slices)
    if frames > 1:
        return min(frames * max(1, slices_at_once(ready, plan, device, slices) // frames), slices)
    wanted = plan.together
    if wanted is None:
        wanted = 1 if device == "cpu" else plan.batch_size // min(plan.samples, plan.batch_size)
    if isinstance(ready.sense, Sense) and ready.problem.operator is not ready.sense:  # an exact form for each slice
        wanted = int(min(wanted, plan.spectral_gb / exact_gb(ready.sense)))
    return max(1, min(wanted, slices))


def images_of(plan: Plan, slices: int) -> int:
    """The largest batch for so many slices."""
    return plan.batch_size if plan.across_slices is not None else slices * min(plan.samples, plan.batch_size)


def slice_names(indices: Sequence[int], frames: int = 1) -> str:
    """Slices in words, by their numbers; of a series by slice and frame."""
    if frames == 1:
        return f"{'slice' if len(indices) == 1 else 'slices'} {', '.join(map(str, indices))}"
    return ", ".join(f"slice {index // frames} frame {index % frames}" for index in indices)


def ahead(make: Callable[[int], Item], numbers: Sequence[int], *, threaded: bool) -> Iterator[Item]:
    """`make` of each number in turn; threaded, the next is made while the caller works on the current one.

    Coil maps and spectra, which the CPU computes, then cost no time while a GPU samples. Without a GPU no core is idle.
    """
    if not threaded:
        yield from map(make, numbers)
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, numbers[0])
        for number in numbers[1:]:
            ready = coming.result()  # which releases the one before, ahead of making another
            coming = pool.submit(make, number)
            yield ready
        yield coming.result()
