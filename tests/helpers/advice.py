"""Advice of refusals: what a test follows, and the sentence that it came from."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from helpers.scans import Bench
from torch import Tensor

from medrestore.errors import InputError

Test = TypeVar("Test", bound=Callable[..., Any])
Step = Callable[[Path], object]  # in an empty folder


def follows(*offers: str) -> Callable[[Test], Test]:
    """Names what a test follows, as it stands in the sentences; tests/test_advice.py reads it."""
    assert offers

    def same(test: Test) -> Test:
        return test

    return same


@contextmanager
def advised(pattern: str) -> Iterator[None]:
    """A call that must be refused in a sentence which holds the pattern."""
    with pytest.raises((InputError, ValueError, TypeError), match=pattern) as caught:
        yield
    assert "\n" not in str(caught.value)


def advice(bench: Bench, pattern: str, *words: Any) -> re.Match[str]:
    """What the command line says to a mistake, which must hold the pattern; exit code 2 and one line."""
    outcome = bench.call(*words)
    found = re.search(pattern, outcome.err)
    assert outcome.code == 2 and outcome.err.count("\n") == 1 and found, outcome
    return found


def works(bench: Bench, *words: Any) -> str:
    """What a command prints that must succeed."""
    try:
        outcome = bench.call(*words)
    except SystemExit as end:  # of --help and --print_config
        assert end.code in (0, None)
        return bench.said()
    assert outcome.code == 0, outcome
    return outcome.out


def case(sentence: str, wrong: Step, right: Step) -> Any:
    """A row of a table that `followed` goes through; tests/test_advice.py reads the sentence.

    Args:
        sentence: as it stands in the code, {} for its values.
        wrong: what is refused in that sentence.
        right: the same with the advice followed; returns whether the work is done, with the right value.
    """
    return pytest.param(sentence, wrong, right, id=re.sub(r"[^a-z]+", "-", sentence.lower())[-60:])


def followed(sentence: str, wrong: Step, right: Step, folder: Path) -> None:
    with advised(re.escape(sentence).replace(r"\{\}", ".*")):
        wrong(folder)
    done = right(folder)
    assert isinstance(done, bool | np.bool_ | Tensor) and bool(done), sentence


def damage(sentence: str, write: Callable[[Path], Path], spoil: Callable[[Path], object], read: Callable[[Path], Any],
           value: Any = None) -> Any:
    """A row of a file that is spoilt, and read again once it is written again as the sentence says.

    Args:
        sentence: as for `case`.
        write: a whole file, or folder, into an empty folder; returns its path.
        spoil: what happens to it; then it is refused in that sentence.
        read: it.
        value: what it holds; by default what is read of one that nothing happened to.
    """
    def written(folder: Path) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return write(folder)

    def wrong(folder: Path) -> None:
        path = written(folder / "there")
        spoil(path)
        read(path)

    def right(folder: Path) -> bool:
        found = read(written(folder / "there"))
        expected = read(written(folder / "other")) if value is None else value
        return bool(np.array_equal(np.asarray(found), np.asarray(expected)))

    return case(sentence, wrong, right)
