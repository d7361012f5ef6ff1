"""Where scans come from: patients, subjects, slices and their seeds."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.scans import fastmri, kspace
from helpers.studies import PHANTOMS, changed, opened, run

from medrestore.baselines import CGSense
from medrestore.datasets.brain import load_volumes
from medrestore.errors import InputError
from medrestore.evaluation.tables import read_rows
from medrestore.io import Scan
from medrestore.mri import add_smooth_phase, simulate_scan, simulated_maps
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.records import volume_scores
from medrestore.study.config import read
from medrestore.study.fingerprints import Fingerprints
from medrestore.study.mri import prepared_slice
from medrestore.study.scans import scan_cases
from medrestore.study.sources import KSpace, Phantoms, Simulated


def test_one_patient_in_two_files_is_one_patient(tmp_path: Path) -> None:
    """fastMRI files say whom they show; the name goes into nothing."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        data, images = kspace(2, seed=len(name))
        fastmri(tmp_path / name / f"{name}.h5", data, reference=images)
    source = {"kind": "kspace", "slices": "middle"}
    given = changed(data={**source, "folder": str(tmp_path / "a")}, validation={**source, "folder": str(tmp_path / "b")})
    with pytest.raises(InputError, match="share b"):
        opened(given, tmp_path / "out")
    methods = {"ZF": {"baseline": "ZeroFilled"}, "RSS": {"baseline": "RSS"}}
    run({**given, "validation": None, "methods": methods}, tmp_path / "out")
    (row, rss) = read_rows(tmp_path / "out" / "results.csv")
    assert row["slice"] == 1 and rss["psnr"] > 10
    with h5py.File(tmp_path / "a" / "a.h5") as file:
        identifier = file.attrs["patient_id"]
    hashed = hashlib.sha256(identifier.encode()).hexdigest()[:12].encode()  # as telling as the identifier where those are numbers
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert row["patient"] == "a" and not any(b"SECRET" in one or hashed in one for one in written)


def test_another_scan_in_the_same_place_has_scores_of_its_own(tmp_path: Path) -> None:
    """Neither the name nor the size nor the time of a file says what it holds."""
    found = []
    for seed in (0, 1, 0):
        data, images = kspace(1, seed=seed)
        fastmri(tmp_path / "scan.h5", data, reference=images)
        os.utime(tmp_path / "scan.h5", ns=(10**18, 10**18))
        source = {"kind": "kspace", "files": [str(tmp_path / "scan.h5")]}
        given = changed(data=source, validation=None, methods={"RSS": {"baseline": "RSS"}})
        result = run({**given, "methods": {"RSS": {"baseline": "RSS"}}}, tmp_path / "out")
        found.append((read_rows(tmp_path / "out" / "results.csv")[0]["psnr"], result.done))
    assert found[0] == found[2] != found[1] and [done for _, done in found] == [1, 1, 1]


@pytest.mark.skipif(not (Path(__file__).parents[3] / "shared/data/images").exists(), reason="needs volumes that do not ship")
def test_simulated_cases_are_those_of_the_benchmark() -> None:
    """One slice of a subject: phase, coils, noise and mask as the published numbers have them."""
    path = Path(__file__).parents[3] / "shared/data/images/ptbp_t1_60subj_18slices_uint8.npz"
    given = changed(data={"kind": "simulated", "volumes": str(path), "subjects": [52, 53]}, validation=None,
                    methods={"CG": {"baseline": "CGSense", "options": {"lam": 0.01}}})
    config = read(given, "my.yaml")
    (case,) = scan_cases(config.data, lambda path: "", "data")
    assert case.stream(case.slices[0]) == 0
    mine = prepared_slice(case, case.slices[0], config.settings[0], 0, cache=None, spectral=False, spectral_gb=0, device="cpu")

    volume = load_volumes(path)[52]
    filled = volume[volume.mean((1, 2)) > 0.02]
    generator = torch.Generator().manual_seed(52)
    truth = filled[len(filled) // 2][None, None].to(torch.complex64)
    height, width = truth.shape[-2:]
    image = add_smooth_phase(truth, generator)
    maps = simulated_maps(8, (height, width), generator=generator)
    data = simulate_scan(image, maps, torch.ones(1, width), snr_db=30.0, generator=generator)
    scan = Scan("s", 0, data, torch.ones(1, width), None, None, truth[0, 0].abs(), (height, width), None, None)
    theirs = prepare(scan, Plan(seed=52, undersample=Undersampling("uniform1d", 2, 12), spectral_gb=0, map_sets=1))
    torch.testing.assert_close(mine.prepared.problem.y, theirs.problem.y, rtol=0, atol=0)
    assert mine.prepared.problem.sigma == theirs.problem.sigma
    image = CGSense(lam=0.01).reconstruct(theirs.kspace, theirs.sense.maps, theirs.sense.mask)[0, 0]
    expected = volume_scores([theirs.shown(image).abs()], [theirs.reference])
    assert expected.psnr > 20


def test_slices_of_a_volume_share_coils_and_have_noise_of_their_own(tmp_path: Path) -> None:
    import numpy as np

    values = np.random.default_rng(0).integers(60, 200, (1, 24, 28, 5), dtype=np.uint8)
    values[..., 0] = 0  # nothing to see
    np.savez(tmp_path / "v.npz", vol=values)
    source = read(changed(data={"kind": "simulated", "volumes": str(tmp_path / "v.npz"), "subjects": [0, 1], "slices": "all"}),
                  "my.yaml").data
    (case,) = scan_cases(source, lambda path: "", "data")
    assert case.slices == (0, 1, 2, 3) and sorted(map(case.stream, case.slices)) == [0, 1, 2, 4]
    clean = replace(case, acquisition=replace(case.acquisition, snr_db=300.0))
    noise = [case.scan(number).kspace - clean.scan(number).kspace for number in (1, 2)]
    assert not torch.allclose(*noise) and all(one.abs().max() > 0 for one in noise)


def test_all_that_a_scan_is_simulated_with_is_in_its_fingerprint() -> None:
    def fingerprint(source: Phantoms) -> str:
        return scan_cases(source, Fingerprints(), "data")[0].fingerprint

    source = Phantoms(count=2, size=(40, 40))
    others = [replace(source, **values) for values in ({"size": (40, 42)}, {"seed": 1}, {"coils": 3}, {"snr_db": 20.0},
                                                       {"first": 1})]
    assert len({fingerprint(one) for one in (source, *others)}) == 6
    assert fingerprint(replace(source, count=1)) == fingerprint(source)  # a case more leaves the others as they are


def test_subjects_and_slices_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", vol=np.full((2, 24, 28, 3), 90, np.uint8))
    with pytest.raises(InputError, match=r"data: .*v\.npz holds the subjects 0 to 1"):
        scan_cases(Simulated(str(tmp_path / "v.npz"), (1, 3)), Fingerprints(), "data")
    with pytest.raises(InputError, match=r"subject 0 of .*v.npz has 3 slices, and \[5, 9\] takes none of them"):
        scan_cases(Simulated(str(tmp_path / "v.npz"), (0, 1), slices=(5, 9)), Fingerprints(), "data")


def test_the_bundled_scan_is_a_case() -> None:
    (case,) = scan_cases(KSpace(folder="bundled", slices="middle"), Fingerprints(), "data")
    assert case.file_name == "brain-scan.h5" and case.images == 1
    assert case.shape == case.scan(case.slices[0]).crop and case.peak() is not None
    assert case.stream(case.slices[0]) == case.slices[0]


def test_phantoms_are_cases_of_one_slice() -> None:
    source = Phantoms(**{key: value for key, value in PHANTOMS.items() if key != "kind"}, count=2, first=5)
    cases = scan_cases(source, Fingerprints(), "data")
    assert [case.name for case in cases] == ["phantom5", "phantom6"]
    assert [case.stream(0) for case in cases] == [0, 0] and cases[0].grid == cases[0].shape == (40, 40)
    assert not torch.equal(cases[0].scan(0).kspace, cases[1].scan(0).kspace)


def test_files_are_read_as_the_study_says(tmp_path: Path) -> None:
    """A contrast of several, uncentred, in a plain array: as `recon` reads them."""
    data = np.stack([kspace(1, seed=seed)[0] for seed in (0, 1)])  # contrast, slice, coil, row, col
    np.save(tmp_path / "a.npy", np.fft.ifftshift(data, axes=(-2, -1)))
    given = {"kind": "kspace", "files": [str(tmp_path / "a.npy")], "axes": ["contrast", "slice", "coil", "row", "col"],
             "uncentred": True}
    found = {}
    for contrast in (0, 1):
        config = read(changed(data={**given, "select": {"contrast": contrast}, "noise_scan": False}, validation=None,
                              methods={"CG": {"baseline": "CGSense", "options": {"lam": 0.01}}}), "my.yaml")
        (case,) = scan_cases(config.data, Fingerprints(), "data")
        found[contrast] = case
        np.testing.assert_allclose(case.scan(0).kspace[0].numpy(), data[contrast, 0], rtol=1e-6)
    assert found[0].fingerprint != found[1].fingerprint
