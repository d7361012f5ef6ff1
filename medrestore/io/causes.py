"""Why a file cannot be opened or read: one sentence for each cause, and what helps."""

import errno
import os
import re

UNLOCKABLE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # file systems that know no locks: NFS, some of clusters
BUSY = (errno.EAGAIN, errno.EACCES)  # of a lock
CAUSES = {
    errno.EACCES: "may not be read; ask for read permission on it",
    errno.EPERM: "may not be read; ask for read permission on it",
    errno.ENOENT: "does not exist; give the path of one file",
    errno.ENOTDIR: "does not exist; give the path of one file",
    errno.EISDIR: "is a folder, not a file; give the path of one file",
    errno.EMFILE: "cannot be opened, this process has too many files open; raise the limit with: ulimit -n 4096",
    errno.ENFILE: "cannot be opened, this computer has too many files open; close programs that hold many",
    errno.EIO: "cannot be read, its disk reports an error; copy it from its source again, or to another disk",
    errno.ESTALE: "cannot be read, its network disk was disconnected; connect it again",
    errno.ENOMEM: "cannot be read, memory is short; close other programs or read on a larger computer",
}
IN_USE = ("is open for writing in another program, which locks it; close it there and try again, or, where nothing "
          "writes to it, set the environment variable HDF5_USE_FILE_LOCKING=FALSE")
DAMAGED = {  # what HDF5 says in words alone
    "truncated file": "is not a complete HDF5 file, it is shorter than its header says; copy it again",
    "file signature not found": "is no HDF5 file (another format, or its beginning is damaged); copy it again",
    "required filter": "uses a compression that is not installed; store it anew with h5repack -f GZIP=4 IN OUT",
}


def number_of(error: OSError) -> int | None:
    """The error's number, which HDF5 gives in words alone."""
    found = re.search(r"errno = (\d+)", str(error))
    return int(found[1]) if found else error.errno


def is_unlockable(error: OSError) -> bool:
    """Whether HDF5 could not lock a file because its disk knows no locks; nobody can hold one there."""
    return "lock" in str(error) and number_of(error) in UNLOCKABLE


def cause(path: str | os.PathLike[str], error: OSError) -> str:
    """One sentence: why opening or reading a file failed, and what helps."""
    number, text = number_of(error), str(error)
    if "lock" in text and number in BUSY:
        return f"{path} {IN_USE}."
    if number in CAUSES:
        return f"{path} {CAUSES[number]}."
    for words, meaning in DAMAGED.items():
        if words in text:
            return f"{path} {meaning}."
    return f"{path} cannot be read, it is damaged inside ({text.partition('(')[2].rstrip(')') or text}); copy it again."
