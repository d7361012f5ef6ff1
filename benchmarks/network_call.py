"""Prints the seconds of a call of the shipped prior: `python benchmarks/network_call.py IMAGES SIDE THREADS kept|default`.

In a process of its own, since what the allocator does with freed memory is settled for a whole process.
"""

import sys

import speed_timing
import torch

from medrestore import keep_freed_memory
from medrestore.priors import load


def main() -> None:
    images, side, threads = map(int, sys.argv[1:4])
    torch.set_num_threads(threads)
    if sys.argv[4] == "kept" and not keep_freed_memory():
        sys.exit("the allocator cannot be told to keep freed memory")
    prior, x = load("brain-mr-starter", bf16=True), torch.randn(images, 2, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        print(speed_timing.medians({"call": lambda: prior(x, 1.0)})["call"])


if __name__ == "__main__":
    main()
