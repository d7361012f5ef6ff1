"""BART .cfl/.hdr pairs."""

from pathlib import Path

from ..file_array import FileArray
from ..guards import cfl_files, is_cfl, open_cfl, require
from .arrays import ArrayFile
from .base import Request

ROLES = {3: "coil", 5: "contrast", 10: "phase", 13: "slice", 14: "average"}  # of BART's dimensions (TE, TIME, AVG)


def recognises(path: Path, begin: bytes, request: Request) -> bool:
    """A name that ends in .cfl or .hdr, or in neither where there is a .hdr."""
    return is_cfl(path)


def read(path: Path, request: Request) -> ArrayFile:
    """A BART .cfl/.hdr pair, dimensions (x, y, z, coil, maps, ..., slice = dimension 13).

    The rule: the image plane is the two of x, y, z that are longer than 1. With x among them, x is the readout and
    becomes the height, the other one the width; without x (both phase encodes of a 3-D scan, x already decoded), z is the
    partition, which becomes the height, and y the width: one position of a slab, or with dimension 13 its positions. All three
    longer than 1 is a 3-D scan, whose slices are along x, the readout. Refused is any dimension beside those of `ROLES`. `axes`
    names the dimensions longer than 1, in the .hdr's order, and overrides the rule: with slice,col,partition,coil a slab that is
    an image along x is read, whose positions are slices.
    """
    array, axes = open_cfl(path, max_gb=request.max_gb), request.axes
    dims = array.shape
    long = [axis for axis, n in enumerate(dims) if n > 1]
    if axes is None:
        plane = [axis for axis in long if axis < 3]
        other = [axis for axis in long if axis > 3 and axis not in ROLES]
        require(
            len(plane) >= 2 and not other and not (len(plane) == 3 and 13 in long),
            f"{path} has the dimensions {dims}; a stack of 2-D slices (two of x, y, z; coil; dimensions 5 = echo, 10 = time, "
            "13 = slice, 14 = average) or one 3-D scan (x, y, z; coil; echo, time, average) is needed: name the dimensions "
            "longer than 1, as axes=('slice', 'row', 'col', 'coil').",
        )
        names = ("row", "col", "partition") if len(plane) == 3 else ("row", "col") if plane[0] == 0 else ("col", "partition")
        role = ROLES | dict(zip(plane, names, strict=True))
        axes = [role[axis] for axis in long]
    squeezed = FileArray(array.reshape([dims[axis] for axis in long], order="F"))
    _, data = cfl_files(path)
    return ArrayFile(data, squeezed, axes, kind="BART cfl", request=request)
