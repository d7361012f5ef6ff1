"""The report: one file that fetches nothing, in which user text is inert, pictures are exact, and bytes repeat."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from medrestore.errors import InputError
from medrestore.report.html import Curves, Picture, Point, Table, write_report
from medrestore.report.pictures import chosen_region, error_map

HOSTILE = """<script>alert(1)</script>" onload='x' <img src="https://evil.example/x.png"> </style> $x^{2$ &amp; 日本"""
VOID = {"meta", "link", "img", "input", "br", "path", "circle", "use", "rect"}
FETCHING = ("src", "href", "xlink:href", "srcset", "action", "formaction", "data", "poster")


class Page(HTMLParser):
    """The elements of a page, in order, and whether each was closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def image(self, alt: str) -> np.ndarray:
        """The pixels of the one image so described; indices where it has a palette."""
        from PIL import Image

        (source,) = [attributes["src"] for attributes in self.all("img") if attributes.get("alt") == alt]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))))


def head(rng: np.random.RandomState, size: tuple[int, ...] = (32, 40)) -> np.ndarray:
    return np.abs(rng.standard_normal(size)).astype(np.float32)


def written(path: Path, **parts) -> str:
    write_report(path, **{"title": "A study", "summary": "It went well.", **parts})
    return path.read_text(encoding="utf-8")


@pytest.fixture
def everything() -> dict:
    rng = np.random.RandomState(0)
    reference = head(rng)
    return {
        "tables": [Table("Quality", ["method", "PSNR", "calls"], [["zero-filled", "20.1", "0"], ["DDS 49", "**31.2**", "49"]])],
        "curves": [Curves("By acceleration", "acceleration", "PSNR (dB)", {"zero-filled": [Point(4, 20.0), Point(8, 18.0)],
                                                                         "DDS 49": [Point(4, 31.0, 30.0, 32.0)]}),
                   Curves("By calls", "calls", "PSNR (dB)", {"DDS 49": [Point(10, 28.0), Point(49, 31.0)],
                                                            "zero-filled": [Point(0, 20.0)]}, log_x=True)],
        "pictures": [Picture("case 1", reference, {"zero-filled": reference / 2, "DDS 49": reference + 0.1}, 2.0,
                             {"DDS 49": "31 dB"})],
        "provenance": {"version": "0.1.0", "config": {"seed": 0, "settings": ["4x", "8x"]}},
    }


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


def test_images_share_one_peak_and_errors_have_their_gain(tmp_path: Path) -> None:
    reference = np.linspace(0, 3, 64 * 48).reshape(64, 48)
    other = reference + 0.1
    other[0, 0] = -1
    page = Page(written(tmp_path / "r.html", pictures=[Picture("case", reference, {"a": other}, 2.0)], gain=4))
    assert np.array_equal(page.image("Reference, whole image"), np.round(127.5 * reference.clip(0, 2)))
    assert np.array_equal(page.image("a, whole image"), np.round(127.5 * other.clip(0, 2)))
    error = page.image("Error of a, times 4")
    assert error[0, 0] == 255 and (error.ravel()[1:] == round(255 * 4 * 0.1 / 2)).all()
    words = "".join(page.words)
    assert "error × 4" in words and "White is 2 in every image" in words and "0.5 or more, 25 % of white" in words


def test_colour_stays_colour_and_its_error_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    reference = np.zeros((20, 30, 3))
    image = reference + np.array([0.3, 0.0, 0.0])
    page = Page(written(tmp_path / "r.html", pictures=[Picture("frame", reference, {"a": image}, 1.0)], gain=2))
    assert (page.image("a, whole image") == [round(255 * 0.3), 0, 0]).all()
    assert (page.image("Error of a, times 2") == round(255 * 2 * 0.1)).all()


def test_region_is_boxed_and_magnified_where_errors_and_detail_are() -> None:
    rng = np.random.RandomState(0)
    reference = np.ones((80, 80))
    reference[40:60, 20:40] += 0.1 * rng.standard_normal((20, 20))  # detail
    reference[5:15, 60:75] += 0.1 * rng.standard_normal((10, 15))  # some more, which every method gets right
    wrong = reference.copy()
    wrong[40:60, 20:40] += 0.05 * rng.standard_normal((20, 20))
    wrong[65:80, 65:80] += 0.05  # wrong too, yet plain
    region = chosen_region(reference, [error_map(wrong, reference), np.zeros((80, 80))])
    assert (region.height, region.width) == (20, 20) and abs(region.top - 40) <= 2 and abs(region.left - 20) <= 2


def test_region_shown_is_the_one_boxed(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    reference = head(rng, (60, 90))
    picture = Picture("case", reference, {"a": reference * 0.9, "b": head(rng, (60, 90))}, 2.0)
    text = written(tmp_path / "r.html", pictures=[picture])
    boxes = re.findall(r'class="box" style="left: ([\d.]+)%; top: ([\d.]+)%; width: ([\d.]+)%; height: ([\d.]+)%"', text)
    assert len(boxes) == 3 and len(set(boxes)) == 1
    left, top, width, height = (round(float(part) * side / 100) for part, side in zip(boxes[0], (90, 60, 90, 60), strict=True))
    page = Page(text)
    for label in ("Reference", "a", "b"):
        whole = page.image(f"{label}, whole image")
        assert np.array_equal(page.image(f"{label}, region"), whole[top : top + height, left : left + width])


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 300), (64, 64, 3)])
def test_any_size_and_nothing_to_see(tmp_path: Path, shape: tuple[int, ...]) -> None:
    still = np.zeros(shape)
    Page(written(tmp_path / "r.html", pictures=[Picture("case", still, {"same": still}, 1.0), Picture("alone", still, {}, 1.0)]))


def test_pixels_that_are_not_finite_are_black_counted_and_wholly_wrong(tmp_path: Path) -> None:
    reference = np.ones((16, 16), dtype=np.float32)
    image = reference.copy()
    image[0, :3] = np.nan, np.inf, -np.inf
    page = Page(written(tmp_path / "r.html", pictures=[Picture("case", reference, {"a": image}, 1.0)]))
    assert (page.image("a, whole image")[0] == [0, 0, 0] + [255] * 13).all()
    assert (page.image("Error of a, times 5")[0] == [255, 255, 255] + [0] * 13).all()
    assert "3 values are not finite" in "".join(page.words)


def test_marks_in_cells(tmp_path: Path) -> None:
    lines = [["__init__ a", "**__1.0__**"], ["2 ** 3 ** 4", "__**2.0** ± 1__"], ["a__b__c", "–"], ["< 5", "**a __b** c__"]]
    text = written(tmp_path / "r.html", tables=[Table("t", ["m", "v"], lines)])
    assert "<strong><u>1.0</u></strong>" in text and "<u><strong>2.0</strong> ± 1</u>" in text
    assert "2 ** 3 ** 4" in text and "a__b__c" in text and "&lt; 5" in text and "<strong>a __b</strong> c__" in text
    Page(text)


def test_numbers_stand_flush_right_and_groups_are_parted(tmp_path: Path) -> None:
    lines = [["4x", "DDS 49", "**31.2 ± 1**", "[-1, 2]"], ["4x", "3D net", "–", "[1, 2]"], ["8x", "U-Net", "-0.2", "(0, 1)"]]
    text = written(tmp_path / "r.html", tables=[Table("t", ["setting", "method", "PSNR", "interval"], lines)])
    heads = re.findall(r'<th scope="col"( class="number")?>(\w+)</th>', text)
    assert [word for flush, word in heads if flush] == ["PSNR", "interval"]
    assert text.count('<tr class="again">') == 1 and text.count('<tr class="parted">') == 1


def test_a_method_looks_the_same_in_every_plot(tmp_path: Path, everything: dict) -> None:
    plots = written(tmp_path / "r.html", **everything).split('class="plot"')[1:]
    assert len(plots) == 2
    for plot in plots:
        keys = dict(re.findall(r"fill: var\(--(series-\d)\).*?</svg>([^<]+)</li>", plot))
        assert keys == {"series-0": "zero-filled", "series-1": "DDS 49"}
        drawn = plot.split('class="chart"')[1].split("</svg>")[0]
        assert "stroke: var(--series-0)" in drawn and "stroke: var(--series-1)" in drawn and "#0" not in drawn.replace('"#', "")


def test_axes_show_the_values_and_a_baseline_is_a_level(tmp_path: Path) -> None:
    points = {"DDS": [Point(100, 32.0), Point(10, 28.0), Point(11, 28.5), Point(50, float("nan")), Point(1000, 33.0)],
              "TV": [Point(0, 25.0, 24.0, 26.0)], "lost": [Point(10, float("inf"))]}
    plot = written(tmp_path / "r.html", curves=[Curves("t", "calls", "PSNR", points, log_x=True)]).split('class="plot"')[1]
    ticks = re.findall(r"<text[^>]*>([^<]*)</text>", plot)
    assert {"10", "100", "1000"} <= set(ticks) and "11" not in ticks and "50" not in ticks
    assert "lost" not in plot
    line = re.search(r'<path d="M ([\d.]+) ([\d.]+)\s+L ([\d.]+) \2\s*" [^>]*dasharray[^>]*stroke: var\(--series-1\)', plot)
    assert line and float(line.group(3)) - float(line.group(1)) > 380  # level, from side to side of a 461 wide plot
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">DDS</th><td[^>]*>(\d+)</td>", plot)
    assert rows == ["10", "11", "100", "1000"]


@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("points", [[], [Point(0, 1)], [Point(-1, 1)], [Point(5, 1, 1, 1)], [Point(1, 1, float("nan"), 2.0)],
                                    [Point(x, x) for x in range(40)], [Point(float("nan"), 1)]])
def test_plots_with_little_or_much_to_draw(tmp_path: Path, points: list[Point], log_x: bool) -> None:
    text = written(tmp_path / "r.html", curves=[Curves("t", "x", "y", {"m": points}, log_x=log_x)])
    assert ("no finite value to draw" in text) == (not points or points[0].x != points[0].x)
    Page(text)


def test_provenance_as_a_definition_list(tmp_path: Path) -> None:
    text = written(tmp_path / "r.html", provenance={
        "noise": None, "deterministic": True, "levels": (0.1, 1.0), "prior": {"name": "starter", "empty": {}}, "command": "a\nb",
        "cases": [{"name": "one"}, "two"], "labels": {"b", "a"}})
    for said in ("<dt>noise</dt><dd>none</dd>", "<dd>yes</dd>", "<dd>0.1, 1.0</dd>", "<dt>name</dt><dd>starter</dd>",
                 "<dt>empty</dt><dd>none</dd>", "<pre>a\nb</pre>", "<li>two</li>", "<dd>a, b</dd>"):
        assert said in text
    Page(text)


def test_parts_without_content_are_left_out(tmp_path: Path) -> None:
    page = Page(written(tmp_path / "r.html", summary="One.\n\nTwo **strong**."))
    assert not page.all("h2") and not page.all("img") and {"One.", "Two ", "strong"} <= set(page.words)


def test_two_dozen_images_stay_small(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    rows = np.linspace(-1, 1, 320)
    reference = np.exp(-3 * (rows[:, None] ** 2 + rows**2)) * (1 + 0.1 * np.sin(40 * rows))
    pictures = [Picture(f"case {case}", reference, {f"method {number}": np.abs(reference + 0.01 * rng.standard_normal((320, 320)))
                                                    for number in range(12)}, 1.0) for case in range(2)]
    assert len(written(tmp_path / "r.html", pictures=pictures)) < 8e6


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
