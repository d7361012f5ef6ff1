"""One run at a time, and no lock outlives its process."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers.disk import contents, killed

from medrestore.files import Busy, exclusive

HOLD = """
import sys
from pathlib import Path
from medrestore.files import exclusive
with exclusive(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_one_run_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    with exclusive(out):
        with (
            pytest.raises(Busy, match=rf"^{out} is being written by another run; wait for it"),
            exclusive(out),
        ):
            pass
        with exclusive(tmp_path / "b.h5"):
            pass
        assert list(contents(tmp_path)) == [".a.h5.lock"]
    with exclusive(out):
        pass
    assert contents(tmp_path) == {}


def test_another_process_is_kept_out(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None and other.stdout.readline() == b"locked\n"
    with pytest.raises(Busy), exclusive(out):
        pass
    other.communicate(timeout=30)
    with exclusive(out):
        pass
    assert contents(tmp_path) == {}


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    killed(
        """
from pathlib import Path
from medrestore.files import exclusive
with exclusive(Path(sys.argv[1])):
    die()
""",
        tmp_path / "a.h5",
    )
    assert list(contents(tmp_path)) == [".a.h5.lock"]
    with exclusive(tmp_path / "a.h5"):
        pass
    assert contents(tmp_path) == {}


def test_a_failure_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), exclusive(tmp_path / "a"):
        raise KeyboardInterrupt
    assert contents(tmp_path) == {}


def test_many_at_once_never_overlap(tmp_path: Path) -> None:
    """Locks are taken and removed all the time: whoever has one is alone."""
    inside, overlaps, turns = [], [], []

    def work() -> None:
        while len(turns) < 200:
            try:
                with exclusive(tmp_path / "a"):
                    inside.append(1)
                    overlaps.append(len(inside) > 1)
                    turns.append(1)
                    inside.pop()
            except Busy:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) >= 200 and not any(overlaps) and contents(tmp_path) == {}


def test_a_lock_file_elsewhere(tmp_path: Path) -> None:
    with exclusive(tmp_path, lock=tmp_path / ".lock"):
        with (
            pytest.raises(Busy, match=rf"^{tmp_path} is being written"),
            exclusive(tmp_path, lock=tmp_path / ".lock"),
        ):
            pass
        assert list(contents(tmp_path)) == [".lock"]
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("content", ["", "precious"])
def test_a_file_of_the_user_stays_as_it_was(tmp_path: Path, content: str) -> None:
    (tmp_path / ".a.lock").write_text(content)
    with exclusive(tmp_path / "a"), pytest.raises(Busy), exclusive(tmp_path / "a"):
        pass
    assert contents(tmp_path) == {".a.lock": content}


@pytest.mark.parametrize("planted", ["link", "dangling", "folder"])
def test_links_are_not_followed(tmp_path: Path, planted: str) -> None:
    (tmp_path / "mine").write_text("precious")
    if planted == "folder":
        (tmp_path / ".a.lock").mkdir()
    else:
        (tmp_path / ".a.lock").symlink_to("mine" if planted == "link" else "nowhere")
    before = contents(tmp_path)
    with pytest.raises(OSError, match=r"Too many levels|Is a directory"), exclusive(tmp_path / "a"):
        pass
    assert contents(tmp_path) == before


def test_a_disk_without_room_for_a_lock_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medrestore.files.locks.os.write", full)
    with pytest.raises(OSError, match="No space left"), exclusive(tmp_path / "a"):
        pass
    assert contents(tmp_path) == {}
