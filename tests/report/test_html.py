"""The report: one file that fetches nothing, in which user text is inert, pictures are exact, and bytes repeat."""

import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.pages import Page, written

from medrestore.errors import InputError
from medrestore.report.html import Curves, Picture, Point, Table, write_report

HOSTILE = """<script>alert(1)</script>" onload='x' <img src="https://evil.example/x.png"> </style> $x^{2$ &amp; 日本"""


FETCHING = ("src", "href", "xlink:href", "srcset", "action", "formaction", "data", "poster")


def test_everything_is_inside_and_nothing_is_fetched(tmp_path: Path, everything: dict) -> None:
    text = written(tmp_path / "new" / "report.html", **everything)
    page = Page(text)
    assert "http" not in text.replace("http-equiv", "")
    for _, attributes in page.elements:
        for name in FETCHING:
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert all(found.startswith("#") for found in re.findall(r"url\(([^)]*)", text)) and "@import" not in text
    assert "Research use only. Not a medical device." in text
    assert {"tables", "curves", "pictures", "provenance"} <= {attributes.get("id") for attributes in page.all("h2")}
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {attributes["href"][1:] for attributes in page.all("a")} <= set(names)
    assert {attributes["value"] for attributes in page.all("option")} <= set(names)
    for reference in re.findall(r"(?:href=\"|url\()#([\w-]+)", text):
        assert reference in names
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_only_its_own_script_may_run(tmp_path: Path, everything: dict) -> None:
    text = written(tmp_path / "report.html", **everything)
    (policy,) = [meta["content"] for meta in Page(text).all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:" and rules["script-src"] == f"'sha256-{digest}'"


def test_user_text_is_inert(tmp_path: Path) -> None:
    reference = np.ones((8, 8))
    text = written(
        tmp_path / "report.html", title=HOSTILE, summary=HOSTILE,
        tables=[Table(HOSTILE, ["m", HOSTILE], [[HOSTILE, f"**{HOSTILE}**"]])],
        curves=[Curves(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: [Point(1, 2, 1, 3)]})],
        pictures=[Picture(HOSTILE, reference, {HOSTILE: reference}, 1.0, {HOSTILE: HOSTILE})],
        provenance={HOSTILE: {HOSTILE: [HOSTILE, {"a": HOSTILE}]}, "path \udcff": Path("x")})
    page = Page(text)
    assert len(page.all("script")) == 1 and len(page.all("style")) == 1
    assert all(image.get("src", "data:").startswith("data:") for image in page.all("img"))
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert text.count("<script>alert(1)") == 0 and "".join(page.words).count("<script>alert(1)</script>") >= 8


def test_same_input_same_bytes_whatever_the_users_plot_settings(tmp_path: Path, everything: dict) -> None:
    from matplotlib import rc_context

    first = written(tmp_path / "a.html", **everything)
    with rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "text.usetex": True}):
        assert written(tmp_path / "b.html", **everything) == first


def test_parts_without_content_are_left_out(tmp_path: Path) -> None:
    page = Page(written(tmp_path / "r.html", summary="One.\n\nTwo **strong**."))
    assert not page.all("h2") and not page.all("img") and {"One.", "Two ", "strong"} <= set(page.words)


@pytest.mark.parametrize(("make", "said"), [
    (lambda: Table("t", ["a", "b"], [["1", "2"], ["1"]]), "line 2 has 1 cells"),
    (lambda: Picture("p", np.ones(4), {}, 1.0), "height, width"),
    (lambda: Picture("p", np.ones((4, 4, 2)), {}, 1.0), "height, width"),
    (lambda: Picture("p", np.ones((4, 4)), {"a": np.ones((4, 5))}, 1.0), "'a' is shaped"),
    (lambda: Picture("p", np.ones((4, 4)), {"a": np.ones((4, 4), dtype=complex)}, 1.0), "'a' is complex"),
    (lambda: Picture("p", np.full((4, 4), np.nan), {}, 1.0), "not finite"),
    (lambda: Picture("p", np.ones((4, 4)), {}, 0.0), "peak is 0.0"),
    (lambda: Picture("p", np.ones((4, 4)), {}, float("nan")), "peak is nan"),
])
def test_bad_input_is_refused_when_it_is_made(make, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make()


@pytest.mark.parametrize("gain", [0.0, -1.0, float("inf"), float("nan")])
def test_gain_must_be_above_zero(tmp_path: Path, gain: float) -> None:
    with pytest.raises(InputError, match="gain above 0"):
        write_report(tmp_path / "r.html", title="t", summary="s", gain=gain)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("kept")
    for place, why in ((tmp_path / "taken", "is a folder"), (tmp_path / "file" / "r.html", "cannot be written")):
        with pytest.raises(InputError, match=why):
            write_report(place, title="t", summary="s")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"] and (tmp_path / "file").read_text() == "kept"


def test_pictures_come_first_and_palettes_are_named(tmp_path: Path, everything: dict) -> None:
    text = written(tmp_path / "report.html", **everything)
    parts = [attributes["id"] for attributes in Page(text).all("h2")]
    assert parts == ["pictures", "curves", "tables", "provenance"]
    assert re.findall(r'<a href="#(\w+)">', text)[:4] == parts
    assert "Okabe-Ito, errors in inferno" in text and 'id="palette-grey"> grey' in text
    bare = written(tmp_path / "bare.html", tables=everything["tables"])
    assert "palette-grey" not in bare.split("</style>")[1]
