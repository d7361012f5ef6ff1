"""Slices that are stored until their volume is complete: read as written, or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.scans import SHAPE

from medrestore.errors import InputError
from medrestore.io import Scan
from medrestore.recon.records import Gathered, Record, Records, columns, key_of

KEY = "k" * 64


def record(seed: int = 0) -> Record:
    generator = torch.Generator().manual_seed(seed)
    one, two = (torch.randn(3, *SHAPE, generator=generator) for _ in range(2))
    samples = torch.complex(one, two)
    shown = {name: one[0].abs() for name in ("zero_filled", "cg_sense", "reference", "one_sample")}
    return Record(samples.mean(0), one[1].abs(), samples, shown, 1.0625, 0.1, (7, 8, 9), ("a note",))


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    records, given = Records(tmp_path), record()
    assert records.load(3, KEY) is None and records.count == 0
    records.save(3, KEY, given)
    found = records.read(3, {3: KEY})
    assert found.std is not None and given.std is not None and found.samples is not None and given.samples is not None
    assert torch.equal(found.image, given.image) and torch.equal(found.std, given.std)
    assert torch.equal(found.samples, given.samples)
    assert (found.misfit, found.noise_std, found.seeds, found.notes) == (1.0625, 0.1, (7, 8, 9), ("a note",))
    assert all(torch.equal(found.magnitudes[name], given.magnitudes[name]) for name in given.magnitudes)
    assert records.count == 1 and records.load(3, "x" * 64) is None and records.load(4, KEY) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_a_damaged_record_is_none(tmp_path: Path, damage: str) -> None:
    records = Records(tmp_path)
    records.save(0, KEY, record())
    content = bytearray(records.place(0, KEY).read_bytes())
    content[len(content) // 2] ^= 1
    records.place(0, KEY).write_bytes({"cut": bytes(content[:5000]), "flipped": bytes(content), "other": b"hello"}[damage])
    assert records.load(0, KEY) is None
    with pytest.raises(InputError, match="slice 0 was removed or damaged"):
        records.read(0, {0: KEY})


def test_keys_tell_data_apart() -> None:
    data = torch.ones(1, 2, *SHAPE, dtype=torch.complex64)
    scan = Scan("a", 0, data, torch.ones(1, SHAPE[1]), None, None, None, SHAPE, None, None)
    other = data.clone()
    other[0, 0, 0, 0] += 1e-6
    keys = [key_of("base", slices) for slices in (
        [(scan, None)], [(scan, data)], [(replace(scan, kspace=other), None)], [(replace(scan, index=1), None)],
        [(replace(scan, mask=0 * scan.mask), None)], [(scan, None), (scan, None)], [(replace(scan, crop=(2, 2)), None)])]
    keys.append(key_of("other", [(scan, None)]))
    assert len(set(keys)) == len(keys) and keys[0] == key_of("base", [(replace(scan, name="b"), None)])


def test_scores_and_facts_leave_out_what_is_empty(tmp_path: Path) -> None:
    gathered, empty = Gathered(), Record.empty(SHAPE, samples=3, keep_samples=True, scored=True)
    gathered.add(0, record())
    gathered.add(1, empty)
    assert gathered.facts == {"misfit": [1.0625, None], "noise_std": [0.1, None], "seeds": [[7, 8, 9], []]}
    assert list(gathered.scores(None)) == ["zero_filled", "cg_sense", "one_sample", "mean"]
    records = Records(tmp_path)
    records.save(0, KEY, empty)
    assert records.read(0, {0: KEY}).seeds == ()
    assert empty.samples is not None and empty.samples.shape == (3, *SHAPE) and not empty.image.any()
    assert [column.title for column in columns(empty)][:3] == ["zero-filled", "CG-SENSE", "restored"]
