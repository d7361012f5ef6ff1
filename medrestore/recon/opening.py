"""The scan of a plan, and the file of its coil maps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from ..io import KSpaceFile, read_kspace
from .plan import Plan, Reading

AXES = ("slice", "coil", "row", "col")  # of coil maps in files that do not say


@contextmanager
def open_scan(path: Path, plan: Plan, reading: Reading) -> Iterator[tuple[KSpaceFile, KSpaceFile | None]]:
    """The scan and, when the plan names one, the file of its coil maps."""
    with read_kspace(path, dataset=plan.dataset, axes=plan.axes, select=plan.select, uncentred=plan.uncentred,
                     noise_scan=plan.noise_scan, implausible=reading.implausible, max_gb=reading.max_gb,
                     trajectory=plan.trajectory, trajectory_units=plan.trajectory_units, matrix=plan.matrix,
                     separate=plan.separate) as scan:
        if plan.maps is None:
            yield scan, None
            return
        place = Path(plan.maps)
        stated = AXES if place.suffix.lower() in (".h5", ".hdf5", ".mat") else None
        with read_kspace(place, axes=stated, implausible=True, max_gb=reading.max_gb) as maps:
            wanted = (len(scan) // scan.frames, *scan.shape[1:])
            if maps.shape != wanted:
                raise InputError(f"{place} holds maps of shape {maps.shape}, and {path} is {wanted} "
                                 "(slice, coil, height, width); give the maps of this scan")
            yield scan, maps
