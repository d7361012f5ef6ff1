"""A few hundred damaged files for each reader: each is read or refused in one sentence."""

from pathlib import Path

import pytest
from fuzz.campaign import outcome, tried
from fuzz.mutations import mutant
from fuzz.readers import READERS, Reader


@pytest.mark.parametrize("reader", READERS.values(), ids=list(READERS))
def test_damaged_files(reader: Reader, tmp_path: Path) -> None:
    whole = reader.samples(tmp_path)
    assert [outcome(reader, path) for path in whole] == ["read"] * len(whole)
    found = [tried(reader, whole, number, seed=1) for number in range(reader.tested)]
    wrong = {number: one for number, one in enumerate(found) if one not in ("read", "refused")}
    assert not wrong
    assert "refused" in found


def test_a_mutant_is_a_function_of_its_seed() -> None:
    data = bytes(range(256))
    assert mutant(data, 1, 2, 3) == mutant(data, 1, 2, 3) != data
    assert len({mutant(data, 1, 2, number) for number in range(100)}) > 90
    assert isinstance(mutant(b"", 1), bytes)
