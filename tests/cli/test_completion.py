"""Completion offers commands, options and choices; bash itself is asked."""

import shutil
import subprocess

import pytest

from medrestore.cli.completion import script
from medrestore.cli.main import COMMANDS


def completed(*words: str) -> set[str]:
    """What bash offers for the last of these words."""
    line = " ".join(f"'{word}'" for word in words)
    code = f"{script('bash', COMMANDS)}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _medrestore; echo ${{COMPREPLY[@]}}"
    return set(subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash() -> None:
    assert completed("medrestore", "in") == {"inpaint", "inspect"}
    assert completed("medrestore", "recon", "--sa") == {"--same-noise", "--samples"}
    assert completed("medrestore", "recon", "--ladder", "") == {"karras", "ddpm", "quadratic"}
    assert completed("medrestore", "recon", "--bf16", "") == {"true", "false"}
    assert "--config" in completed("medrestore", "inpaint", "--") and "--config" not in completed("medrestore", "demo", "--")


def test_zsh_uses_the_same_script() -> None:
    text = script("zsh", COMMANDS)
    assert text.startswith("#compdef medrestore\n") and text.endswith(script("bash", COMMANDS))
