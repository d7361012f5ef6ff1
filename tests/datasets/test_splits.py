"""Splits that ship and splits of one's own."""

import json
from pathlib import Path

import pytest

from medrestore.datasets.dreaming import split_numbers
from medrestore.datasets.splits import split
from medrestore.errors import InputError


def test_shipped_splits_are_disjoint_and_own_ones_are_read(tmp_path: Path) -> None:
    def scenes(name: str) -> set[int]:
        return set(split_numbers(name))

    assert not scenes("part1-train") & scenes("part1-test")
    train, held, early = scenes("participants-train"), scenes("participants-validation"), scenes("preliminary")
    assert train | held | early == set(range(100)) and not train & (held | early)
    assert split("fastmri", "knee-train")["share"][1] == split("fastmri", "knee-validation")["share"][0]
    (tmp_path / "own.yaml").write_text(json.dumps({"mine": {"numbers": [3]}}))
    assert split_numbers(f"{tmp_path / 'own.yaml'}:mine") == (3,)
    (tmp_path / "own.yaml").write_text("mine: !!python/object/apply:os.getcwd []")
    with pytest.raises(InputError, match="is not YAML in line 1"):
        split("dreaming", f"{tmp_path / 'own.yaml'}:mine")
