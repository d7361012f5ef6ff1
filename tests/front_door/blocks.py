"""The commands and blocks of code of the pages: the one list that tests parse and `make front-door` runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medrestore.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/**/*.md"), ROOT / "examples/README.md",
                ROOT / "train/README.md", ROOT / "containers/README.md"])
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(rf"medrestore (?:{'|'.join(COMMANDS)})( |$)")
NEED_MORE = (  # commands that take at least a file: alone they are a name in a sentence
    "recon", "inpaint", "restore", "degrade", "generate", "train", "convert", "inspect", "evaluate", "compare", "serve")
NOT_RUN = {  # what `make front-door` does not run, by a pattern of the line, and why
    r"multicoil_val|fastmri": "needs fastMRI",
    r"DREAMING": "needs DREAMING",
    r"VOLUMES|volumes\.npz|PICTURES": "needs a data set of its own",
    r"evaluate (dds-study|few-steps)|train (unet|varnet)": "takes half an hour or more",
    r"256x256_classifier|imagenet": "needs checkpoints of guided diffusion",
    r"train (brain-mr|pictures|surgical)-": "takes hours",
    r"--init|configs/train/|runs/varnet": "goes on from a training run",
    r"meas\.dat": "needs a file of a Siemens scanner",
    r"^make |benchmarks/|-m pytest": "is for a clone of the repository, where the other targets run it",
    r"^pip install|^python -m venv": "is what the front door does first",
    r"^dask |/shared/|^CUDA_VISIBLE|^mkdir -m|^openssl|^export DASK|^for role|^done|^  export": "needs a cluster",
    r" (FILE|CONFIG\.yaml|SCAN|NAME)\b|my\.yaml|^medrestore restore --task colorize$": "stands for any file",
    r"^medrestore serve": "runs until it is stopped",
    r"^python examples/": "is one of the walks, which the front door runs by themselves",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        kind: the words behind the fence, such as `sh` or `python run`.
        reason: why it is not run, of `sh not-run: reason`; empty for others.
    """

    page: Path
    kind: str
    reason: str
    body: str


def name(page: Path) -> str:
    """A page as tests name it."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page."""
    for found in FENCE.finditer(page.read_text(encoding="utf-8")):
        kind, _, reason = found["kind"].partition(" not-run:")
        yield Block(page, kind.strip(), reason.strip(), found["body"])


def bodies(page: Path, kind: str) -> list[str]:
    """The bodies of the blocks of a kind that are run."""
    return [block.body for block in blocks(page) if block.kind == kind and not block.reason]


def inline(page: Path) -> list[str]:
    """Every whole command in the text and the tables of a page."""
    found = re.findall(r"`(medrestore [^`\n]+)`", FENCE.sub("", page.read_text(encoding="utf-8")))
    return [line for line in dict.fromkeys(found) if COMMAND.match(line) and line.removeprefix("medrestore ") not in NEED_MORE]


def lines(body: str) -> list[str]:
    """The commands of a block of shell, without comments of their own line."""
    return [line for line in body.splitlines() if line.strip() and not line.startswith("#")]


def commands(page: Path) -> list[str]:
    """Every `medrestore ...` line of the blocks and of the text of a page."""
    listed = [line for body in bodies(page, "sh") for line in lines(body)] + inline(page)
    return [line for line in listed if COMMAND.match(line)]


def not_run(line: str) -> str:
    """Why a line is not run; empty where it is."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, line)), "")


def smaller(code: str) -> str:
    """Python code with as few steps and samples as a method takes."""
    return re.sub(r"\bsamples=\d+", "samples=2", re.sub(r"\bsteps=\d+", "steps=2", code))
