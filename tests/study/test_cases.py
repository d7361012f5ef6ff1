"""Cases and what is asked of them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from helpers.studies import changed, opened

from medrestore.errors import InputError
from medrestore.study.cases import (
    CaseRecord,
    Clock,
    between,
    check_disjoint,
    check_unique,
    part_of,
    refuse_missing,
    without_names,
)
from medrestore.study.run import scored_tasks


@pytest.mark.parametrize(("slices", "numbers"), [
    ("middle", (2,)), ("all", (0, 1, 2, 3, 4)), ((1, 3), (1, 2)), ((-2, 5), (3, 4)), ((3, 99), (3, 4)),
])
def test_slices_by_name_and_by_range(slices: Any, numbers: tuple[int, ...]) -> None:
    assert between(slices, 5, "scan") == numbers


def test_a_range_without_slices_is_refused() -> None:
    with pytest.raises(InputError, match=r"scan has 5 slices, and \[7, 9\] takes none of them"):
        between((7, 9), 5, "scan")


def test_cases_that_share_a_name_or_a_patient_are_refused(tmp_path: Path) -> None:
    first, second = opened(changed(), tmp_path / "out").data
    check_unique([first, second], "x")
    check_disjoint([first], [second], "x")
    with pytest.raises(InputError, match="two cases are called phantom0"):
        check_unique([first, second, first], "x")
    with pytest.raises(InputError, match="share phantom0 and 1 more"):
        check_disjoint([first, second], [first, second], "x")


def test_every_missing_path_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "a.hdr").touch()
    refuse_missing([tmp_path, tmp_path / "a"], "x")
    with pytest.raises(InputError, match="x: not there: no/a, no/b; correct"):
        refuse_missing(["no/a", "no/b", "no/a"], "x")
    with pytest.raises(InputError, match="no/19 and 5 more;"):
        refuse_missing([f"no/{number}" for number in range(25)], "x")


def test_a_part_holds_the_fields_of_its_class_alone() -> None:
    @dataclass(frozen=True)
    class Named(CaseRecord):
        path: str

    part = part_of(CaseRecord, Named("a", "b", "c", "/elsewhere"))
    assert part == CaseRecord("a", "b", "c") and type(part) is CaseRecord


def test_rows_begin_with_the_case_and_the_method(tmp_path: Path) -> None:
    item = scored_tasks(opened(changed(seeds=[3]), tmp_path / "out"), {})[0].what
    assert item.row("ZF, x", 4, 2.0, 5.0) == {
        "case": "phantom0", "patient": "phantom0", "slice": 4, "setting": "uniform1d 2x", "accel": 2.0, "method": "ZF, x",
        "seed": 3, "calls": 5.0}


def test_a_clock_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 2.0, 10.0, 13.0])
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    clock = Clock()
    for _ in range(2):
        with clock.timing("method"):
            pass
    assert (clock.method, clock.preparation) == (5.0, 0.0)


def test_cases_without_names(tmp_path: Path) -> None:
    """Patients stay apart, whose names and identifiers are nowhere, and equal contents do not fall together."""
    first, second = opened(changed(), tmp_path / "out").data
    cases = [replace(first, name=name, patient=patient, fingerprint=fingerprint) for name, patient, fingerprint in (
        ("JANE", "JANE", "a" * 64), ("JOHN", "JOHN", "b" * 64), ("JANE2", "JANE", "c" * 64), ("COPY", "JOHN", "a" * 64))]
    a, b, c, again = (f"case-{text}" for text in ("a" * 12, "b" * 12, "c" * 12, "a" * 12 + "-2"))
    assert [(case.record.name, case.record.patient) for case in without_names(cases)] == [(a, a), (b, b), (c, a), (again, b)]
    assert second.record == CaseRecord(second.name, second.patient, second.fingerprint)
