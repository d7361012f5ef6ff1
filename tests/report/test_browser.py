"""The report in a real browser with no network: it is laid out, its script runs and no other, and the slider slides.

Runs where a Chromium is found: the one MEDRESTORE_CHROMIUM names, or the first of the usual names on the PATH.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from medrestore.report.html import Curves, Picture, Point, Table, write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome-headless-shell", "chromium-headless-shell")
BROWSER = os.environ.get("MEDRESTORE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here; set MEDRESTORE_CHROMIUM to one")

METHODS = ("zero-filled", "L1-wavelet", "DDS 49", "<b>DPS</b> 250")
PAINT = (10, 200, 90)  # stands in no style, so what has this colour is the picture

# Moves the slider as a hand would, then writes what came of it into the page.
DRIVER = """
const first = document.querySelector(".compare"), stage = first.querySelector(".stage");
const images = [...stage.querySelectorAll("img")], range = first.querySelector("input[type=range]");
const told = { choices: [...first.querySelector("select").options].map((option) => option.text) };
range.value = 20; range.dispatchEvent(new Event("input"));
const area = stage.getBoundingClientRect();
told.moved = (stage.querySelector(".edge").getBoundingClientRect().left - area.left) / area.width;
told.clip = getComputedStyle(stage.querySelector(".over")).clipPath;
const choice = first.querySelectorAll("select")[1];
choice.value = "picture-1-error-1"; choice.dispatchEvent(new Event("change"));
told.right = images[1].alt;
told.same = images[1].src === document.getElementById("picture-1-error-1").src;
const box = first.querySelector("input[type=checkbox]");
const unmagnified = images[0].getBoundingClientRect().width;
box.checked = true; box.dispatchEvent(new Event("change"));
told.magnified = images[0].getBoundingClientRect().width / unmagnified;
told.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
// Drawing decodes at once, where decode() would answer at a time of its own: a picture that is whole has its last pixel.
const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
const whole = (image) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.drawImage(image, 1 - image.naturalWidth, 1 - image.naturalHeight);
  return canvas.getImageData(0, 0, 1, 1).data[3] === 255;
};
window.addEventListener("load", () => {
  told.decoded = [...document.images].filter(whole).length;
  document.body.dataset.told = JSON.stringify(told);
});
"""


def browse(tmp_path: Path, page: Path, *options: str) -> str:
    """What the browser prints about the page; every host name is unknown to it."""
    done = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
         "--no-first-run", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", *options, page.as_uri()],
        capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.RandomState(0)
    grey = np.abs(rng.standard_normal((48, 64)))
    paint = np.broadcast_to(np.array(PAINT) / 255, (32, 48, 3))
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(
        path, title="A study", summary="It went **well**.",
        tables=[Table("Quality", ["method", "PSNR (dB)"], [[method, "**30.0** ± 1.0"] for method in METHODS])],
        curves=[Curves("By acceleration", "acceleration", "PSNR (dB)",
                       {method: [Point(4, 30 + number, 29 + number, 31 + number), Point(8, 28 + number)]
                        for number, method in enumerate(METHODS)})],
        pictures=[Picture("scan", grey, {method: grey + 0.1 * rng.standard_normal(grey.shape) for method in METHODS}, 3.0),
                  Picture("frame", paint, {"filled": paint, "empty": np.zeros_like(paint)}, 1.0)],
        provenance={"seed": 0})
    return path


def test_all_parts_are_there_once_the_script_ran(tmp_path: Path, report: Path) -> None:
    page = browse(tmp_path, report, "--dump-dom", "--window-size=1300,900")
    assert re.search(r'<body[^>]* data-ready="true"', page)
    assert page.count('<div class="column">') == len(METHODS) + 1 + 3
    assert page.count('class="box"') == len(METHODS) + 1 + 3
    assert len(re.findall(r'id="picture-\d-error-\d"', page)) == len(METHODS) + 2
    assert page.count('<div class="compare" style') == 2  # hidden no longer
    assert len(re.findall(r'<div class="layer[^"]*"><img alt="[^"]+" src="data:image/png', page)) == 4
    assert page.count("<svg viewBox") == 1 and page.count("<table>") == 2 and "<dt>seed</dt>" in page
    assert "&lt;b&gt;DPS&lt;/b&gt; 250" in page and "<b>" not in page


@pytest.mark.parametrize("window", ["1300,900", "500,900"])
def test_slider_follows_the_hand(tmp_path: Path, report: Path, window: str) -> None:
    digest = base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()
    driven = report.read_text(encoding="utf-8").replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    driven = driven.replace("</body>", f"<script>{DRIVER}</script></body>")
    (tmp_path / "driven.html").write_text(driven, encoding="utf-8")
    page = browse(tmp_path, tmp_path / "driven.html", "--dump-dom", f"--window-size={window}")
    found = re.search(r'data-told="([^"]*)"', page)
    assert found
    told = json.loads(unescape(found.group(1)))
    assert told["decoded"] == page.count("<img ")  # every image of the page is a picture
    assert told["choices"][: len(METHODS) + 1] == ["Reference", *METHODS]
    assert abs(told["moved"] - 0.2) < 0.01 and told["clip"] == "inset(0px 0px 0px 20%)"
    assert told["right"] == "Error of zero-filled, times 5" and told["same"]
    assert abs(told["magnified"] - 4) < 0.01
    assert told["wide"] == 0  # nothing but tables and plots scrolls sideways


def test_another_script_does_not_run(tmp_path: Path, report: Path) -> None:
    foreign = "<script>document.body.dataset.owned = 1</script><img src='x' onerror='document.body.dataset.owned = 1'>"
    slipped = report.read_text(encoding="utf-8").replace("</body>", foreign + "</body>")
    (tmp_path / "slipped.html").write_text(slipped, encoding="utf-8")
    page = browse(tmp_path, tmp_path / "slipped.html", "--dump-dom")
    assert 'data-ready="true"' in page and not re.search(r"<body[^>]* data-owned", page)


def test_screenshot_shows_pictures_box_errors_and_curves(tmp_path: Path, report: Path) -> None:
    from PIL import Image

    shot = tmp_path / "shot.png"
    browse(tmp_path, report, f"--screenshot={shot}", "--window-size=1300,4800")
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3) @ np.array([65536, 256, 1])

    def covered(red: int, green: int, blue: int) -> int:
        return int((pixels == 65536 * red + 256 * green + blue).sum())

    assert len(pixels) == 1300 * 4800 and len(np.unique(pixels)) > 500
    assert covered(*PAINT) > 3 * 150 * 100  # the colour frame, as it was given
    assert covered(252, 255, 164) > 150 * 100  # the top of the colour map, where the empty frame is wholly wrong
    assert covered(255, 216, 77) > 500  # the boxes
    assert covered(15, 108, 171) + covered(90, 174, 236) > 100  # the first curve, on light or dark ground
