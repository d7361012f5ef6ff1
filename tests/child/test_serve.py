"""The loop in the child and its limits."""

import resource
import subprocess
import sys

import pytest

from medrestore.child.messages import receive_message, send_message

START = [sys.executable, "-c", "from medrestore.child.serve import serve; serve()"]


def test_it_answers_until_its_input_ends(tmp_path):
    with subprocess.Popen(START, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        request = {"kind": "hdf5", "closed": [], "locking": True, "file": 1, "path": str(tmp_path / "none.h5"),
                   "question": "opened", "arguments": {}, "memory": 1 << 28, "seconds": 5}
        for _ in range(2):
            send_message(process.stdin, request)
            message, _ = receive_message(process.stdout, most=0)
            assert "unable to" in message["error"].lower() and "\n" not in message["error"]
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_limits_of_the_parent_stay(tmp_path):
    def limited():
        resource.setrlimit(resource.RLIMIT_CPU, (50, 50))

    with subprocess.Popen(START, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, preexec_fn=limited) as process:
        send_message(process.stdin, {"kind": "hdf5", "closed": [], "locking": True, "file": 1, "path": "none",
                                     "question": "opened", "arguments": {},
                                     "memory": 1 << 60, "seconds": 1e5})
        assert "error" in receive_message(process.stdout, most=0)[0]
        process.stdin.close()


def test_no_torch_in_the_child():
    code = "import sys, medrestore.child.serve; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
