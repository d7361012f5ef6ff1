"""Links and folders at every temporary name that a command uses, even a guessed one: what they hold stays as it was.

A first run in a folder of its own is watched for the names that it creates; before the second one, the same names but
for those of its results are links to a file and to folders of somebody, or files and folders of somebody.
"""

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import save_rgb_prior
from helpers.runs import train_waves
from helpers.scans import Bench
from helpers.studies import TINY
from helpers.tasks import Fill, tasks_of
from PIL import Image

from medrestore.errors import InputError
from medrestore.evaluation.tables import write_rows
from medrestore.io import read_provenance
from medrestore.priors import load
from medrestore.priors.convert import adm
from medrestore.tasks import run as run_tasks

CREATING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
watchers: list[Callable[[Path], None]] = []  # an audit hook stays for the life of the process


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not watchers:
        return
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & CREATING:
        path = arguments[0]
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
        path = arguments[0 if event == "os.mkdir" else 1]
    else:
        return
    if isinstance(path, str | bytes | os.PathLike):
        watchers[-1](Path(os.fsdecode(path)))


@pytest.fixture(scope="module", autouse=True)
def audited() -> None:
    sys.addaudithook(_audit)


@pytest.fixture(autouse=True)
def guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random names are always the same, and as on systems that have no files without a name all are there to be guessed."""
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * 2 * count)
    monkeypatch.setattr("uuid.uuid4", lambda: uuid.UUID(int=0))


@contextmanager
def created(folder: Path) -> Iterator[set[Path]]:
    """The names that are created in a folder, relative to it."""
    names: set[Path] = set()

    def add(path: Path) -> None:
        if path.is_absolute() and path.is_relative_to(folder) and path != folder:
            names.add(path.relative_to(folder))

    watchers.append(add)
    try:
        yield names
    finally:
        watchers.pop()


def plant(place: Path, what: str, precious: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if what == "folder":
        (place / "inner").mkdir(parents=True)
        (place / "inner" / "photo.png").write_text("precious")
    elif what == "file":
        place.write_text("precious")
    else:
        place.symlink_to(precious / {"link to a file": "photo.png", "link to a folder": ".", "dangling link": "none"}[what])


def planted(folder: Path) -> dict[str, str]:
    """Everything that is precious: links by what they point at, and files by their content."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path)] = f"-> {os.readlink(path)}"
        elif path.is_file() and path.stat().st_size == 8 and path.read_bytes() == b"precious":
            found[str(path)] = "precious"
    return found


def recon(bench: Bench, out: Path) -> None:
    bench.recon(bench / "scan.h5", "-o", out / "image.h5", "--nifti", "--overwrite", "--maps-cache", out / "cache")


def inpaint(name: str) -> Callable[[Bench, Path], None]:
    def run(bench: Bench, out: Path) -> None:
        pixels = np.arange(24 * 40 * 3, dtype=np.uint8).reshape(24, 40, 3)
        mask = np.zeros((24, 40), np.uint8)
        mask[8:14, 10:18] = 255
        given = bench / "frames"
        given.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(given / "a.png")
        Image.fromarray(mask).save(bench / "mask.png")
        bench.call("inpaint", given / "a.png", "--mask", bench / "mask.png", "--mask-means", "hole", "-o", out / name,
                   "--overwrite", "--prior", save_rgb_prior(bench / "rgb"), "--steps", 2, "--window", 16)

    return run


def pictured(command: str, *words: object) -> Callable[[Bench, Path], None]:
    """A command on a picture."""
    def run(bench: Bench, out: Path) -> None:
        given = [bench / "a.png"] if command != "generate" else []
        Image.fromarray(np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)).save(bench / "a.png")
        prior = ["--prior", save_rgb_prior(bench / "rgb"), "--steps", 2] if command != "degrade" else []
        bench.call(command, *given, *words, *prior, "-o", out / "made.png", "--overwrite")

    return run


def train(bench: Bench, out: Path) -> None:
    with suppress(InputError):
        train_waves(out / "run", images=32)


def convert(bench: Bench, out: Path) -> None:
    layout = adm.adm_layout(adm.ADMArchitecture(2, 4, 32, (32, 64), 1, (False, True)))
    generator = torch.Generator().manual_seed(0)
    state = {key: 0.05 * torch.randn(shape, generator=generator) for key, shape in layout.items()}
    torch.save(state, bench / "knee.pt")
    bench.call("convert", bench / "knee.pt", "-o", out / "prior", "--set", "num_heads=2", "--overwrite")


def evaluate(bench: Bench, out: Path) -> None:
    (bench / "study.yaml").write_text(json.dumps({**TINY, "validation": None, "methods": {"ZF": {"baseline": "ZeroFilled"}}}))
    bench.call("evaluate", bench / "study.yaml", "-o", out / "study")


def score(bench: Bench, out: Path) -> None:
    for folder in ("made", "truth"):
        (bench / folder).mkdir(exist_ok=True)
        Image.fromarray(np.arange(24 * 40, dtype=np.uint8).reshape(24, 40)).save(bench / folder / "a.png")
    bench.call("evaluate", bench / "made", "--reference", bench / "truth", "--protocol", "natural", "-o", out / "scores",
               "--overwrite")


def compare(bench: Bench, out: Path) -> None:
    rows = [{"case": f"c{n}", "patient": f"p{n}", "slice": n, "setting": "4x", "method": "DDS", "seed": 0, "psnr": 30.0 + n,
             "protocol": "fastmri-slice", "data_range": 1.0} for n in range(3)]
    write_rows(bench / "rows.csv", rows)
    bench.call("compare", bench / "rows.csv", bench / "rows.csv", "-o", out / "table.tex", "--overwrite")


def demo(bench: Bench, out: Path) -> None:
    tiny = load(bench.prior)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medrestore.priors.load", lambda *words, **options: tiny)
        bench.call("demo", "--steps", 2, "--samples", 1, "-o", out / "demo.png", "--overwrite")


def tasks(bench: Bench, out: Path) -> None:
    with suppress(InputError):
        run_tasks(tasks_of(), Fill(), out / "run")


COMMANDS: dict[str, Callable[[Bench, Path], None]] = {
    "recon": recon, "inpaint.png": inpaint("a.png"), "inpaint.mha": inpaint("a.mha"), "inpaint": inpaint("folder"),
    "restore": pictured("restore", "--task", "denoise", "--noise-std", 20),
    "degrade": pictured("degrade", "--task", "denoise", "--noise-std", 20),
    "generate": pictured("generate", "--height", 16, "--width", 24),
    "train": train, "convert": convert, "evaluate": evaluate, "score": score, "compare": compare, "demo": demo, "tasks": tasks,
}
PLANTED = ("link to a folder", "link to a file", "dangling link", "folder", "file")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_what_lies_at_temporary_names_stays(bench: Bench, scan: Path, name: str, tmp_path: Path) -> None:
    run = COMMANDS[name]
    first = tmp_path / "first"
    first.mkdir()
    with created(first) as names:
        run(bench, first)
    results = {path.relative_to(first) for path in first.rglob("*")}
    temporary = sorted(path for path in names - results if not any(parent in names - results for parent in path.parents))
    assert results and temporary
    for what in PLANTED[: 1 if name == "demo" else None]:  # which takes its time, and writes as recon does
        for alone in temporary:
            out, precious = tmp_path / what / str(temporary.index(alone)), tmp_path / "mine"
            precious.mkdir(exist_ok=True)
            (precious / "photo.png").write_text("precious")
            plant(out / alone, what, precious)
            before = planted(tmp_path)
            run(bench, out)
            after = planted(tmp_path)
            assert {place: after.get(place) for place in before} == before, (what, alone)
            assert sorted(path.name for path in precious.iterdir()) == ["photo.png"]


def test_a_run_beside_planted_names_that_nobody_could_guess(bench: Bench, scan: Path, tmp_path: Path) -> None:
    """Fixed names that earlier versions used are of no meaning."""
    for name in ("image.h5.part", "image.h5.old", ".image.h5.part", "image.h5.tmp", "image.png.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").write_text("precious")
    before = planted(tmp_path)
    assert bench.recon(scan, "-o", tmp_path / "image.h5").code == 0
    assert planted(tmp_path) == before and read_provenance(tmp_path / "image.h5")
