"""Names of classes to numbers, and one sentence for what is none."""

from pathlib import Path
from typing import Any

import pytest

from medrestore.errors import InputError
from medrestore.priors.classes import Classes, described_classes, plain_classes, read_classes

CONTRASTS = Classes(3, ("T1w", "T2w", "FLAIR"), has_null=True)


def test_labels_become_numbers() -> None:
    assert [CONTRASTS.index(name) for name in (*CONTRASTS.names, None)] == [0, 1, 2, 3]
    assert [Classes(12).index(label) for label in (0, "7", 11)] == [0, 7, 11]
    assert (CONTRASTS.null, CONTRASTS.embedded, Classes(12).null, Classes(12).embedded) == (3, 4, None, 12)


@pytest.mark.parametrize(("classes", "label", "says"), [
    (CONTRASTS, "T2", r"no class 'T2'; its classes are T1w, T2w, FLAIR; did you mean T2w\?"),
    (CONTRASTS, 3, "no class 3"), (Classes(3), None, "needs a `label`, .* the numbers from 0 to 2"),
    (Classes(3), 3, "no class 3"), (Classes(3), "-1", "no class '-1'"), (Classes(3), True, "no class True"),
    (Classes(30, tuple(map(str, range(30)))), "x", "18, 19 and 10 more"),
])  # fmt: skip
def test_other_labels_are_refused(classes: Classes, label: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        classes.index(label)


@pytest.mark.parametrize("wrong", [{"number": 0}, {"number": 2, "names": ("a",)}, {"number": 2, "names": ("a", "a")},
                                   {"number": 1, "names": ("",)}], ids=str)
def test_no_such_classes(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Classes(**wrong)


def test_they_are_stored_as_plain_data() -> None:
    assert read_classes(plain_classes(CONTRASTS), 4, "x") == CONTRASTS
    about = {"classes": plain_classes(CONTRASTS)}
    assert described_classes(about, {"num_class_embeds": 4}, Path("x")) == CONTRASTS
    assert described_classes({}, {"num_class_embeds": 7}, Path("x")) == Classes(7)
    assert described_classes({}, {"num_class_embeds": None}, Path("x")) is None


@pytest.mark.parametrize("wrong", [{"names": "ab", "null": False}, ["a", "b"], {"names": ["a", "b"]},
                                   {"names": ["a"], "null": False}, {"names": ["a", 3], "null": False}], ids=str)  # fmt: skip
def test_other_descriptions_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="x"):
        read_classes(wrong, 2, "x")
    with pytest.raises(InputError, match="its network knows none"):
        described_classes({"classes": wrong}, {}, Path("x"))
