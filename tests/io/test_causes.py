"""One sentence for each cause of a file that cannot be opened, and advice that works."""

import errno
import os
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest

from medrestore.child import shared
from medrestore.errors import InputError
from medrestore.io import hdf5
from medrestore.io.causes import cause
from medrestore.io.guards import open_hdf5


@pytest.fixture
def scan(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["kspace"] = np.ones((2, 3, 8, 6), np.complex64)
    return tmp_path / "x.h5"


OPEN = ("import sys\nfrom medrestore.io.guards import open_hdf5\nfrom medrestore.errors import InputError\n"
        "try:\n    print(open_hdf5(sys.argv[1]).entry('kspace').shape)\nexcept InputError as error:\n    print(error)")


def opened(path, **environment):
    """What another process says that opens the file."""
    done = subprocess.run([sys.executable, "-c", OPEN, path], env=os.environ | environment, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr


def test_a_file_in_use_is_called_so_and_the_advice_works(scan):
    with h5py.File(scan, "r+"):
        said = opened(scan)
        assert "is open for writing in another program" in said and "HDF5_USE_FILE_LOCKING=FALSE" in said
        assert "damaged" not in said
        assert opened(scan, HDF5_USE_FILE_LOCKING="FALSE") == "(2, 3, 8, 6)"
    assert opened(scan) == "(2, 3, 8, 6)"  # closed there, as the other advice is


def test_a_disk_without_locks_is_read_without_them(scan, monkeypatch):
    real, asked = hdf5.File, []

    def without_locks(path, *, locking=True):
        asked.append(locking)
        if locking:
            raise OSError("Unable to synchronously open file (unable to lock file, errno = 37, error message = 'No locks')")
        return real(path, locking=locking)

    monkeypatch.setattr("medrestore.io.guards.File", without_locks)
    with open_hdf5(scan) as file:
        assert file.entry("kspace").shape == (2, 3, 8, 6) and asked == [True, False]


def test_too_many_open_files_is_no_damage(scan):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    shared().end()  # which else reads on
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(open(scan, "rb"))  # noqa: SIM115
        with pytest.raises(InputError, match=r"x\.h5 cannot be opened, this process has too many files open; .*ulimit -n"):
            open_hdf5(scan)
    finally:
        for file in held:
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("error", "said"), [
    (PermissionError(errno.EACCES, "Permission denied"), "may not be read; ask for read permission"),
    (OSError("Can't read data (file read failed: errno = 5, error message = 'Input/output error')"), "its disk reports an error"),
    (OSError("Unable to open file (truncated file: eof = 10, stored_eof = 20)"), "is shorter than its header says"),
    (OSError("Can't read data (required filter 'blosc' is not registered)"), "uses a compression that is not installed"),
    (OSError("Can't read data (inflate() failed)"), "cannot be read, it is damaged inside (inflate() failed"),
])
def test_each_cause_has_its_sentence(error, said):
    assert cause("x.h5", error).startswith(f"x.h5 {said}" if said.startswith(("may", "uses", "cannot")) else "x.h5 ")
    assert said in cause("x.h5", error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_no_damage(scan):
    scan.chmod(0)
    with pytest.raises(InputError, match="may not be read; ask for read permission"):
        open_hdf5(scan)
