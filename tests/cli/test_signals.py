"""A command that is asked to end stops as at Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers.scans import kspace

from medrestore.cli.main import main
from medrestore.cli.signals import StoppedBySignal, exit_code, stoppable
from medrestore.files import unfinished


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_main_thread_and_is_then_as_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(StoppedBySignal) as caught, stoppable():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert exit_code(caught.value) == 128 + number and exit_code(KeyboardInterrupt()) == 130
    assert signal.getsignal(number) == before


def test_what_is_ignored_or_handled_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_threads_are_left_alone() -> None:
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["--version"])))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_recon_keeps_its_slices(bench, number):
    np.save(bench / "scan.npy", kspace(40)[0])
    words = ["recon", bench / "scan.npy", "-o", bench / "out.h5", "--prior", bench.prior, "--maps-cache", "none", "--steps", "3"]
    process = subprocess.Popen([sys.executable, "-m", "medrestore", *map(str, words)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(bench.folder.glob(".out.h5.*.part/*.npz")):
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (128 + number, "stopped\n") and "of 40 slices are stored" in out
    assert unfinished(bench / "out.h5") and not (bench / "out.h5").exists()
