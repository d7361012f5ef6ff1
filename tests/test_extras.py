"""A missing optional package is one sentence with the command that installs it."""

import tomllib
from pathlib import Path

import pytest

from medrestore.errors import InputError
from medrestore.extras import extra, install_line

ROOT = Path(__file__).parents[1]


def test_what_is_missing_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(InputError, match=r"^training needs nothing_of_the_kind, which is not installed; "
                                         r"run: pip install 'medrestore\[train\]'$"), extra("train", "training"):
        import nothing_of_the_kind.deeper  # noqa: F401


def test_what_is_there_passes_and_other_errors_stay() -> None:
    with extra("train", "training"):
        import json
    assert json.dumps(1) == "1"
    with pytest.raises(ModuleNotFoundError, match=r"medrestore\.nowhere"), extra("train", "training"):
        import medrestore.nowhere  # noqa: F401  # a fault of the package itself
    with pytest.raises(ImportError, match="cannot import"), extra("train", "training"):
        from json import nothing  # noqa: F401


def test_every_extra_that_is_named_exists() -> None:
    import re

    there = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {found for path in (ROOT / "medrestore").rglob("*.py")
             for found in re.findall(r"\b(?:check_)?extra\(\"(\w+)\"", path.read_text(encoding="utf-8"))}
    assert {"train", "monai", "baselines", "diffusers", "dicom", "twix"} <= named <= set(there)
    assert install_line("train") == "pip install 'medrestore[train]'"
