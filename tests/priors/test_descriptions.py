"""Descriptions of priors: schedules by their ends, numbers that make sense."""

import json

import pytest
from helpers.networks import rewrite, saved_prior

from medrestore.errors import InputError
from medrestore.priors import EDM, Epsilon, Velocity, store
from medrestore.priors.parametrisations import cosine_betas, linear_betas, scaled_linear_betas

SCHEDULES = {
    "linear": (linear_betas(2e-4, 0.03, 400), {"kind": "linear", "start": 2e-4, "end": 0.03, "steps": 400}),
    "scaled_linear": (scaled_linear_betas(0.0015, 0.0155),
                      {"kind": "scaled_linear", "start": 0.0015, "end": 0.0155, "steps": 1000}),
    "cosine": (cosine_betas(60), {"kind": "cosine", "steps": 60}),
    "of its own": ((0.001, 0.02, 0.3), [0.001, 0.02, 0.3]),
}


@pytest.mark.parametrize("kind", [Epsilon, Velocity])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_are_stored_by_their_ends(tmp_path, kind, schedule):
    betas, short = SCHEDULES[schedule]
    folder = saved_prior(tmp_path / "a", parametrisation=kind(betas))
    stored = json.loads((folder / "prior.json").read_text())["parametrisation"]["betas"]
    if isinstance(short, dict):
        assert stored.pop("kind") == short["kind"]
        short = {key: value for key, value in short.items() if key != "kind"}
    assert stored == pytest.approx(short)
    assert store.load(folder).parametrisation.betas == pytest.approx(betas, rel=1e-6)
    rewrite(folder, parametrisation={"kind": "epsilon", "betas": list(betas)})  # as the first priors have them
    assert store.load(folder).parametrisation.betas == betas


ENDS = {"kind": "linear", "start": 1e-4, "end": 0.02}


@pytest.mark.parametrize("betas", [
    ENDS | {"steps": 10**12}, ENDS | {"steps": 2.5}, ENDS, ENDS | {"start": "a", "steps": 9}, ENDS | {"end": 2.0, "steps": 9},
    {"kind": "magic", "steps": 10}, {"kind": ["linear"], "steps": 9}, {}, "linear", [0.1, None], [0.1, [0.2]],
])
def test_schedules_that_are_none_are_refused(tmp_path, betas):
    folder = saved_prior(tmp_path / "a", parametrisation=Epsilon())
    rewrite(folder, parametrisation={"kind": "epsilon", "betas": betas})
    with pytest.raises(InputError, match=r"prior\.json describes"):
        store.load(folder)


def test_one_size_is_kept(tmp_path):
    assert store.load(saved_prior(tmp_path / "a")).size is None
    assert store.load(saved_prior(tmp_path / "b", size=(16, 24))).size == (16, 24)
    for wrong in ([16], [15, 24], [0, 2], 16, "16x24", [16.0, 24]):
        rewrite(tmp_path / "b", size=wrong)
        with pytest.raises(InputError, match="as size, which must be two whole numbers"):
            store.load(tmp_path / "b")


@pytest.mark.parametrize("changes", [
    {"parametrisation": {"kind": "edm", "sigma_data": 10**400}}, {"parametrisation": {"kind": "edm", "sigma_data": 0}},
    {"parametrisation": {"kind": "epsilon", "betas": []}}, {"parametrisation": {"kind": "epsilon", "betas": [0.1, 1.5]}},
    {"parametrisation": {"kind": "epsilon", "betas": {"kind": "linear", "start": 10**400, "steps": 9}}},
    {"recipe": {"kind": "interval", "low": 1, "high": 1}}, {"recipe": {"kind": "calibrated_complex", "quantile": 5}},
])
def test_numbers_that_make_no_sense(tmp_path, changes):
    saved_prior(tmp_path)
    rewrite(tmp_path, **changes)
    with pytest.raises(InputError, match="with their numbers are known"):
        store.load(tmp_path)


def test_what_has_no_name_on_disk_is_not_written(tmp_path):
    class Mine(EDM):
        pass

    with pytest.raises(InputError, match="a Mine cannot be kept on disk; EDM, Epsilon"):
        saved_prior(tmp_path / "a", parametrisation=Mine())
    assert not (tmp_path / "a").exists()
