"""What the C library does with memory that is no longer used, and how libraries say that there is none left."""

import ctypes
import platform

LARGEST = 2**28  # bytes: blocks below this size are kept for the next that is asked for; larger ones, matrices of the exact data
# step and not layers, would leave holes that little else fits
KEPT = 2**30  # bytes of them at most, where they lie at the end
NO_MEMORY = (  # what torch and its libraries say in a RuntimeError
    "out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed", "std::bad_alloc",
    "could not create a memory object", "unable to allocate", "mps backend out of memory",
)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of mallopt(3)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a GPU or of this computer: on a CPU torch raises a plain `RuntimeError`."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported for this
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in NO_MEMORY)


def keep_freed_memory() -> bool:
    """Has glibc keep freed blocks below 256 MiB for the next use, in this process, from now on; True where it does.

    By default glibc hands every block above 32 MiB back to the system and asks for it anew, page by page. The layers of a
    network on a CPU make such blocks all the time: a fifth of a call on one image of 320 x 320 pixels went there
    (docs/speed.md). The process holds on to the most memory that it has needed. The commands of `medrestore` do this; the library
    does it for nobody who has not asked. Nothing happens where there is no glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    mallopt.restype, mallopt.argtypes = ctypes.c_int, [ctypes.c_int, ctypes.c_int]
    mallopt(M_ARENA_MAX, 1)  # other arenas are too small for large blocks
    return bool(mallopt(M_TRIM_THRESHOLD, KEPT)) & bool(mallopt(M_MMAP_THRESHOLD, LARGEST))


def release_freed_memory() -> None:
    """Gives back what has been kept: between two stages of work that need large blocks of other sizes."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
