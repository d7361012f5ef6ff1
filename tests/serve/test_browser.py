"""The page in a real browser: a scan, a painted frame, a job that is cancelled, and its accessibility; wide and narrow.

Runs where Playwright, axe-core and a Chromium are found: the one MEDRESTORE_CHROMIUM names, or the first of the usual names on
the PATH.
"""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.networks import save_rgb_prior
from helpers.scans import fastmri, kspace, save_prior
from PIL import Image

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytest.importorskip("axe_core_python", reason="axe-core is not installed")
pytest.importorskip("uvicorn", reason="the page needs the extra serve")

from helpers.served import served  # noqa: E402

expect = sync_api.expect
expect.set_options(timeout=60_000)

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome-headless-shell", "chromium-headless-shell")
BROWSER = os.environ.get("MEDRESTORE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    BROWSER is None, reason="there is no Chromium here; set MEDRESTORE_CHROMIUM to one")]

SIZES = {1280: 900, 400: 800}
SIZE = (60, 90)  # of the frame


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    with served(folder, save_prior(folder / "tiny", 2), save_rgb_prior(folder / "rgb")) as guard:
        yield guard.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page at one width; an error of its scripts, and whatever the browser has refused, fails the test."""
    context = browser.new_context(viewport={"width": request.param, "height": SIZES[request.param]}, accept_downloads=True,
                                  has_touch=request.param < 500)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text)
            if message.type == "error" and "422" not in message.text else None)
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    assert "token" not in page.url
    yield page
    context.close()
    assert wrong == []


def fits(page: Any) -> bool:
    """Whether nothing makes the page scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def faults(page: Any) -> list[str]:
    """What axe-core finds that is serious."""
    from axe_core_python.sync_playwright import Axe

    found = Axe().run(page)["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in serious]


def ended(page: Any, kind: str) -> str:
    expect(page.locator(f"#panel-{kind} .said")).to_have_text(re.compile("^(Done|It failed|Cancelled)"), timeout=150_000)
    return page.inner_text(f"#panel-{kind} .said")


def shades(page: Any, selector: str) -> Any:
    """The pixels of a canvas, (height, width, 4)."""
    height, width, data = page.evaluate(
        "(s) => { const c = document.querySelector(s); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return [c.height, c.width, [...d]]; }", selector)
    return np.array(data, np.uint8).reshape(height, width, 4)


def further(page: Any, kind: str, text: str) -> None:
    page.click(f"#panel-{kind} .more > summary")
    page.fill(f"#{kind}-more", text)


def test_a_scan_from_upload_to_download(page: Any, tmp_path: Path) -> None:
    data, images = kspace(2)
    fastmri(tmp_path / "Jane_Doe.h5", data, reference=images)
    page.set_input_files("#recon-file", tmp_path / "Jane_Doe.h5")
    further(page, "recon", "steps: 3\nmethod: diffpir\nsamples: 2\nacs: 14")
    page.select_option("#recon-prior", "tiny")
    page.select_option("#recon-undersample", "uniform1d")
    page.fill("#recon-accel", "2")
    assert faults(page) == []
    page.click("#panel-recon button[type=submit]")
    assert ended(page, "recon") == "Done."
    titles = page.locator("#panel-recon figcaption").all_inner_texts()
    assert [title.split("\n")[0] for title in titles] == ["Zero-filled", "Restored", "Spread", "Reference"]
    first = page.locator("#panel-recon figure canvas").first
    expect(first).to_have_attribute("aria-label", re.compile("2 of 2"))
    before = shades(page, "#panel-recon figure:nth-child(2) canvas")
    assert before.shape == (48, 40, 4) and before[..., :3].max() > 20 and before[..., 3].min() == 255
    page.focus("#recon-slice")
    page.keyboard.press("ArrowLeft")
    expect(first).to_have_attribute("aria-label", re.compile("1 of 2"))
    assert (shades(page, "#panel-recon figure:nth-child(2) canvas") != before).any()
    page.focus("#recon-level")
    page.keyboard.press("Home")
    expect(page.locator("output[for=recon-level]")).to_have_text(re.compile("^0"))
    first.scroll_into_view_if_needed()
    box = first.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 10)
    page.mouse.up()
    assert float(page.input_value("#recon-window")) > 105 and float(page.input_value("#recon-level")) > 1
    page.click("#panel-recon .sliders button")
    assert page.input_value("#recon-window") == "100" and page.input_value("#recon-level") == "50"
    assert faults(page) == [] and fits(page)
    with page.expect_download() as download:
        page.click("#panel-recon .saves a.button")
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        made = json.loads(archive.read("reconstruction.h5.json"))
    assert made["config"]["method"] == "diffpir" and made["config"]["samples"] == 2 and made["input"]["name"] == "scan.h5"
    shown = page.inner_text("#panel-recon .stage") + page.text_content("#panel-recon pre")
    assert "Jane" not in shown and "SECRET" not in shown and "/" not in page.text_content("#panel-recon pre").replace("1/mm", "")


def test_a_frame_is_painted_and_filled(page: Any, tmp_path: Path) -> None:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    given = np.stack([(3 * x + 2 * y + 40 * k) % 256 for k in range(3)], -1).astype(np.uint8)
    Image.fromarray(given).save(tmp_path / "frame.png")
    page.click("#tab-inpaint")
    page.click("#panel-inpaint button[type=submit]")
    assert page.inner_text("#panel-inpaint .error") == "choose a frame first"
    page.set_input_files("#inpaint-file", tmp_path / "frame.png")
    page.wait_for_selector(".strokes")
    page.click("#panel-inpaint button[type=submit]")
    assert "nothing is painted over" in page.inner_text("#panel-inpaint .error")
    strokes = page.locator(".strokes")
    strokes.scroll_into_view_if_needed()
    box = strokes.bounding_box()
    at = lambda u, v: (box["x"] + u * box["width"], box["y"] + v * box["height"])  # noqa: E731
    page.mouse.move(*at(0.3, 0.3))
    page.mouse.down()
    page.mouse.move(*at(0.6, 0.5), steps=6)
    page.mouse.up()

    def hidden() -> float:
        return float(page.inner_text("#panel-inpaint .paint [role=status]").split()[0])

    dragged = hidden()
    assert 1 < dragged < 30
    strokes.focus()
    for key in ("Space", "ArrowLeft", "ArrowLeft", "ArrowUp", "Space"):  # a stroke by keyboard
        page.keyboard.press(key)
    painted = hidden()
    assert painted > dragged
    page.keyboard.press("Control+z")
    assert hidden() == dragged
    page.keyboard.press("e")
    assert page.get_attribute(".paint button[aria-pressed]", "aria-pressed") == "true"
    page.keyboard.press("Space")
    assert hidden() < dragged
    page.click(".paint button:text('Undo')")
    page.click(".paint button:text('Clear')")
    assert hidden() == 0
    page.click(".paint button:text('Undo')")
    assert hidden() == dragged
    if box["width"] < 400:
        page.touchscreen.tap(*at(0.8, 0.8))
        page.click(".paint button:text('Erase')")
        page.touchscreen.tap(*at(0.8, 0.2))
        assert hidden() > dragged
    assert faults(page) == []
    further(page, "inpaint", "steps: 2\nwindow: 16")
    page.select_option("#inpaint-prior", "rgb")
    page.check("#inpaint-spread")
    page.click("#panel-inpaint button[type=submit]")
    assert ended(page, "inpaint") == "Done."
    titles = page.locator("#panel-inpaint figcaption").all_inner_texts()
    assert [title.split("\n")[0] for title in titles] == ["Given", "Restored", "Spread"]
    page.click("#panel-inpaint .saves summary")
    with page.expect_download() as download:
        page.click("#panel-inpaint .saves li a:text-is('restored.png')")
    download.value.save_as(tmp_path / "restored.png")
    with Image.open(tmp_path / "restored.png") as image:
        restored = np.asarray(image)
    changed = (restored != given).any(-1)
    assert restored.shape == given.shape and 0 < changed.mean() < 0.35
    assert not changed[:10].any() and changed[int(0.4 * SIZE[0]), int(0.45 * SIZE[1])]  # outside, and in the middle of the stroke
    assert faults(page) == [] and fits(page)


def test_an_image_with_a_mistake_and_then_without(page: Any, tmp_path: Path) -> None:
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (24, 32), np.uint8)).save(tmp_path / "image.png")
    page.click("#tab-restore")
    page.set_input_files("#restore-file", tmp_path / "image.png")
    page.select_option("#restore-task", "sr")
    assert page.is_visible("#restore-factor") and not page.is_visible("#restore-blur_std")
    further(page, "restore", "steps: 2")
    page.select_option("#restore-prior", "rgb")
    page.click("#panel-restore button[type=submit]")
    page.wait_for_selector("#panel-restore .error:not([hidden])")
    assert page.inner_text("#panel-restore .error").startswith("--factor is missing: how many pixels became one")
    assert faults(page) == []
    page.fill("#restore-factor", "2")
    page.click("#panel-restore button[type=submit]")
    assert ended(page, "restore") == "Done." and not page.is_visible("#panel-restore .error")
    assert faults(page) == [] and fits(page)


def test_a_job_is_cancelled(page: Any, tmp_path: Path) -> None:
    data, images = kspace(4)
    fastmri(tmp_path / "scan.h5", data, reference=images)
    page.set_input_files("#recon-file", tmp_path / "scan.h5")
    further(page, "recon", "steps: 5000\nmethod: diffpir\nacs: 14")
    page.select_option("#recon-prior", "tiny")
    page.select_option("#recon-undersample", "uniform1d")
    page.fill("#recon-accel", "2")
    page.click("#panel-recon button[type=submit]")
    expect(page.locator("#panel-recon .said")).to_have_text(re.compile("% done, about .* left"), timeout=150_000)
    assert faults(page) == []
    page.click("#panel-recon .cancel")
    assert ended(page, "recon") == "Cancelled." and not page.is_visible("#panel-recon .saves")
    assert not page.is_visible("#panel-recon .cancel") and page.is_enabled("#panel-recon button[type=submit]")


def test_tabs_by_keyboard_in_dark_colours(page: Any) -> None:
    page.emulate_media(color_scheme="dark")
    page.focus("#tab-recon")
    for kind in ("restore", "inpaint", "recon"):
        page.keyboard.press("ArrowRight")
        assert page.get_attribute(f"#tab-{kind}", "aria-selected") == "true" and page.is_visible(f"#panel-{kind}")
        assert faults(page) == [] and fits(page)
