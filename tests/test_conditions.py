"""What a prior is told is the same in every plan."""

from dataclasses import fields

import pytest

from medrestore.conditions import UNTOLD, Conditions
from medrestore.errors import InputError
from medrestore.images.plan import GeneratePlan
from medrestore.images.plan import Plan as ImagePlan
from medrestore.inpainting.plan import Plan as FramePlan
from medrestore.recon.plan import Plan as ScanPlan
from medrestore.study.config import PictureMethod, ScanMethod, SceneMethod

PLANS = (ImagePlan, GeneratePlan, FramePlan, ScanPlan)


@pytest.mark.parametrize("kind", PLANS, ids=lambda kind: kind.__module__)
def test_every_plan_has_them(kind: type) -> None:
    assert Conditions.of(kind()) == UNTOLD and Conditions.of(kind(label="T2w")) == Conditions(label="T2w")
    with pytest.raises(InputError, match="label"):
        kind(label=1.5)


@pytest.mark.parametrize("kind", [ScanMethod, PictureMethod, SceneMethod])
def test_methods_of_studies_have_them(kind: type) -> None:
    assert {one.name for one in fields(Conditions)} <= {one.name for one in fields(kind)}
    assert Conditions.of(kind("hqs", label=3)) == Conditions(label=3)
