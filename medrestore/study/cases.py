"""What a study tests on: one case is a volume, a scene or a picture, described by plain data that travels to
any worker.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..evaluation.protocols import Row
from ..files import expanded
from .config import MethodConfig
from .methods import Solver
from .sources import Condition

C = TypeVar("C", bound=Condition)
S = TypeVar("S", bound=Solver)
T = TypeVar("T")
DIGITS = 12  # of a digest, in the place of a name
MOST_NAMED = 20  # missing files in one sentence


@dataclass(frozen=True)
class CaseRecord:
    """What decides the rows of a case.

    Attributes:
        name: in tables; different for each case of a study.
        patient: whom it shows, for statistics.
        fingerprint: sha256 of all that it is made of.
    """

    name: str
    patient: str
    fingerprint: str


@dataclass(frozen=True)
class MethodRecord:
    """What decides the outputs of a method.

    Attributes:
        label: in tables.
        config: with its hyper-parameters settled.
        plan: that was made of it, with the defaults of its class; None for methods without one.
        weights: sha256 of all that was trained.
    """

    label: str
    config: MethodConfig
    plan: object
    weights: str


@dataclass(frozen=True)
class Content(Generic[C]):
    """All that decides the files of a task.

    Attributes:
        protocol: how outputs are scored.
        case, condition, method, seed: what is restored from what and how.
        with_image: whether its image is stored for the report.
        lpips: sha256 of the files with the weights of LPIPS.
        inception: sha256 of the file with the weights of FID's network; empty without one.
    """

    protocol: str
    case: CaseRecord
    condition: C
    method: MethodRecord
    seed: int
    with_image: bool
    lpips: tuple[str, ...]
    inception: str = ""


@dataclass(frozen=True)
class Resources:
    """What a task works with; none of it decides its files.

    Attributes:
        spectral_gb: largest exact spectrum that any method of the study asks for; 0 for none.
        cache: folder of coil maps.
        lpips: files with the weights of LPIPS.
        inception: file with the weights of FID's network, or None.
    """

    spectral_gb: float
    cache: Path | None
    lpips: tuple[str, ...]
    inception: str | None = None


@dataclass(frozen=True)
class Item(Generic[C, S]):
    """What a task does, as plain data.

    Attributes:
        content: all that decides its files.
        case: where the data come from.
        solver: of the method.
        resources: what it works with.
    """

    content: Content[C]
    case: "Case[C, S]"
    solver: S
    resources: Resources

    @property
    def label(self) -> str:
        """Of the method."""
        return self.content.method.label

    def row(self, label: str, number: int | None, accel: float | None, calls: float = 0.0) -> Row:
        """What every row begins with; `number` is that of the slice or frame, None for the whole case."""
        about = self.content
        return {"case": about.case.name, "patient": about.case.patient, "slice": number,
                "setting": about.condition.name,
                "accel": accel, "method": label, "seed": about.seed, "calls": calls}


@dataclass
class Clock:
    """Seconds of the method and of the preparation that it shares with others."""

    method: float = 0.0
    preparation: float = 0.0

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """Adds the seconds of a block to `method` or `preparation`."""
        started = time.monotonic()
        yield
        setattr(self, what, getattr(self, what) + time.monotonic() - started)


@dataclass(frozen=True)
class Solved:
    """What a method made of a case.

    Attributes:
        rows: of scores.
        image, reference: of one slice, frame or picture, (h, w) or (h, w, 3), as shown.
        features: (2, 2048) of FID, of the picture and its truth; None where they are not asked for.
    """

    rows: list[Row]
    image: Tensor
    reference: Tensor
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Case(CaseRecord, ABC, Generic[C, S]):
    """One volume, scene or picture.

    Attributes:
        identity: what may not be both tuned and tested on.
        shown: what outputs say of it where they tell no name; see `without_names`.
    """

    identity: str
    shown: CaseRecord | None = field(default=None, kw_only=True)

    @property
    def record(self) -> CaseRecord:
        """What decides the rows, and stands in them."""
        return self.shown or part_of(CaseRecord, self)

    @property
    @abstractmethod
    def images(self) -> int:
        """How many images it holds: slices, frames or one."""

    @property
    @abstractmethod
    def grid(self) -> tuple[int, int]:
        """(height, width) of an image as it is restored."""

    @property
    def coils(self) -> int:
        """Of a scan; 1 for other images."""
        return 1

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of an image as it is shown."""

    @abstractmethod
    def solve(self, item: Item[C, S], device: str, clock: Clock) -> Solved:
        """Restores the case and scores it."""

    def prepare(self, item: Item[C, S], device: str) -> bool:
        """Prepares the first image without any store, to be timed; False where nothing is to prepare."""
        return False


def part_of(kind: type[T], instance: Any) -> T:
    """The fields that `instance` shares with the dataclass `kind`, such as a base class of its own."""
    # a dataclass
    return kind(**{one.name: getattr(instance, one.name) for one in fields(kind)})  # type: ignore[arg-type]


def without_names(cases: Sequence[Case[Any, Any]]) -> list[Case[Any, Any]]:
    """The cases, shown by digests of their contents; a patient by the first case."""
    names: dict[str, str] = {}
    patients: dict[str, str] = {}
    for case in cases:
        name = f"case-{case.fingerprint[:DIGITS]}"
        same = sum(other.startswith(name) for other in names.values())
        names[case.name] = f"{name}-{same + 1}" if same else name
        patients.setdefault(case.patient, names[case.name])
    return [replace(case, shown=CaseRecord(names[case.name], patients[case.patient], case.fingerprint)) for case in cases]


def refuse_missing(paths: Sequence[str | Path], source: str) -> None:
    """Names every path that does not exist, in one sentence.

    Raises:
        InputError: a path does not exist.
    """
    missing = [str(path) for path in dict.fromkeys(map(str, paths))
               if not expanded(path).exists() and not Path(f"{path}.hdr").exists()]
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise InputError(f"{source}: not there: {', '.join(missing[:MOST_NAMED])}{more}; correct the paths or bring the files")


def check_disjoint(data: Sequence[Case[Any, Any]], validation: Sequence[Case[Any, Any]], source: str) -> None:
    """Refuses to tune on what is tested on.

    Raises:
        InputError: names one patient or scene that both have.
    """
    tested = {case.identity: case.name for case in data}
    shared = [case for case in validation if case.identity in tested]
    if shared:
        more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise InputError(f"{source}: validation and data share {shared[0].name}{more}; tune on patients that are not tested on")


def check_unique(cases: Sequence[Case[Any, Any]], source: str) -> None:
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
    if not isinstance(slices, tuple) and slices == "middle":
        return (count // 2,) if count else ()
    chosen = tuple(range(*slice(*slices).indices(count))) if isinstance(slices, tuple) else tuple(range(count))
    if not chosen:
        raise InputError(f"{what} has {count} slices, and {list(slices)} takes none of them")
    return chosen
