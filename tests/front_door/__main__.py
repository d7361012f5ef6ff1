"""`make front-door`: an empty folder, a fresh environment, the wheel; then every command and block of the pages, and the walks.

Writes `build/front-door.md`: sizes, times, what ran and what did not. Steps and samples are as few as a command takes.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from front_door import blocks, stage

ROOT = blocks.ROOT
EXTRAS = "train,dicom,video,parquet,nufft"  # that the pages' commands and the walks use
STEPS = {"recon", "inpaint", "restore", "generate", "demo"}
TRAINED = ["images=64", "optim.decay_images=32", "optim.warmup_images=8", "checkpoint_images=64"]
ALSO_TRAINED = {"organs.yaml": [], "latent-quick": [  # in place of samples, which the others draw
    "latent.crops=64", "latent.train.images=64", "latent.train.checkpoint_images=64", "latent.train.ema_images=32"]}
RECIPES = {"mine.yaml": "", "organs.yaml": "classifier:"}  # files that a page shows, and how their block begins
WALKS = {"clinical_researcher.py": ["-o", "images", "--steps", "2"], "evaluator.py": ["-o", "study", "--steps", "2"],
         "trainer.py": ["-o", "work", "--images", "64", "--steps", "2"]}
LIMIT = 900  # seconds of one command


class Door:
    """A fresh environment and what was run in it.

    Args:
        work: an empty folder.
        wheel: of the package.
    """

    def __init__(self, work: Path, wheel: Path) -> None:
        self.work, self.wheel, self.bin = work, wheel, work / "venv" / "bin"
        self.rows: list[tuple[str, str, float, str]] = []  # page, line, seconds, fault
        self.facts: dict[str, str] = {}
        names = ("PYTHONPATH", "VIRTUAL_ENV")
        self.environment = {key: value for key, value in os.environ.items() if key not in names} | {
            "PATH": os.pathsep.join((str(self.bin), os.environ["PATH"])), "HOME": str(work / "home")}

    def install(self, torch: str) -> None:
        """The environment: torch alone first, then the wheel, then the extras; sizes after each."""
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "venv", str(self.work / "venv")], check=True)
        (self.work / "home").mkdir()
        for what, words in (("torch", shlex.split(torch)), ("the wheel", [str(self.wheel)])):
            self._pip(*words)
            self.facts[f"size with {what}"] = f"{self._size()} MB"
        self.facts["time to install"] = f"{time.monotonic() - began:.0f} s"
        listed = subprocess.run([self.bin / "pip", "list", "--format=json"], capture_output=True, text=True, check=True)
        names = [one["name"] for one in json.loads(listed.stdout)]
        gpu = [name for name in names if name.startswith(("nvidia", "triton"))]
        self.facts["packages"] = f"{len(names)}, GPU packages: {', '.join(gpu) or 'none'}"
        for title, code in (("import medrestore", "import medrestore"), ("import torch", "import torch"),
                            ("load a prior", "import medrestore; medrestore.priors.load('brain-mr-starter')")):
            self._call([str(self.bin / "python"), "-c", code], self.work)  # compiled first
            before = os.times()
            self._call([str(self.bin / "python"), "-c", code], self.work)
            after = os.times()
            self.facts[title] = f"{after.children_user - before.children_user:.1f} s of processor time"
        self._pip(f"{self.wheel}[{EXTRAS}]", "ismrmrd")
        self.facts[f"size with the extras {EXTRAS}"] = f"{self._size()} MB"
        print("\n".join(f"{key}: {value}" for key, value in self.facts.items()), flush=True)

    def _pip(self, *words: str) -> None:
        subprocess.run([self.bin / "pip", "install", "--quiet", "--disable-pip-version-check", "-c",
                        str(ROOT / "constraints.txt"), *words], check=True)

    def _size(self) -> int:
        return sum(path.lstat().st_size for path in (self.work / "venv").rglob("*")) // 10**6

    def _call(self, words: list[str], folder: Path) -> tuple[float, str]:
        """The seconds a command took, and its fault, empty where it did what it should."""
        began = time.monotonic()
        try:
            done = subprocess.run(words, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return time.monotonic() - began, f"not done after {LIMIT} s"
        said = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return time.monotonic() - began, "" if done.returncode == 0 else said

    def record(self, page: str, line: str, words: list[str], folder: Path) -> None:
        """Runs a command and notes how it went."""
        seconds, fault = self._call(words, folder)
        self.rows.append((page, line, seconds, fault))
        print(f"{'FAIL' if fault else 'ok  '} {seconds:5.1f} s  {page}: {line}{f'  -> {fault}' if fault else ''}", flush=True)

    def page(self, page: Path, inputs: Path) -> None:
        """Every command and block of a page, blocks each in a folder of their own, commands of the text too."""
        groups = [blocks.lines(body) for body in blocks.bodies(page, "sh")] + [[line] for line in blocks.inline(page)]
        for group in groups:
            folder = Path(tempfile.mkdtemp(dir=self.work))
            for line in group:
                if reason := blocks.not_run(line):
                    self.rows.append((blocks.name(page), line, 0.0, f"not run: it {reason}"))
                else:
                    self.record(blocks.name(page), line, _small(line, folder, inputs, page), folder)
        if code := blocks.bodies(page, "python run"):
            folder = Path(tempfile.mkdtemp(dir=self.work))
            (folder / "page.py").write_text("\n".join(map(blocks.smaller, code)))
            self.record(blocks.name(page), f"{len(code)} blocks of Python", [str(self.bin / "python"), "page.py"], folder)

    def walks(self) -> None:
        """The walks of `examples/`, small."""
        for script, words in WALKS.items():
            folder = Path(tempfile.mkdtemp(dir=self.work))
            shutil.copytree(ROOT / "examples", folder / "examples")
            self.record("examples", script, [str(self.bin / "python"), f"examples/{script}", *words], folder)


def _small(line: str, folder: Path, inputs: Path, page: Path) -> list[str]:
    """The words of a command made small; the files that it names are put into its folder."""
    words = ["dds" if word == "NAME" else word for word in shlex.split(line, comments=True)]
    for before, word in zip(["", *words], words, strict=False):
        place = inputs / word.split("/")[0]
        if before not in ("-o", "--out") and place.exists() and not (folder / word).exists():
            beside = {".cfl": [place.with_suffix(".hdr")], ".h5": [inputs / "scan.h5"] if "--from" in words else []}
            for path in [place, *beside.get(place.suffix, [])]:
                if path.is_dir():
                    shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
                else:
                    shutil.copy(path, folder / path.name)
    for word in {*words} & {*RECIPES}:
        body = next(body for body in blocks.bodies(page, "yaml") if body.startswith(RECIPES[word]))
        (folder / word).write_text(body)
        for place in ("train", "held-out"):
            shutil.copytree(inputs / place, folder / place, dirs_exist_ok=True)
    name = words[1] if words[0] == "medrestore" and len(words) > 1 else ""
    whole = {"--help", "--from", "--print_config"} & set(words)
    if name in STEPS and not whole:
        words += ["--steps", "2"]
    if name == "train" and not whole:
        words += [*TRAINED, *ALSO_TRAINED.get(words[2], ["sample_images=64"])]
    return words


def _page(door: Door) -> Iterator[str]:
    """What is written at the end."""
    run = [row for row in door.rows if not row[3].startswith("not run")]
    failed = [row for row in run if row[3]]
    yield from ("# The front door", "", *(f"- {key}: {value}" for key, value in door.facts.items()), "")
    yield f"{len(run)} commands and blocks run, {len(failed)} failed, {len(door.rows) - len(run)} not run."
    yield from ("", "| page | line | seconds | |", "|---|---|---|---|")
    yield from (f"| {page} | `{line}` | {seconds:.1f} | {fault or 'ok'} |" for page, line, seconds, fault in door.rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--torch", default="torch", help="what pip is given to install torch first")
    parser.add_argument("--only", default="", help="pages whose name holds this")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build" / "front-door.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        door = Door(Path(work), options.wheel.resolve())
        door.install(options.torch)
        inputs = Path(work) / "inputs"
        stage.make(inputs)
        door.record("stage", "a reconstruction and a study", ["sh", "-c", (
            "medrestore recon scan.h5 -o image.h5 --undersample uniform1d --accel 3 --acs 16 --steps 2 && "
            "medrestore evaluate study.yaml -o study && for name in study-a study-b before after; do cp -r study $name; done && "
            "cp study/results.csv a.csv && cp study/results.parquet b.parquet")], inputs)
        for page in blocks.PAGES:
            if options.only in blocks.name(page):
                door.page(page, inputs)
        if options.only in "examples":
            door.walks()
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("\n".join(_page(door)) + "\n")
        failed = [row for row in door.rows if row[3] and not row[3].startswith("not run")]
    print("\n".join(f"{key}: {value}" for key, value in door.facts.items()))
    print(f"{options.out}: {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
