"""Readers of other packages; see `tests/test_plugins.py` for those that are installed."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from medrestore.errors import InputError
from medrestore.io.plugged import plugin_at_work, readers
from medrestore.plugins import READERS, Plugin


def test_none_are_there() -> None:
    assert readers(object) == ({}, "")


def test_what_a_reader_raises_is_one_sentence() -> None:
    plugin = Plugin("readers", "raw", "p 1", EntryPoint("raw", "m:A", READERS))
    with (pytest.raises(InputError, match=r"^a\.raw: the plugin 'raw' of p 1 does not work \(KeyError: 'x'\); mend it"),
          plugin_at_work(plugin, Path("a.raw"))):
        raise KeyError("x")
    with pytest.raises(InputError, match=r"^its own words$"), plugin_at_work(plugin, Path("a.raw")):
        raise InputError("its own words")
