"""The factor of the spread is given where it was measured, and nowhere else."""

from typing import Any

import pytest

from medrestore.priors.store import describe
from medrestore.recon.interval import FACTORS, UNCERTAINTY, interval_factor
from medrestore.recon.plan import Plan, Undersampling

SHIPPED = str(describe("brain-mr-starter")["sha256"])


def test_it_is_that_of_the_shipped_prior() -> None:
    assert set(FACTORS) == {SHIPPED}
    for more in ({}, {"seed": 3}, {"keep_samples": True}, {"undersample": Undersampling("poisson2d", 6)}):
        assert interval_factor(Plan(**UNCERTAINTY, **more), SHIPPED) == FACTORS[SHIPPED] > 1.645  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [{"samples": 8}, {"steps": 50}, {"method": "dds"}, {"weight": 0.5}, {"options": {"zeta": 0.3}},
                                   {"start_sigma": 0.5}])
def test_other_plans_and_priors_have_none(other: dict[str, Any]) -> None:
    assert interval_factor(Plan(**UNCERTAINTY | other), SHIPPED) is None
    assert interval_factor(Plan(**UNCERTAINTY), "another") is None
