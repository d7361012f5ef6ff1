"""Advice that is a command, a name that was meant, or one of a list, followed."""

import re
import shlex
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.advice import advice, advised, follows, works
from helpers.scans import Bench
from helpers.studies import TINY, opened

import medrestore as mr
from medrestore import priors
from medrestore.errors import InputError
from medrestore.mri import sampling_mask

SAID_NOTHING = ("recon", "inpaint", "restore", "degrade", "evaluate", "compare", "convert", "inspect")


@follows(
    "see medrestore {} --help", "see medrestore --help", "see medrestore recon --help", "see medrestore inpaint --help", "--help"
)
@pytest.mark.parametrize("name", SAID_NOTHING)
def test_the_help_that_is_named(name: str, bench: Bench) -> None:
    line = advice(bench, r"see (medrestore \w* ?--help)", name)[1] if name != "evaluate" else f"medrestore {name} --help"
    assert works(bench, *shlex.split(line)[1:]).startswith(f"usage: medrestore {name}")
    assert works(bench, *[advice(bench, "see medrestore (--help)")[1]]).startswith("usage: medrestore COMMAND")


@follows("did you mean", "give a command, one of {}", "there is no {}")
@pytest.mark.parametrize(
    "words",
    [
        ("inspekt", "scan.h5"),
        ("inspect", "sample:brain-scn"),
        ("evaluate", "quik", "-o", "study", "--dry-run"),
        ("recon", "--stpes", "2", "--print_config"),
        ("recon", "--method", "dsd", "--print_config"),
        ("degrade", "--tsak", "denoise", "--print_config"),
    ],
)
def test_the_name_that_was_meant(words: tuple[str, ...], bench: Bench, scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.folder)
    meant = advice(bench, r"did you mean (\S+?)\?", *words)[1]
    closest = max(words, key=lambda word: SequenceMatcher(None, word, meant).ratio())
    works(bench, *(meant if word == closest else word for word in words))


@follows("{}: {} is no option")
def test_the_name_that_was_meant_in_python() -> None:
    with pytest.raises(InputError) as caught:
        priors.load("brain-mr-startr")
    assert priors.load(re.findall(r"did you mean (\S+?)\?", str(caught.value))[0]).channels == 2
    with pytest.raises(InputError) as caught:
        mr.degrade(np.ones((8, 8)), task="denoise", nois_std=2.0)
    assert mr.degrade(
        np.ones((8, 8)), task="denoise", **{re.findall(r"did you mean (\w+)", str(caught.value))[0]: 2.0}
    ).shape == (8, 8)


@follows("choose one of {}", "there are {}")
def test_a_name_of_the_list() -> None:
    with pytest.raises(InputError) as caught:
        sampling_mask("nosuch", (32, 32), 2, acs=8, seed=0)
    listed = re.findall(r"\w+", str(caught.value).partition("choose one of")[2])
    assert len(listed) > 5 and all(sampling_mask(name, (32, 32), 2, acs=8, seed=0).mask.any() for name in listed)


@follows("write lines such as steps: 25", "give a YAML file of options", "write key=value, as optim.lr=1e-4", "--set")
def test_a_file_of_options(bench: Bench, scan: Path) -> None:
    (bench / "mine.yaml").write_text("- steps\n")
    words = (
        "recon",
        scan,
        "-o",
        bench / "x.h5",
        "--config",
        bench / "mine.yaml",
        "--prior",
        bench.prior,
        "--maps-cache",
        bench / "c",
    )
    (bench / "mine.yaml").write_text(advice(bench, r"write lines such as (.*)", *words)[1])
    assert yaml.safe_load(works(bench, *words, "--print_config"))["steps"] == 25
    (bench / "none.yaml").write_bytes(b"\xff\xfe\x00")
    advice(bench, "is not text; give a YAML file of options", *words[:4], "--config", bench / "none.yaml")


@follows("`python -c 'import h5py'`", "`python -c {}`")
def test_lines_for_a_shell() -> None:
    """The other one, which saves a checkpoint anew, is pasted in tests/priors/convert/test_load.py."""
    line = "python -c 'import h5py'"
    assert f"`{line}`" in (Path(mr.__file__).parent / "child" / "process.py").read_text(encoding="utf-8")
    subprocess.run(line.replace("python", shlex.quote(sys.executable), 1), shell=True, check=True, timeout=60)


@follows("raise the limit with: ulimit -n 4096")
def test_the_limit_of_open_files() -> None:
    line = re.search(r"ulimit -n \d+", (Path(mr.__file__).parent / "io" / "causes.py").read_text(encoding="utf-8"))
    done = subprocess.run(
        ["sh", "-c", f"ulimit -S -n 64; {line and line[0]}; ulimit -n"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "4096"


@follows("give each a label", "name at least one", "give at least one", "must be one of")
def test_settings_of_a_study(tmp_path: Path) -> None:
    twice = {**TINY, "settings": TINY["settings"] * 2}
    with advised("settings has two called .*; give each a label"):
        opened(twice, tmp_path / "study")
    opened(
        {**twice, "settings": [{**one, "label": name} for one, name in zip(twice["settings"], "ab", strict=True)]},
        tmp_path / "study",
    )
    with advised("methods is empty; name at least one"):
        opened({**TINY, "methods": {}}, tmp_path / "other")
    with advised("settings is empty; give at least one"):
        opened({**TINY, "settings": []}, tmp_path / "other")


@follows(
    "takes first:last+1, as",
    "takes i/n, as 3/16",
    "takes key=value, as --set num_heads=4",
    "takes height,width in pixels, as 256,192",
    "takes grey levels and ranges of them, as 85,170,255 or 1-255",
    "--shard",
    "takes a list of steps",
)
@pytest.mark.parametrize(
    ("words", "option", "example"),
    [
        (("recon", "scan.h5", "-o", "x.h5"), "--slices", r"as (\d+:\d+),"),
        (("evaluate", "quick", "-o", "study"), "--shard", r"as (\d+/\d+)"),
        (("inpaint", "a.png", "-o", "x.png"), "--hole-values", r"as ([\d,]+) or"),
        (("degrade", "a.png", "-o", "x.png"), "--operators", r"'(\[.*\])'"),
        (("restore", "a.nii", "-o", "x.nii"), "--slices", r"as (\d+:\d+),"),
    ],
)
def test_an_example_of_a_value(words: tuple[str, ...], option: str, example: str, bench: Bench) -> None:
    right = advice(bench, example, *words, option, "[x:y")[1]
    if words[0] == "evaluate":
        advice(bench, "went well|needs|study", *words[:2], option, right)  # the value is taken; -o is missing
    else:
        assert option.removeprefix("--").replace("-", "_") in works(bench, *words, option, right, "--print_config")


@follows("--draw", "give such a name")
def test_an_option_that_has_no_use_is_left_out(bench: Bench, scan: Path) -> None:
    advice(bench, "this one is Cartesian; leave it out", "inspect", scan, "--draw", bench / "x.png")
    works(bench, "inspect", scan)
