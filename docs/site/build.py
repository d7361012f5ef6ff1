"""`make docs`: the pages as a static site in build/site, from the Markdown of the repository and the docstrings of the package.

Pages keep their places, so that links between them, and to other files, are the same on the site and in the repository. Three
things are made here: the contents from the headings and links of docs/index.md, a page for each method and each public package,
and the notebooks as pages.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pages import api_pages, method_pages, notebook_page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(\]\()(?!https?:|#)([^)\s]+)(\))")
FENCE = re.compile(r"^```(python run|\w+ not-run:[^\n]*)$", re.MULTILINE)
MADE = ("- [Each method](methods/index.md): what a step does, and its parameters",
        "- [Python](api/index.md): the public packages, from their docstrings")
TITLES = {"README": "What you have, and the command for it <README>"}  # in the contents, where a page's own says too little
CARRIED = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "examples", "containers", "train",
           "configs")


def stage(folder: Path) -> None:
    """Fills a folder with the sources of the site."""
    for name in CARRIED:
        place = ROOT / name
        (shutil.copytree if place.is_dir() else shutil.copy)(place, folder / name)
    for path in [*ROOT.glob("docs/*"), *ROOT.glob("data/**/*.md"), *ROOT.glob("docs/pictures/*")]:
        if path.is_file():
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    (folder / "notebooks").mkdir()
    for path in sorted(ROOT.glob("notebooks/*.py")):
        (folder / "notebooks" / f"{path.stem}.md").write_text(notebook_page(path), encoding="utf-8")
    for name, text in {**method_pages(ROOT / "docs" / "methods.md"), **api_pages()}.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for path in folder.rglob("*.md"):
        text = FENCE.sub(lambda found: f"```{found[1].split()[0]}", path.read_text(encoding="utf-8"))
        path.write_text(re.sub(r"(notebooks/\w+)\.py\)", r"\1.md)", text), encoding="utf-8")
    index = folder / "docs" / "index.md"
    (folder / "index.md").write_text("\n".join(_contents(index.read_text(encoding="utf-8"))), encoding="utf-8")
    index.unlink()
    for path in folder.rglob("*.md"):  # which link to the map of the repository
        text = path.read_text(encoding="utf-8")
        up = "../" * (len(path.relative_to(folder).parts) - 1)
        path.write_text(re.sub(r"\]\((?:\.\./)*(?:docs/)?index\.md", f"]({up}index.md", text), encoding="utf-8")


def _contents(index: str) -> Iterator[str]:
    """The first page: docs/index.md with links from the root, and a table of contents for each of its sections."""
    pages: list[str] = []
    title = ""
    for line in [*index.splitlines(), "## "]:
        if line.startswith("## "):
            if title == "Reference":  # pages that are made, and so are on the site alone
                yield from ("", *MADE, "")
                pages += ["methods/index", "api/index"]
            if pages:
                yield from ("```{toctree}", ":hidden:", f":caption: {title}", "", *dict.fromkeys(pages), "```", "")
            pages, title = [], line[3:]
        made = LINK.sub(lambda found: found[1] + _from_root(found[2]) + found[3], line)
        named = [place.removesuffix(".md") for _, place, _ in LINK.findall(made) if place.endswith(".md") and title]
        pages += [TITLES.get(name, name) for name in named]
        if line != "## ":
            yield made


def _from_root(place: str) -> str:
    return place.removeprefix("../") if place.startswith("../") else f"docs/{place}"


def main() -> int:
    from sphinx.cmd.build import main as sphinx

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build" / "site")
    options = parser.parse_args()
    source = options.out.with_name(f"{options.out.name}-source")
    for folder in (source, options.out):
        shutil.rmtree(folder, ignore_errors=True)
    source.mkdir(parents=True)
    stage(source)
    shutil.copytree(Path(__file__).parent / "_static", source / "_static")
    shutil.copy(Path(__file__).parent / "conf.py", source)
    return sphinx(["-W", "--keep-going", "-q", "-b", "html", "-d", str(source / ".doctrees"), str(source), str(options.out)])


if __name__ == "__main__":
    sys.exit(main())
