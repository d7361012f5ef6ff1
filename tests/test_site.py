"""The site of the documentation: what is made for it, and, where a browser is, how it reads."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from medrestore.methods import METHODS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "site"))
CHROMIUM = Path("/usr/bin/chromium")
PAGES = ("index", "README", "docs/mri", "docs/methods", "docs/gallery", "methods/dds", "api/operators",
         "notebooks/01_first_restoration")


def test_every_method_has_a_page_with_its_equation() -> None:
    from pages import formula, method_pages

    made = method_pages(ROOT / "docs" / "methods.md")
    assert len(made) == len(METHODS.places) + 1
    page = made["methods/ddnm-plus.md"]
    assert page.startswith("# DDNMPlus\n") and "σ" in page and ".. autoclass:: medrestore.methods.ddnm.DDNMPlus" in page
    assert "conjugate-gradient" in made["methods/dds.md"] and "`medrestore recon`" in made["methods/dds.md"]
    assert formula("x0 <- x0 - A^+ (A x0 - y); sqrt(sigma^2)") == "x₀ ← x₀ - A⁺ (A x₀ - y); √(σ²)"
    assert formula("[inversion](inversion.md)") == "[inversion](../docs/inversion.md)"


def test_public_packages_have_pages() -> None:
    from pages import api_pages

    made = api_pages()
    assert {"api/index.md", "api/top.md", "api/operators.md", "api/recon.md"} <= set(made)
    assert ".. autoclass:: medrestore.operators.Sense" in made["api/operators.md"]
    assert "medrestore.restore\n" in made["api/top.md"]


def test_notebooks_become_pages_of_one_title() -> None:
    from pages import notebook_page

    for path in ROOT.glob("notebooks/*.py"):
        text = re.sub(r"```.*?```", "", notebook_page(path), flags=re.DOTALL)
        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1 and text.startswith("# ")


def test_the_sources_of_the_site_keep_their_places(tmp_path: Path) -> None:
    from build import stage

    stage(tmp_path)
    index = (tmp_path / "index.md").read_text()
    assert "docs/mri\n" in index and "[MRI](docs/mri.md)" in index and "methods/index" in index
    assert re.findall(r":caption: (.*)", index) == ["Tutorial", "How to", "Reference", "Explanation", "Gallery"]
    assert "](../docs/index.md" not in "".join(path.read_text() for path in tmp_path.rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "html"
    done = subprocess.run([sys.executable, str(ROOT / "docs/site/build.py"), "-o", str(out)], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr  # every warning is an error
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.is_file():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    names: dict[Path, set[str]] = {}
    for page in site.rglob("*.html"):
        names[page] = set(re.findall(r'\bid="([^"]+)"', page.read_text(encoding="utf-8")))
    broken = []
    for page in names:
        for target in re.findall(r'(?:href|src)="([^"]+)"', page.read_text(encoding="utf-8")):
            place, _, mark = target.partition("#")
            if re.match(r"[a-z]+:", place):
                assert not place.startswith("http") or page.name == "genindex.html" or "href" in page.read_text(encoding="utf-8")
                continue
            there = (page.parent / place.partition("?")[0]).resolve() if place else page
            if not there.exists() or (mark and there in names and mark not in names[there]):
                broken.append(f"{page.relative_to(site)}: {target}")
    assert len(names) > 60 and not broken


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://', page.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_are_readable(site: Path, browser, width: int) -> None:
    from axe_core_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 900})
    for name in PAGES:
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name  # nothing is cut off on the right
        assert float(page.evaluate("parseFloat(getComputedStyle(document.querySelector('article p')).fontSize)")) >= 14
        faults = [fault for fault in Axe().run(page)["violations"] if fault["impact"] in ("serious", "critical")]
        assert not faults, (name, [(fault["id"], fault["nodes"][0]["html"]) for fault in faults])
    page.close()


@pytest.mark.slow
def test_the_search_works_without_a_server(site: Path, browser) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.fill("input[name=q]", "prewhiten")
    page.press("input[name=q]", "Enter")
    page.wait_for_selector("#search-results li", timeout=60_000)
    assert "prewhiten" in page.inner_text("#search-results")
    page.close()
