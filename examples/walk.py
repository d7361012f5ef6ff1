"""What the three walks share: commands that are shown and run."""

import shlex
import subprocess


def run(command: str) -> None:
    """Shows a command line, runs it, and ends the walk where it fails."""
    print(f"$ {command}", flush=True)
    code = subprocess.run(shlex.split(command), check=False).returncode
    if code:
        raise SystemExit(code)  # the command has said why
