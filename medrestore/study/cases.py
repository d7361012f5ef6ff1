"""What a study tests on: one case is a volume, a scene or a picture, described by plain data that travels to any worker."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..datasets.cache import write_aside
from ..errors import InputError
from ..recon.files import fingerprint

MOST_NAMED = 20  # missing files in one sentence


@dataclass(frozen=True)
class Case(ABC):
    """One volume, scene or picture.

    Attributes:
        name: in tables; different for each case of a study.
        patient: whom it shows, for statistics.
        identity: what may not be both tuned and tested on.
        fingerprint: sha256 of all that it is made of.
    """

    name: str
    patient: str
    identity: str
    fingerprint: str

    @property
    @abstractmethod
    def images(self) -> int:
        """How many images it holds: slices, frames or one."""


class Fingerprints:
    """sha256 of files, each read once: remembered by path, size and time of change in a file of its own.

    Args:
        place: where they are remembered; None remembers nothing.
    """

    def __init__(self, place: Path | None) -> None:
        self._place, self._known = place, {}
        if place is not None and place.is_file():
            try:
                found = json.loads(place.read_text("utf-8"))
            except (OSError, ValueError, RecursionError):
                found = {}
            self._known = found if isinstance(found, dict) else {}

    def __call__(self, path: Path) -> str:
        """sha256 of one file; of header and data for a BART pair."""
        parts = [path.with_suffix(".hdr"), path.with_suffix(".cfl")] if path.suffix in (".cfl", ".hdr") else [path]
        states = [(part.resolve(), part.stat()) for part in parts]
        key = " ".join(f"{real} {state.st_size} {state.st_mtime_ns}" for real, state in states)
        if key not in self._known:
            self._known[key] = fingerprint(path)
        return self._known[key]

    def together(self, paths: Iterable[Path], root: Path) -> str:
        """sha256 of the names below `root` and the contents of several files."""
        parts = [[str(path.relative_to(root)), self(path)] for path in sorted(paths)]
        return digest(parts)

    def save(self) -> None:
        """Remembers them."""
        if self._place is not None:
            write_aside(self._place, json.dumps(self._known, indent=0, sort_keys=True))


def digest(values: object) -> str:
    """sha256 of plain data."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def hashed(text: str) -> str:
    """A name that tells nothing of what it stands for."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refuse_missing(paths: Sequence[str | Path], source: str) -> None:
    """Names everything that is not there, in one sentence.

    Raises:
        InputError: something is not there.
    """
    missing = [str(path) for path in dict.fromkeys(map(str, paths))
               if not Path(path).expanduser().exists() and not Path(f"{path}.hdr").exists()]
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise InputError(f"{source}: not there: {', '.join(missing[:MOST_NAMED])}{more}; correct the paths or bring the files")


def disjoint(data: Sequence[Case], validation: Sequence[Case], source: str) -> None:
    """Refuses to tune on what is tested on.

    Raises:
        InputError: names one patient or scene that both have.
    """
    tested = {case.identity: case.name for case in data}
    shared = [case for case in validation if case.identity in tested]
    if shared:
        more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise InputError(f"{source}: validation and data share {shared[0].name}{more}; tune on patients that are not tested on")


def unique(cases: Sequence[Case], source: str) -> None:
    """Refuses two cases of one name, whose results would fall together."""
    names = [case.name for case in cases]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{source}: two cases are called {twice}; rename one of the files")


def between(slices: str | tuple[int, int], count: int, what: str) -> tuple[int, ...]:
    """The numbers of `middle`, `all` or [first, last), counted from the end where negative.

    Raises:
        InputError: there are none.
    """
    if slices == "middle":
        return (count // 2,) if count else ()
    chosen = tuple(range(count)) if slices == "all" else tuple(range(*slice(*slices).indices(count)))
    if not chosen:
        raise InputError(f"{what} has {count} slices, and {list(slices)} takes none of them")
    return chosen
