"""What the pages say works: blocks marked `python run` run, commands parse, links lead somewhere, names exist."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
from front_door.blocks import NOT_RUN, PAGES, ROOT, blocks, bodies, commands, inline, lines, name, smaller

import medrestore.operators
from medrestore.cli.main import COMMANDS, main
from medrestore.errors import InputError
from medrestore.io import RESEARCH_USE, read_provenance, read_reconstruction
from medrestore.methods import METHODS
from medrestore.mri import sampling_mask
from medrestore.mri.sampling import KINDS

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if bodies(page, "python run")], ids=name)
def test_python_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page, one after the other, from the root of the repository."""
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "docs"}
    for number, code in enumerate(bodies(page, "python run")):
        exec(compile(smaller(code), f"{name(page)}, block {number}", "exec"), names)
    if "result" in names:
        assert names["result"].samples.isfinite().all()


def test_the_script_of_the_readme_runs() -> None:
    assert len(bodies(ROOT / "README.md", "python run")) == 1


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name)
def test_commands_parse(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options, types and choices are those of the command line; a YAML block is the `--config` of its page."""
    monkeypatch.chdir(tmp_path)
    for recipe in bodies(page, "yaml"):
        (tmp_path / "mine.yaml").write_text(recipe)
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        if "--help" not in words:
            try:
                COMMANDS[words[0]].parse(["dds" if word == "NAME" else word for word in words[1:]])
            except InputError as error:  # of a file that a rerun would read
                assert "image.h5 does not exist" in str(error)


def test_what_is_not_run_has_a_reason_that_is_needed() -> None:
    """Every pattern of commands that the front door leaves out is of some command; every block left out says why."""
    all_lines = [line for page in PAGES for body in bodies(page, "sh") for line in lines(body)]
    all_lines += [line for page in PAGES for line in inline(page)]
    assert not [pattern for pattern in NOT_RUN if not any(re.search(pattern, line) for line in all_lines)]
    kinds = {block.kind for page in PAGES for block in blocks(page)}
    assert kinds <= {"sh", "python", "python run", "yaml", "toml", "", "text", "json"}
    assert not [block for page in PAGES for block in blocks(page) if block.kind == "python" and not block.reason]


def test_the_options_in_the_readme_exist() -> None:
    known = {"from", "help", "config", "print_config"} | {
        name for command in ("recon", "inpaint", "train", "convert") for name in COMMANDS[command].options}
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "README.md", ROOT / "docs" / "mri.md"))
    said = {word.replace("-", "_") for word in re.findall(r"`--([a-z][a-z-]*)", text)}
    assert len(said) > 10
    assert not said - known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for found in LINK.finditer(page.read_text(encoding="utf-8")):
        target = found["target"].split("#")[0]
        if target and not target.startswith("http"):
            assert (page.parent / target).exists(), f"{name(page)} links to {target}"


def test_every_page_is_on_the_map() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.*)$", index, re.MULTILINE)
    assert sections == ["Tutorial", "How to", "Reference", "Explanation", "Gallery"]
    assert not [page.name for page in ROOT.glob("docs/*.md") if page.name != "index.md" and f"({page.name})" not in index]


def test_every_operator_and_method_is_listed() -> None:
    kinds = {"Operator", "LinearOperator", "SpectralOperator", "CoIsometry", "Isometry", "Spectrum", "FromSpectrum", "Composed",
             "SpectralSense", "ResolventOperator", "ResolvedSense", "LocalOperator", "PseudoInvertible", "Encoding", "Decoded",
             "Stack", "Window", "CoilOperator", "CoilEncoding", "Coils", "NonCartesian", "AnySense"}
    readme = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("operators.md", "methods.md"))
    listed = set(medrestore.operators.__all__) - kinds | {kind.__name__ for kind in METHODS.values()}
    assert not {one for one in listed if not re.search(rf"`{re.escape(one)}\b", readme)}


def test_methods_are_shown_with_their_own_parameters() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for kind in METHODS.values():
        assert f"| `{kind.__name__}({', '.join(field.name for field in fields(kind))})` |" in page


def test_the_sampling_table_tells_the_truth() -> None:
    """Every kind is in it, and those of ours realise what it says at 320 columns."""
    rows = re.findall(r"^\| `(\w+)` \| ([12]) \|.*\| ([^|]+) \|$", (ROOT / "docs" / "mri.md").read_text(), re.MULTILINE)
    assert {(kind, int(axes)) for kind, axes, _ in rows} == {(kind, axes) for kind, (_, axes) in KINDS.items()}
    for kind, _, said in rows:
        spans = [[float(end) for end in part.split(" to ")] for part in said.split(", ")]
        for accel, span in zip((4, 8), spans, strict=True):
            assert span[0] - 0.051 <= sampling_mask(kind, (320, 320), accel, seed=0).acceleration <= span[-1] + 0.051


@pytest.mark.slow
def test_what_recon_writes_is_what_the_page_says(tmp_path: Path) -> None:
    """Datasets, shapes and the keys of the provenance, of the sample scan."""
    out = tmp_path / "brain.h5"
    words = ["recon", str(ROOT / "data/samples/brain-scan.h5"), "-o", str(out), "--undersample", "uniform1d", "--accel", "4",
             "--method", "dds", "--steps", "2", "--samples", "2", "--keep-samples", "--maps-cache", "none"]
    assert main(words) == 0
    page = (ROOT / "docs" / "mri.md").read_text(encoding="utf-8")
    table = page[page.index("JSON with") : page.index("## Scores")]
    said = {key for row in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert said == set(read_provenance(out))
    with read_reconstruction(out) as made:
        assert made.shape == (1, 224, 192)
        assert made.std(0).shape == (224, 192)
        assert made.samples(0).shape == (2, 224, 192)
        assert made.complex_image(0).is_complex()
        assert made.mask.shape == (1, 192)


def test_what_is_no_medical_device_says_so() -> None:
    for path in ("README.md", "docs/index.md"):
        assert RESEARCH_USE in (ROOT / path).read_text(encoding="utf-8")
    for card in (ROOT / "data/priors").glob("*/CARD.md"):
        text = " ".join(card.read_text(encoding="utf-8").split())
        assert "Research use only. Not a medical device. Not for diagnosis." in text and "an invent anatomy." in text


@pytest.mark.parametrize(("page", "marker"), [
    ("docs/choosing.md", "quality"), ("docs/speed.md", "speed"), ("data/priors/brain-mr-starter/CARD.md", "numbers"),
])
def test_measured_numbers_have_their_place(page: str, marker: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    assert text.count(begin) == text.count(end) == 1
    assert text.index(begin) < text.index(end)
