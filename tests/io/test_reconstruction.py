"""Reconstructions on disk: whole or not at all, readable by others, nothing about a patient."""

import hashlib
import json

import h5py
import numpy as np
import pytest
import torch
from helpers.reconstructions import write_reconstruction

from medrestore.errors import InputError
from medrestore.io import (
    RESEARCH_USE,
    ReconstructionWriter,
    read_provenance,
    read_reconstruction,
)
from medrestore.io.reconstruction import damaged

PROVENANCE = {"version": "0.1", "seed": 3, "method": {"name": "DDS", "gamma": 5.0}}


def volume():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 6, 5, dtype=torch.complex64, generator=generator)
    samples = torch.randn(2, 3, 6, 5, dtype=torch.complex64, generator=generator)
    return {
        "reconstruction": image.abs(),
        "complex_image": image,
        "mask": torch.tensor([[1.0, 0, 1, 1, 0, 1, 0]]),
        "samples": samples,
        "std": samples.abs().std(1),
    }


def test_round_trip(tmp_path):
    path, given = tmp_path / "new" / "folder" / "out.h5", volume()
    write_reconstruction(path, **given, provenance=PROVENANCE, attributes={"acceleration": 4})
    with h5py.File(path) as file:  # as fastMRI's evaluation opens it
        assert file["reconstruction"].dtype == np.float32 and file["reconstruction"].shape == (2, 6, 5)
        assert file["samples"].dtype == np.complex64 and file["std"].dtype == np.float32
        assert file.attrs["research_use"] == RESEARCH_USE and file.attrs["acceleration"] == 4
        assert json.loads(file.attrs["medrestore_provenance"]) == PROVENANCE
    with read_reconstruction(path) as file:
        assert len(file) == 2 and file.provenance == PROVENANCE and torch.equal(file.mask, given["mask"])
        for index in range(2):
            assert torch.equal(file[index], given["reconstruction"][index])
            assert torch.equal(file.complex_image(index), given["complex_image"][index])
            assert torch.equal(file.samples(index), given["samples"][index])
            assert torch.equal(file.std(index), given["std"][index])
        with pytest.raises(IndexError):
            file[2]
    assert read_provenance(path) == PROVENANCE
    assert [entry.name for entry in path.parent.iterdir()] == ["out.h5"]


def test_only_what_is_given_is_stored(tmp_path):
    given = {key: value for key, value in volume().items() if key not in ("samples", "std")}
    write_reconstruction(tmp_path / "a.h5", **given, provenance={})
    with read_reconstruction(tmp_path / "a.h5") as file:
        assert file.samples(0) is None and file.std(0) is None and file.provenance == {}


def test_existing_file_is_kept_unless_told(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("precious")
    with pytest.raises(InputError, match=r"a\.h5 exists already"):
        write_reconstruction(path, **volume(), provenance={})
    assert path.read_text() == "precious"
    write_reconstruction(path, **volume(), provenance=PROVENANCE, overwrite=True)
    assert read_provenance(path) == PROVENANCE
    with pytest.raises(InputError, match="is a folder"):
        write_reconstruction(tmp_path, **volume(), provenance={}, overwrite=True)


def writer(path, **options):
    options = {"slices": 2, "height": 6, "width": 5, "mask": torch.ones(1, 5), "provenance": {}} | options
    return ReconstructionWriter(path, **options)


@pytest.mark.parametrize("old", [None, "precious"])
def test_failure_midway_leaves_nothing_new(tmp_path, old):
    path = tmp_path / "a.h5"
    if old is not None:
        path.write_text(old)
    with pytest.raises(ZeroDivisionError), writer(path, overwrite=True) as output:
        output.put(0, reconstruction=torch.ones(6, 5), complex_image=torch.ones(6, 5))
        assert len(list(tmp_path.iterdir())) == 1 + (old is not None) and path.exists() == (old is not None)
        raise ZeroDivisionError
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if old is None else ["a.h5"])
    assert old is None or path.read_text() == old


def test_slice_by_slice(tmp_path):
    provenance = {"seed": 1}
    with writer(tmp_path / "a.h5", provenance=provenance, std=True) as output:
        for index in (1, 0):
            plane = torch.full((6, 5), float(index))
            output.put(index, reconstruction=plane, complex_image=plane * 1j, std=plane.numpy())
        provenance["wall_s"] = 2.5
    with read_reconstruction(tmp_path / "a.h5") as file:
        assert torch.equal(file.complex_image(1), torch.full((6, 5), 1j)) and file.provenance == {"seed": 1, "wall_s": 2.5}


def test_writer_refuses(tmp_path):
    plane = torch.ones(6, 5)
    good = {"reconstruction": plane, "complex_image": plane}
    cases = [
        (0, good | {"reconstruction": torch.ones(5, 5)}, r"float32 \(5, 5\), not float32 \(6, 5\)"),
        (0, good | {"reconstruction": plane * 1j}, "is complex64"),
        (0, good | {"reconstruction": plane * torch.nan}, "'reconstruction' of slice 0 holds NaN"),
        (0, good | {"std": plane}, "'std' of slice 0 is missing, or was not announced"),
        (2, good, "there is no slice 2 in 2 slices"),
    ]
    for index, planes, match in cases:
        with pytest.raises(InputError, match=match), writer(tmp_path / "a.h5") as output:
            output.put(index, **planes)
    with pytest.raises(InputError, match=r"slices \[1\] were never written"), writer(tmp_path / "a.h5") as output:
        output.put(0, **good)
    with pytest.raises(InputError, match="could identify a patient"):
        writer(tmp_path / "a.h5", attributes={"patient_id": "x"})
    with pytest.raises(InputError, match="cannot be saved"), writer(tmp_path / "a.h5", provenance={"x": object()}) as output:
        output.put(0, **good)
        output.put(1, **good)
    assert not list(tmp_path.iterdir())


def test_reader_is_guarded(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["reconstruction"] = h5py.ExternalLink("b.h5", "x")
        file.attrs["medrestore_provenance"] = "{broken"
    with pytest.raises(InputError, match="is a link"):
        read_reconstruction(tmp_path / "a.h5")
    with pytest.raises(InputError, match="provenance is damaged"):
        read_provenance(tmp_path / "a.h5")
    with pytest.raises(InputError, match="does not exist"):
        read_provenance(tmp_path / "none.h5")


@pytest.mark.parametrize("name", ["reconstruction", "reconstruction_complex", "mask"])
def test_values_that_are_not_finite_are_refused(tmp_path, name):
    image = np.ones((1, 4, 5), np.float32)
    write_reconstruction(tmp_path / "r.h5", reconstruction=image, complex_image=image.astype(np.complex64),
                         mask=np.ones((1, 5)), provenance={})
    with h5py.File(tmp_path / "r.h5", "a") as file:
        file[name][0, ..., 2] = np.nan
    with read_reconstruction(tmp_path / "r.h5") as file, pytest.raises(InputError, match=r"r\.h5.*(NaN|mask)"):
        _ = (file[0], file.complex_image(0), file.mask)


def test_digests_are_sha256_of_the_data(tmp_path):
    path, given = tmp_path / "out.h5", volume()
    write_reconstruction(path, **given, provenance=PROVENANCE)
    with h5py.File(path) as file:
        digests = json.loads(file.attrs["medrestore_sha256"])
        assert digests.keys() == {*file, "provenance", "beside"}
        for name, dataset in file.items():
            assert digests[name] == hashlib.sha256(dataset[()].tobytes()).hexdigest()
    assert damaged(path) == []


@pytest.mark.parametrize("name", ["reconstruction", "reconstruction_complex", "samples", "std", "mask"])
def test_one_bit_of_any_dataset_is_seen(tmp_path, name):
    path, given = tmp_path / "out.h5", volume()
    write_reconstruction(path, **given, provenance=PROVENANCE)
    data = given["complex_image" if name == "reconstruction_complex" else name].numpy().tobytes()
    content, at = bytearray(path.read_bytes()), path.read_bytes().find(data[-8:])
    content[at + 3] ^= 1
    path.write_bytes(content)
    assert damaged(path) == [name]


def test_other_changes_are_seen(tmp_path):
    path = tmp_path / "out.h5"
    with ReconstructionWriter(path, slices=1, height=6, width=5, mask=volume()["mask"], provenance={"seed": 3}) as writer:
        image = volume()["complex_image"][0]
        writer.put(0, reconstruction=image.abs(), complex_image=image)
        assert (writer.read(0) == image.abs().numpy()).all()
        (tmp_path / "out.png").write_bytes(b"picture")
        writer.add_beside(tmp_path / "out.png")
    assert damaged(path) == []
    (tmp_path / "out.png").write_bytes(b"other")
    assert damaged(path) == ["out.png"]
    (tmp_path / "out.png").unlink()  # whoever needs it asks for it
    with h5py.File(path, "r+") as file:
        file["more"] = np.zeros(3)
        file.attrs["medrestore_provenance"] = '{"seed": 4}'
        del file["mask"]
    assert damaged(path) == ["mask", "more", "provenance"]
    with h5py.File(path, "r+") as file:
        del file.attrs["medrestore_sha256"]
    with pytest.raises(InputError, match=r"out\.h5 has no digests"):
        damaged(path)
