"""Bad input is one kind of error, which no other clause of a program catches by accident."""

import pytest

from medrestore.errors import InputError, closest, first_line, meant


def test_the_message_is_the_sentence() -> None:
    assert str(InputError("scan.h5 is cut short; copy it again")) == "scan.h5 is cut short; copy it again"


@pytest.mark.parametrize("common", [ValueError, OSError, RuntimeError, KeyError])
def test_it_is_none_of_the_errors_that_readers_translate(common: type[Exception]) -> None:
    """Readers turn these into sentences; a sentence must pass through them as it is."""
    assert not issubclass(InputError, common)


@pytest.mark.parametrize(("name", "close"), [
    ("dsd", "dds"), ("HQS", "hqs"), ("zero-fill", "zero-filled"), ("qqqq", None), (3, None),
])
def test_the_name_that_was_meant(name: object, close: str | None) -> None:
    known = ("hqs", "dds", "zero-filled")
    assert closest(name, known) == close
    assert meant(name, iter(known)) == ("" if close is None else f"; did you mean {close}?")


def test_what_a_library_said_is_told_in_a_line() -> None:
    assert first_line(ValueError("bad header\nat byte 3")) == "bad header"
    assert first_line(ValueError()) == "ValueError" and first_line(KeyError("\n")) == repr("\n")
