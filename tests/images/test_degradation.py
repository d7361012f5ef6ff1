"""Tasks by name and chains of steps: what each stands for, and what does not go together."""

from typing import Any

import pytest

from medrestore.errors import InputError
from medrestore.images.degradation import TASKS, Degradation
from medrestore.images.steps import (
    Bicubic,
    Gaussian,
    Grey,
    Hide,
    Jpeg,
    Kernel,
    Modulus,
    Motion,
    Pixels,
    Pool,
    Saturate,
    Unknown,
    Walsh,
)
from medrestore.settings import build, plain

CASES: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({"task": "denoise"}, ()),
    ({"task": "sr", "factor": 3}, (Pool(3),)),
    ({"task": "sr", "factor": 2, "filter": "bicubic"}, (Bicubic(2),)),
    ({"task": "deblur", "blur_std": (2.0, 1.0)}, (Gaussian((2.0, 1.0)),)),
    ({"task": "deblur", "motion": (9.0, 30.0)}, (Motion(9.0, 30.0),)),
    ({"task": "deblur", "kernel": "k.npy"}, (Kernel("k.npy"),)),
    ({"task": "colorize"}, (Grey(),)),
    ({"task": "inpaint", "mask": "m.png", "mask_means": "hole"}, (Hide("m.png", "hole"),)),
    ({"task": "cs", "keep": 0.25}, (Pixels(0.25),)),
    ({"task": "jpeg", "quality": 10}, (Jpeg(10),)),
    ({"task": "saturation", "gain": 2.0, "white": 1.0}, (Saturate(2.0, 1.0),)),
    ({"task": "phase-retrieval"}, (Modulus(2),)),
    ({"task": "phase-retrieval", "oversampling": 3}, (Modulus(3),)),
    ({"task": "blind-deblur"}, (Unknown(21),)),
    ({"task": "blind-deblur", "kernel_size": 9}, (Unknown(9),)),
    ({"task": "cs", "keep": 0.25, "pattern": "walsh-hadamard", "block": 16}, (Walsh(0.25, 16),)),
    ({"task": "old-photo", "factor": 2, "keep": 0.9}, (Pool(2), Grey(), Pixels(0.9))),
    (
        {"task": "old-photo", "factor": 2, "mask": "m.png", "mask_means": "keep"},
        (Pool(2), Grey(), Hide("m.png", "keep")),
    ),
    (
        {"operators": ({"kind": "gaussian", "std": [1]}, {"kind": "pool", "factor": 2})},
        (Gaussian((1.0,)), Pool(2)),
    ),
]


@pytest.mark.parametrize(("given", "steps"), CASES, ids=str)
def test_what_a_task_stands_for(given: dict[str, Any], steps: tuple[Any, ...]) -> None:
    done = Degradation(**given)
    assert done.steps == steps and done.given and done.name
    assert build(Degradation, plain(done), "") == done


def test_every_task_is_tried() -> None:
    assert {given.get("task") for given, _ in CASES} == {*TASKS, None}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"task": "sr"}, "factor is missing"),
        (
            {"task": "sr", "factor": 2, "keep": 0.5},
            "keep says more of the `task` cs, old-photo, and the task is sr",
        ),
        ({"factor": 2}, "the task is not given"),
        ({"task": "deblur"}, "one of `motion` and `kernel` is needed"),
        ({"task": "deblur", "blur_std": (1.0,), "motion": (3.0, 0.0)}, "one alone"),
        ({"task": "deblur", "blur_std": (1.0, 1.0, 1.0)}, "one number or two"),
        ({"task": "inpaint"}, "mask is missing"),
        ({"task": "inpaint", "mask": "m.png"}, "mask_means is missing"),
        ({"task": "cs"}, "keep is missing"),
        ({"task": "jpeg"}, "quality is missing"),
        ({"task": "saturation"}, "gain is missing"),
        ({"task": "phase-retrieval", "oversampling": 1}, "must be"),
        ({"task": "blind-deblur", "kernel_size": 8}, "size must be odd"),
        ({"operators": (Unknown(5), Grey())}, "must be that one alone"),
        ({"task": "old-photo", "factor": 2}, "or `keep` is needed"),
        ({"task": "sharpen"}, "must be one of"),
        ({"task": "sr", "factor": 2, "operators": ({"kind": "grey"},)}, "leave one of them out"),
        ({"operators": ({"kind": "twirl"},)}, "kind must be one of"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Degradation(**given)


def test_its_files_may_have_other_names() -> None:
    done = Degradation(
        operators=({"kind": "mask", "file": "a.png", "means": "hole"}, {"kind": "kernel", "file": "b.npy"})
    )
    assert done.files == ("a.png", "b.npy")
    assert done.with_files({"a.png": "x", "b.npy": "y"}).files == ("x", "y")
    assert not Degradation().given and Degradation().files == ()
