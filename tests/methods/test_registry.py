"""The methods by name, and which of them an operator serves."""

import pytest
import torch

import medrestore as mr
from medrestore import methods
from medrestore.errors import InputError
from medrestore.methods import DDNM, DDS, DPS, FRAMES, METHODS, SCANS, Method, serving


def test_every_method_is_registered_and_made_by_its_name() -> None:
    for name, kind in METHODS.items():
        assert issubclass(kind, Method) and METHODS.name_of(kind) == name and isinstance(METHODS.build(name, {}), kind)
    assert METHODS.build("dds", {"gamma": 5, "cg_steps": 5, "eta": 0.85}) == DDS(5.0, 5, eta=0.85)
    with pytest.raises(InputError, match="dds: zeta is no option"):
        METHODS.build("dds", {"zeta": 0.5})


def test_methods_that_an_operator_serves() -> None:
    spectral, linear = mr.operators.Mask(torch.ones(4, 4)), mr.operators.LinearOperator
    noise_free = ("ddnm", "repaint", "ilvr", "mcg")
    known = ("diffpir", "ddnm+", "ddrm", "dps", "simplified-ddnm+", "pigdm", "red-diff", "daps", "pnp-dm", "snips")
    offered = serving(spectral, use=FRAMES).replace(" and ", ", ").split(", ")
    assert set(offered) >= {*noise_free, *known} and set(serving(spectral).replace(" and ", ", ").split(", ")) >= {"hqs", "dds"}
    noisy = serving(spectral, use=FRAMES, noisy=True).replace(" and ", ", ").split(", ")
    assert set(noisy) >= {*known} and not {*noise_free} & {*noisy}
    assert serving(None) == "ddim, ddpm, probability-flow and dpm-solver++" and serving(None, use=SCANS) == ""
    assert isinstance(spectral, linear) and DPS.served_by(spectral) and not DDNM.served_by(None)


def test_every_registered_method_is_a_name_of_the_package() -> None:
    named = {place.partition(":")[2] for place in METHODS.places.values()}
    assert named <= set(methods.__all__) and named - {"Method"} <= set(mr.__all__)
