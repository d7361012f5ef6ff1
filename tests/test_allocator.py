"""Freed memory is kept where glibc can be told to."""

import platform
import subprocess
import sys

import pytest
import torch

from medrestore.allocator import is_out_of_memory

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


@pytest.mark.parametrize(("error", "memory"), [
    (MemoryError(), True), (torch.OutOfMemoryError(), True), (RuntimeError("shape mismatch"), False),
    (ValueError("out of memory"), False),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried"), True),
    (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True), (RuntimeError("std::bad_alloc"), True),
])
def test_errors_of_memory_are_known_by_type_and_by_words(error: Exception, memory: bool) -> None:
    assert is_out_of_memory(error) is memory


SHORT = """
import resource, torch
from medrestore.allocator import is_out_of_memory
from medrestore.sampling import in_batches
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 2**28, now + 2**28))
sizes = []
def draw(items):
    sizes.append(len(items))
    torch.empty(len(items), 2**25)  # 128 MiB each
    return torch.zeros(len(items), 1)
drawn = list(in_batches(draw, range(8), 8))
print(sizes, sum(map(len, drawn)))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.system() != "Linux", reason="the limit of an address space")
def test_a_cpu_that_runs_out_of_memory_halves_the_batch() -> None:
    done = subprocess.run([sys.executable, "-c", SHORT], capture_output=True, text=True, check=True)
    assert done.stdout in ("[8, 4, 2, 1, 1, 1, 1, 1, 1, 1, 1] 8\n", "[8, 4, 2, 2, 2, 2] 8\n")
