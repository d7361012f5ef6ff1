"""Solvers: built from configs, with the priors that they call."""

from pathlib import Path

import pytest
import torch
from helpers.networks import save_classifier, save_rgb_prior
from helpers.studies import changed, opened

from medrestore.errors import InputError
from medrestore.inpainting.plan import Plan as InpaintPlan
from medrestore.recon.plan import Plan
from medrestore.study.config import Diffusion, PictureMethod, ScanMethod, SceneMethod
from medrestore.study.methods import CountedPrior, Network, Solver, method_recipe, plan_of, planned


def test_a_plan_takes_what_the_config_says_and_its_own_defaults() -> None:
    plan = plan_of(Plan, ScanMethod("dds", options={"eta": 0.5}, steps=7, start_sigma=0.5))
    assert (plan.steps, plan.start_sigma) == (7, 0.5)
    assert (plan.sigma_max, plan.batch_size, plan.spectral_gb) == (Plan().sigma_max, Plan().batch_size, Plan().spectral_gb)
    fill = plan_of(InpaintPlan, SceneMethod("ddnm+", feather=0, temporal_fill=False), travel_length=4)
    assert (fill.feather, fill.temporal_fill, fill.steps, fill.grow, fill.travel_length) == (
        0, False, 25, InpaintPlan().grow, 4)


@pytest.mark.parametrize(("kind", "plan"), [(ScanMethod, Plan), (PictureMethod, Plan), (SceneMethod, InpaintPlan)])
def test_every_hyper_parameter_of_a_config_is_one_of_its_plan(kind: type[Diffusion], plan: type) -> None:
    """A field that the plan does not have would be ignored."""
    from dataclasses import fields

    own = {"tune", "uncertainty", "travel"}
    assert {one.name for one in fields(kind)} - own <= {one.name for one in fields(plan)}


def test_a_network_is_loaded_once_and_counts_anew(tiny_prior: Path) -> None:
    network = Network(str(tiny_prior), True, "")
    first, second = network.load("cpu"), network.load("cpu")
    assert isinstance(first, CountedPrior) and first.prior is second.prior
    first(torch.zeros(3, 2, 16, 16), 1.0)
    assert (first.calls, second.calls) == (3, 0)
    assert (first.channels, first.multiple, first.sigma_range) == (2, first.prior.multiple, first.prior.sigma_range)


def test_a_method_is_told_the_class_and_guided(tmp_path: Path) -> None:
    """Label, guidance and classifier of a config reach the prior; the classifier decides the weights of the method."""
    classes = save_rgb_prior(tmp_path / "classes", names=("gut", "liver"), null=True)
    save_classifier(tmp_path / "c", names=("gut", "liver"))
    told = {"plain": {}, "gut": {"label": "gut"}, "liver": {"label": "liver"}, "more": {"label": "liver", "guidance": 3.0},
            "guided": {"label": "liver", "classifier": str(tmp_path / "c")}}
    x, seen, weights = torch.ones(1, 3, 8, 8), set(), set()
    for given in told.values():
        method = PictureMethod("hqs", prior=str(classes), **given)
        _, network = planned(Plan, method, lambda about, prior: None, lambda plan, prior: None)
        seen.add(float(network.load("cpu")(x, 0.5).double().sum()))
        weights.add(network.sha256)
    assert len(seen) == len(told) and len(weights) == 2
    assert PictureMethod("hqs", label="gut", classifier=str(tmp_path / "c")).paths == (str(tmp_path / "c"),)


def test_the_weights_of_a_method_are_those_of_its_prior(tmp_path: Path, tiny_prior: Path) -> None:
    study = opened(changed(methods={"D": {"method": "dds", "prior": str(tiny_prior), "steps": 2}}), tmp_path / "out")
    ((_, diffusion),), ((_, zero_filled),) = study.candidates["D"], study.candidates["ZF"]
    assert diffusion.solver.weights == diffusion.solver.prior_network.sha256 != ""
    assert zero_filled.solver.weights == "" and zero_filled.solver.prior_network is None and zero_filled.solver.calls(1) == 0
    assert [chosen for chosen, _ in study.candidates["CG"]] == [{"lam": 1e-4}, {"lam": 1e-2}, {"lam": 1.0}]


def test_a_complaint_begins_with_the_file_and_the_method() -> None:
    def refuse(*arguments: object) -> Solver:
        raise InputError("no such thing")

    with pytest.raises(InputError, match=r"^my\.yaml: methods\.D: no such thing$"):
        method_recipe("D", ScanMethod("dds"), "fastmri", refuse, "my.yaml")
