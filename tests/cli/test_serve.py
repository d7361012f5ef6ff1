"""`medrestore serve`: its refusals, what it offers, and a whole run of it."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from helpers.networks import save_rgb_prior
from helpers.scans import Bench

from medrestore.cli.serve import COMMANDS, Front, offered, suiting
from medrestore.errors import InputError

pytest.importorskip("uvicorn", reason="the page needs the extra serve")


def test_priors_that_the_page_offers(tiny_prior: Path, tmp_path: Path) -> None:
    rgb = save_rgb_prior(tmp_path / "rgb")
    found = offered((str(tiny_prior), str(rgb)))
    assert suiting(found, "recon") == ("brain-mr-starter", "tiny")
    assert suiting(found, "inpaint") == ("surgical-starter", "pictures-starter", "rgb")
    assert set(suiting(found, "restore")) == {"brain-mr-starter", "pictures-starter", "surgical-starter", "tiny", "rgb"}
    with pytest.raises(InputError, match="two priors are called tiny; name the folder"):
        offered((str(tiny_prior), str(tiny_prior)))
    with pytest.raises(InputError, match="no prior at"):
        offered(("nowhere",))


def test_plans_are_those_of_the_commands(tiny_prior: Path) -> None:
    front = Front({"tiny": str(tiny_prior), "brain-mr-starter": "brain-mr-starter"})
    for kind, words, given in [
        ("recon", ("--quality", "fast", "--prior", str(tiny_prior)), {"quality": "fast", "prior": "tiny"}),
        ("recon", ("--uncertainty", "--slices", "2:4"), {"uncertainty": True, "slices": "2:4"}),
        ("restore", ("--task", "sr", "--factor", "2"), {"task": "sr", "factor": "2"}),
        ("inpaint", ("--mask-means", "hole", "--grow", "3"), {"mask_means": "hole", "grow": "3"}),
    ]:
        assert front.plan(kind, given) == COMMANDS[kind].parse(words).plan
    with pytest.raises(InputError, match="the page offers no prior 'x'"):
        front.plan("recon", {"prior": "x"})
    assert front.sentence("recon", InputError("give `noise_std`")) == "give --noise-std"


@pytest.mark.parametrize(("words", "said"), [
    (("--port", 70000), "--port must be at least 0 and at most 65535"), (("--keep", 0), "--keep must be at least 1"),
    (("--max-upload-gb", 0), "--max-upload-gb must be above 0"), (("--priors", "nowhere"), "no prior at nowhere"),
    (("--port", 0, "--device", "toaster"), "--device toaster is not usable"),
])
def test_refusals(bench: Bench, words: tuple[object, ...], said: str) -> None:
    outcome = bench.call("serve", *words)
    assert outcome.code == 2 and said in outcome.err and outcome.out == ""


def test_a_port_that_is_taken(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = bench.call("serve", "--port", taken.getsockname()[1])
    assert outcome.code == 2 and "is not free" in outcome.err and "--port, or 0 for any" in outcome.err


def test_without_the_extra(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrestore.extras.find_spec", lambda name: None)
    outcome = bench.call("serve")
    said = "the page needs fastapi, which is not installed; run: pip install 'medrestore[serve]'"
    assert outcome.code == 2 and said in outcome.err


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_run_from_its_address_to_its_end(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "medrestore", "serve", "--port", "0", "--device", "cpu"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        assert process.stdout is not None
        found = re.match(r"open (http://127\.0\.0\.1:\d+/)\?token=\S+$", process.stdout.readline())
        assert found is not None
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(found[1], timeout=30)
        (folder,) = tmp_path.iterdir()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0 and err == "" and "uploads and results are removed" in out and not folder.exists()
