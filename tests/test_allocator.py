"""Freed memory is kept where glibc can be told to."""

import platform
import subprocess
import sys

import pytest

ASKS = """
import resource, torch
from medrestore.allocator import keep_freed_memory
{keep}
for turn in range(40):
    if turn == 32:  # by then what is kept is large enough, however it lies
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MiB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: str) -> int:
    """Pages that the system brings for eight blocks of 64 MiB, one after the other."""
    done = subprocess.run([sys.executable, "-c", ASKS.format(keep=keep)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc hands large blocks back")
def test_large_blocks_are_used_again() -> None:
    assert faults("assert keep_freed_memory()") < faults("") / 8


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from medrestore.allocator import keep_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
