"""The page over HTTP, without a browser."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the page needs the extra serve")

from fastapi.testclient import TestClient
from helpers.scans import Bench, fastmri, kspace
from helpers.served import QUICK, at_once, front_of, guarded, jobs_in, waited

from medrestore.serve import jobs as module
from medrestore.serve.app import PAGE
from medrestore.serve.jobs import Jobs

BASE = "http://127.0.0.1:8765"


@pytest.fixture
def jobs(tmp_path: Path, tiny_prior: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.setattr(module, "over", at_once)
    with jobs_in(tmp_path, front_of(tiny_prior)[0], device="cpu") as jobs:
        yield jobs


@pytest.fixture
def client(jobs: Jobs, tiny_prior: Path) -> Iterator[TestClient]:
    guard = guarded(jobs, *front_of(tiny_prior), max_upload_gb=0.001)
    with TestClient(guard, base_url=BASE, headers={"origin": BASE}) as client:
        assert client.get(f"/?token={guard.token}").status_code == 200
        yield client


def created(client: TestClient, kind: str) -> str:
    return client.post(f"/api/jobs/{kind}").json()["id"]


def scan_bytes(tmp_path: Path) -> bytes:
    data, images = kspace()
    return fastmri(tmp_path / "Jane_Doe.h5", data, reference=images).read_bytes()


def started(client: TestClient, name: str, values: dict[str, Any], more: str = "", **rest: Any) -> Any:
    return client.post(f"/api/jobs/{name}/start", json={"values": values, "more": more, **rest})


def test_the_page_and_its_parts(client: TestClient) -> None:
    index = client.get("/")
    assert index.headers["content-type"] == "text/html; charset=utf-8" and "medrestore" in index.text
    for name, kind in PAGE.items():
        part = client.get(f"/page/{name}")
        assert part.status_code == 200 and part.headers["content-type"].startswith(kind)
        assert "http://" not in part.text and "https://" not in part.text  # nothing of elsewhere
        assert name == "index.html" or name in {"api.js", "forms.js", "viewer.js", "brush.js"} or f"/page/{name}" in index.text
    for name in ("../app.py", "app.py", "%2e%2e/app.py"):
        assert client.get(f"/page/{name}").status_code == 404


def test_what_can_be_asked_for(client: TestClient) -> None:
    about = client.get("/api/about").json()
    assert list(about["kinds"]) == ["recon", "restore", "inpaint"] and "Not for diagnosis" in about["notice"]
    fields = {one["name"]: one for one in about["kinds"]["recon"]["fields"]}
    assert fields["quality"]["choices"] == ["fast", "balanced", "best"] and fields["quality"]["default"] == "balanced"
    assert fields["prior"]["choices"] == ["brain-mr-starter", "tiny"] and fields["spread"]["switch"]
    inpaint = {one["name"]: one for one in about["kinds"]["inpaint"]["fields"]}
    assert inpaint["prior"]["choices"] == ["surgical-starter", "pictures-starter"]
    assert ".h5" in about["kinds"]["recon"]["files"]["scan"]


def test_a_scan_to_its_files(client: TestClient, jobs: Jobs, tmp_path: Path, bench: Bench) -> None:
    name = created(client, "recon")
    assert client.put(f"/api/jobs/{name}/files/scan?suffix=.h5", content=scan_bytes(tmp_path)).json()["bytes"] > 1000
    values = {"prior": "tiny", "undersample": "uniform1d", "accel": "2"}
    assert started(client, name, values, QUICK + "acs: 14").json()["state"] in ("waiting", "running")
    entry = jobs.get(name)
    assert entry is not None
    waited(entry)
    told = client.get(f"/api/jobs/{name}").json()
    assert told["state"] == "done", told
    assert [view["title"] for view in told["views"]] == ["zero-filled", "restored", "reference"]
    view = told["views"][1]
    pixels = np.frombuffer(client.get(f"/api/jobs/{name}/views/1").content, "<f4").reshape(view["height"], view["width"])
    assert pixels.max() >= view["high"] > 0
    with zipfile.ZipFile(io.BytesIO(client.get(f"/api/jobs/{name}/results.zip").content)) as archive:
        assert set(archive.namelist()) == {file["name"] for file in told["results"]}
    one = client.get(f"/api/jobs/{name}/results/reconstruction.png")
    assert one.content.startswith(b"\x89PNG") and "attachment" in one.headers["content-disposition"]
    assert "Jane" not in str(told) and str(tmp_path) not in str(told) and "SECRET" not in str(told)
    assert client.delete(f"/api/jobs/{name}").status_code == 200 and not entry.folder.exists()
    assert client.get(f"/api/jobs/{name}").status_code == 422


@pytest.mark.parametrize(("kind", "suffix", "content", "values", "more", "words", "said"), [
    ("recon", ".h5", b"garbage", {}, "", (), None),
    ("recon", ".h5", b"", {}, "", (), None),
    ("recon", ".npy", b"\x93NUMPY", {}, "", (), None),
    ("recon", ".h5", b"x", {}, "steps: 1", ("--steps", 1), None),
    ("recon", ".h5", b"x", {}, "method: dsd", ("--method", "dsd"), None),
    ("recon", ".h5", b"x", {"slices": "3-5"}, "", ("--slices", "3-5"), None),
    ("recon", ".h5", b"x", {"undersample": "uniform1d"}, "", ("--undersample", "uniform1d"), None),
    ("recon", ".h5", b"x", {}, "stpes: 3", (), "there is no option 'stpes'; did you mean steps?"),
    ("recon", ".h5", b"x", {}, "- 3", (), "the further options are no options; write lines such as steps: 25"),
    ("recon", ".h5", b"x", {}, "a: *b", (), "the further options cannot be used as settings in line 1: aliases"),
])
def test_the_same_sentence_as_on_the_command_line(client: TestClient, jobs: Jobs, bench: Bench, monkeypatch: pytest.MonkeyPatch,
                                                  kind: str, suffix: str, content: bytes, values: dict[str, Any], more: str,
                                                  words: tuple[Any, ...], said: str | None) -> None:
    name = created(client, kind)
    client.put(f"/api/jobs/{name}/files/scan?suffix={suffix}", content=content)
    answer = started(client, name, values | {"prior": "tiny"}, more)
    if answer.status_code == 200:
        entry = jobs.get(name)
        assert entry is not None
        error = waited(entry).error
    else:
        assert answer.status_code == 422
        error = answer.json()["error"]
    if said is not None:
        assert error is not None and error.startswith(said)
        return
    monkeypatch.chdir(bench.folder)
    Path(f"scan{suffix}").write_bytes(content)
    outcome = bench.call(kind, f"scan{suffix}", "-o", "out.h5", "--prior", bench.prior, *words)
    assert outcome.code == 2 and outcome.err == f"medrestore {kind}: error: {error}\n"


def test_refusals_before_any_work(client: TestClient, tmp_path: Path) -> None:
    name = created(client, "restore")
    assert started(client, name, {"task": "denoise"}).json()["error"] == "the image is missing; drop a file"
    assert "and .png, .jpg" in client.put(f"/api/jobs/{name}/files/image?suffix=.exe", content=b"x").json()["error"]
    assert client.put(f"/api/jobs/{name}/files/image?suffix=/../x.png", content=b"x").status_code == 422
    assert "page offers no prior 'elsewhere'" in started(client, name, {"prior": "elsewhere"}).json()["error"]
    assert "kernel names a file" in started(client, name, {}, "kernel: /etc/passwd").json()["error"]
    assert "cannot be read; reload the page" in client.post(f"/api/jobs/{name}/start", content=b"[1]").json()["error"]
    assert "too long" in client.post(f"/api/jobs/{name}/start", content=b" " * 70_000).json()["error"]
    assert "begin another one" in client.get("/api/jobs/nothing").json()["error"]
    assert client.post("/api/jobs/train").status_code == 422
    for path in ("views/0", "views/-1", "results.zip", "results/x.png", "results/..%2f..%2fx"):
        assert client.get(f"/api/jobs/{name}/{path}").status_code == 404
    for path in ("docs", "openapi.json", "redoc"):
        assert client.get(f"/{path}").status_code == 404


def test_a_file_that_is_too_large_is_not_kept(client: TestClient, jobs: Jobs) -> None:
    name = created(client, "recon")
    entry = jobs.get(name)
    assert entry is not None

    def parts() -> Iterator[bytes]:  # without a length that is announced
        yield from [b"x" * 400_000] * 4

    for content in (b"x" * 1_000_001, parts()):
        answer = client.put(f"/api/jobs/{name}/files/scan?suffix=.h5", content=content)
        assert answer.status_code == 413 and "larger than 0.001 GB, the most that is taken" in answer.json()["error"]
        assert list(entry.folder.iterdir()) == []


def test_no_more_files_than_a_job_needs(client: TestClient) -> None:
    name = created(client, "recon")
    for suffix in (".h5", ".npy", ".mat", ".dat"):
        assert client.put(f"/api/jobs/{name}/files/scan?suffix={suffix}", content=b"x").status_code == 200
    assert "takes no more files" in client.put(f"/api/jobs/{name}/files/scan?suffix=.cfl", content=b"x").json()["error"]


def test_a_job_is_cancelled(client: TestClient) -> None:
    name = created(client, "recon")
    assert client.post(f"/api/jobs/{name}/cancel").json()["state"] == "cancelled"
    assert "this job was started already" in started(client, name, {}, sample=True).json()["error"]
