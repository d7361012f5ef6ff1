"""The child as its parent sees it: it dies, hangs, grows and fails, and the parent says so in one sentence."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from medrestore.child import Child, Limits, process
from medrestore.errors import InputError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals there")


@pytest.fixture
def child(monkeypatch):
    code = "import sys; sys.path[:] = {path!r}; from helpers.misbehaving import start; start()"
    monkeypatch.setattr(process, "START", code)
    child = Child()
    yield child
    child.end()


def wait_until_gone(pid):
    """Waits for the end of a process, whoever has to take note of it."""
    for _ in range(200):
        stat = Path(f"/proc/{pid}/stat")
        if sys.platform != "linux" or not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} lives")


def test_it_is_reused_and_ends(child):
    first = child.ask(1, "a.h5", "").value
    assert first != os.getpid()
    assert [child.ask(number, "b.h5", "").value for number in (1, 2)] == [first, first]
    child.end()
    wait_until_gone(first)
    assert child.ask(1, "a.h5", "").value != first


def test_a_file_that_kills_it(child):
    with pytest.raises(InputError, match=r"^a\.h5 makes the library that reads it crash \(SIGSEGV\), so it is damaged; copy"):
        child.ask(1, "a.h5", "die")
    assert child.ask(2, "b.h5", "").value > 0


def test_a_file_that_hangs(child):
    start = time.monotonic()
    with pytest.raises(InputError, match=r"^a\.h5 cannot be read within 1 s"):
        child.ask(1, "a.h5", "hang", Limits(seconds=1))
    assert time.monotonic() - start < 60


def test_a_child_that_waits(child, monkeypatch):
    monkeypatch.setattr(process, "WAIT", 0.5)
    monkeypatch.setattr(process, "PATIENCE", 1)
    child.ask(1, "a.h5", "")  # which starts it
    with pytest.raises(InputError, match=r"a\.h5 was not read within 1 s: its disk or this machine is too slow for that"):
        child.ask(1, "a.h5", "sleep", Limits(seconds=0.1))


@pytest.mark.skipif(sys.platform != "linux", reason="address space is not limited there")
def test_a_file_that_grows(child):
    with pytest.raises(OSError, match="allocate"):
        child.ask(1, "a.h5", "grow", Limits(memory=200 << 20, answer=2 << 30))


def test_more_than_was_asked_for(child):
    with pytest.raises(InputError, match="damaged"):
        child.ask(1, "a.h5", "lie", Limits(answer=99))
    assert child.ask(1, "a.h5", "lie", Limits(answer=100)).arrays[0].sum() == 100


def test_an_error_ends_it_so_that_the_next_file_is_read_by_another(child):
    first = child.ask(1, "a.h5", "").value
    with pytest.raises(OSError, match=r"^broken file$"):
        child.ask(1, "a.h5", "fail")
    assert child.ask(2, "b.h5", "").value != first


def test_a_closed_file_takes_its_worker_with_it(child):
    first = child.ask(1, "a.h5", "").value
    child.ask(2, "b.h5", "")
    child.close(2)
    assert child.ask(1, "a.h5", "").value == first
    child.close(1)
    child.close(1)
    assert child.ask(1, "a.h5", "").value != first


def test_a_dead_child_is_replaced(child):
    first = child.ask(1, "a.h5", "").value
    group = child._process.pid
    os.killpg(group, signal.SIGKILL)
    wait_until_gone(group)
    assert child.ask(1, "a.h5", "").value not in (first, None)


def test_a_child_that_is_killed_while_it_reads(child):
    child.ask(1, "a.h5", "")
    timer = threading.Timer(0.5, os.killpg, (child._process.pid, signal.SIGKILL))
    timer.start()
    with pytest.raises(InputError, match="SIGKILL"):
        child.ask(1, "a.h5", "sleep")
    timer.join()
    assert child.ask(1, "a.h5", "").value > 0


def test_nothing_outlives_a_killed_parent(tmp_path):
    code = """
import os, signal, h5py
from pathlib import Path
from medrestore.child import shared
from medrestore.io.hdf5 import File
with h5py.File("a.h5", "w") as file:
    file["x"] = 1
File(Path("a.h5"))
print(shared()._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, timeout=60, check=False)
    wait_until_gone(int(done.stdout))


def test_a_death_that_another_file_may_have_caused_is_tried_again(child):
    assert child.ask(1, "a.h5", "die of others").value > 0
    assert child.ask(2, "b.h5", "die of others").value > 0
    child.close(1)
    child.close(2)
    with pytest.raises(InputError, match="SIGSEGV"):  # nothing else was open
        child.ask(2, "b.h5", "die")


def test_what_a_library_prints_is_no_answer(child):
    assert child.ask(1, "a.h5", "print").value > 0


def test_interrupts_are_the_parents(child):
    first = child.ask(1, "a.h5", "").value
    os.kill(first, signal.SIGINT)
    assert child.ask(1, "a.h5", "").value == first


def test_threads_take_turns(child):
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append(child.ask(n, "a.h5", "").value)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_a_forked_process_starts_its_own(tmp_path):
    code = """
import os, h5py, numpy as np
from pathlib import Path
from medrestore.io.hdf5 import File
with h5py.File("a.h5", "w") as file:
    file["x"] = np.arange(3)
file = File(Path("a.h5"))
assert file.entry("x")[1] == 1
if (pid := os.fork()) == 0:
    os._exit(int(file.entry("x")[2]))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
assert file.entry("x")[()].tolist() == [0, 1, 2]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True, timeout=60)


def test_a_child_that_does_not_run(child, monkeypatch):
    monkeypatch.setattr(process, "START", "raise SystemExit(1)")
    with pytest.raises(InputError, match="does not run; see that `python -c 'import h5py'`"):
        child.ask(1, "a.h5", "")
    monkeypatch.setattr(sys, "executable", "/nowhere")
    with pytest.raises(InputError, match="cannot be started"):
        child.ask(1, "a.h5", "")


def test_a_question_about_a_file_that_is_closed_then(child):
    first = child.ask_once("a.h5", "", Limits(), kind="hdf5")
    assert child.ask_once("b.h5", "", Limits(), kind="hdf5").value != first.value


def test_the_content_of_a_file_goes_with_a_question(child):
    for data in (b"abc", b""):
        assert child.ask_once("a.h5", "echo", Limits(), kind="hdf5", data=data).arrays[0].tobytes() == data


@pytest.mark.parametrize(("name", "shape"), [("uint16", (2, 3)), ("object", (1,)), ("float64", (2, 2)), ("uint8", (4, "a"))])
def test_an_array_that_is_not_what_it_says(name, shape):
    answer = process.Answer(None, [np.arange(4, dtype=np.uint8)])
    assert answer.array(0, "uint16", (1, 2)).tolist() == [[256, 770]]
    with pytest.raises(OSError, match="no array"):
        answer.array(0, name, shape)
