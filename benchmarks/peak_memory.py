"""Runs a command and prints the most memory it held, in MiB: `python benchmarks/peak_memory.py COMMAND ...`.

The system counts for a command what the program that started it held before, so this one imports next to nothing.
"""

import os
import subprocess
import sys


def main() -> int:
    command = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    _, status, used = os.wait4(command.pid, 0)
    print(used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
