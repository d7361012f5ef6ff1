"""Many inputs in a process of their own, one of which ends it; the processes are played here."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from medrestore.errors import InputError
from medrestore.files import Busy
from medrestore.tasks import apart
from medrestore.tasks.apart import ItemBatch, Message, Reports, in_turn, one_by_one
from medrestore.tasks.processes import ProcessDied


class Death(BaseException):
    """Of a process."""


def played(items: Iterable[Any], call: Callable[..., None], *, workers: int, heard: Callable[..., None],
           ended: Callable[..., Iterable[Any]]) -> None:
    """As `over`, in this process."""
    waiting = list(items)
    while waiting:
        item, error = waiting.pop(0), None
        try:
            call(item, 0, lambda message, item=item: heard(item, message))
        except Death as death:
            error = ProcessDied(str(death))
        except InputError as wrong:
            error = wrong
        waiting = [*ended(item, error), *waiting]


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "over", played)


def doing(deaths: str = "", failures: str = "") -> Callable[..., None]:
    def call(batch: ItemBatch[int], worker: int, send: Callable[[Message], None]) -> None:
        reports = Reports(send)
        reports.say(f"{'again' if batch.again else 'first'}: {', '.join(batch.items)}")
        for name, value in batch.items.items():
            reports.begun(name)
            if name in deaths:
                raise Death("its process died by SIGSEGV")
            if name in failures:
                reports.failed(name, f"{name} is wrong")
                continue
            advance = reports.progress(name, value)
            for _ in range(value):
                advance()

    return call


def outcome(call: Callable[..., None]) -> tuple[dict[str, str], list[str], list[str]]:
    said: list[str] = []
    steps: list[str] = []
    failed = in_turn({"a": 1, "b": 2, "c": 3}, call, where="folder", died=lambda name, error: f"{name}: {error}", say=said.append,
                     progress=lambda label, total: lambda: steps.append(label))
    return failed, said, steps


def test_what_is_reported_arrives() -> None:
    assert outcome(doing(failures="b")) == ({"b": "b is wrong"}, ["first: a, b, c"], [*"accc"])


def test_where_one_dies_another_goes_on_behind_it() -> None:
    failed, said, steps = outcome(doing(deaths="b"))
    assert failed == {"b": "b: its process died by SIGSEGV"} and steps == [*"accc"]
    assert said == ["first: a, b, c", "failed: b: its process died by SIGSEGV", "again: c"]
    failed, said, steps = outcome(doing(deaths="abc"))
    assert list(failed) == ["a", "b", "c"] and not steps


def test_what_ends_all_is_raised() -> None:
    def refused(*given: Any) -> None:
        raise InputError("no prior")

    def dead(*given: Any) -> None:
        raise Death("its process died by SIGKILL")

    with pytest.raises(InputError, match="no prior"):
        outcome(refused)
    with pytest.raises(InputError, match="folder: its process died by SIGKILL before it could begin; see"):
        outcome(dead)


def test_whatever_an_item_raises_costs_no_other() -> None:
    said: list[str] = []
    done: list[str] = []
    raised = {"a": None, "b": InputError("b is wrong"), "c": IndexError("7"), "d": Busy("another run is at d"), "e": None}

    def work(name: str) -> None:
        if (error := raised[name]) is not None:
            raise error
        done.append(name)

    failed = dict(one_by_one({name: name for name in raised}, work, said.append, lambda name: said.append(name)))
    assert done == ["a", "e"]
    assert failed == {"b": "b is wrong", "c": "IndexError: 7; do it alone to see more"}
    assert said == ["a", "b", "failed: b: b is wrong", "c", "failed: c: IndexError: 7; do it alone to see more", "d",
                    "left alone: another run is at d", "e"]


def test_an_interrupt_ends_all() -> None:
    def work(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dict(one_by_one({"a": "a"}, work, lambda line: None))
