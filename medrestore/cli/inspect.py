"""What a scan, a reconstruction or a prior is, and whether it is sane.

Examples:
  medrestore inspect scan.h5
  medrestore inspect raw_data.mat --dataset raw --axes coil,slice,col,row
  medrestore inspect brain-mr-starter
"""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from ..errors import InputError
from .terminal import Help, say


def parser() -> ArgumentParser:
    """The options of `inspect`."""
    p = ArgumentParser(description=__doc__, formatter_class=Help, exit_on_error=False)
    p.add_argument("file", type=str, help="a scan, an output of recon, a prior's folder, or the name of a shipped prior")
    p.add_argument("--dataset", type=str | None, default=None, help="name of the array in an HDF5 or MATLAB file")
    p.add_argument("--axes", type=str | None, default=None, help="its axes, as coil,slice,row,col")
    return p


def run(options: Namespace) -> int:
    """Prints one line a fact."""
    for name, value in _facts(options).items():
        say(f"{name + ':':16s} {value}")
    return 0


def _facts(options: Namespace) -> dict[str, str]:
    from ..io import inspect_file, read_provenance
    from ..priors.store import describe, shipped

    if options.file in shipped() or (Path(options.file) / "prior.json").is_file():
        return _flat(describe(options.file))
    if Path(options.file).suffix in (".h5", ".hdf5") and options.axes is None:
        try:
            made = read_provenance(options.file)
        except InputError:
            made = {}
        if made:
            return {"kind": "reconstruction by medrestore"} | _flat(made)
    return inspect_file(options.file, dataset=options.dataset, axes=options.axes.split(",") if options.axes else None)


def _flat(values: dict, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: str(value)}
    return flat
