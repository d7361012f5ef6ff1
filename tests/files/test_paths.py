"""A leading ~, also where nobody knows a home."""

import os
from pathlib import Path

import pytest

from medrestore.errors import InputError
from medrestore.files import expanded


def test_the_home_is_put_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a" and expanded("b/~") == Path("b/~")


def test_without_a_home_the_way_out_is_said(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user in no list
    with pytest.raises(InputError, match=r"~/scans begins with ~, .*; write the path in full"):
        expanded("~/scans")
    assert expanded("/scans") == Path("/scans")
