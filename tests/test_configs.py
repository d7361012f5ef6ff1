"""Every shipped recipe is one that its command takes."""

from pathlib import Path

import pytest
import yaml

from medrestore.cli.main import COMMANDS

CONFIGS = Path(__file__).parents[1] / "configs"
OTHERS = {"inpaint-": "inpaint", "shred-": "restore"}  # what other commands than recon take, by how the names begin
WORDS = {"recon": ["scan.h5"], "restore": ["photo.png", "--task", "denoise"]}
RECIPES = [(path, next((command for begin, command in OTHERS.items() if path.stem.startswith(begin)), "recon"))
           for path in sorted((CONFIGS / "restore").glob("*.yaml"))]


@pytest.mark.parametrize(("path", "command"), [one for one in RECIPES if one[1] != "inpaint"],
                         ids=lambda one: one.stem if isinstance(one, Path) else one)
def test_restore_recipes_parse_and_name_real_methods(path: Path, command: str) -> None:
    plan = COMMANDS[command].parse([*WORDS[command], "--config", str(path)]).plan
    given = yaml.safe_load(path.read_text())
    assert {key: getattr(plan, key) for key in given if key != "options"} == {
        key: given[key] for key in given if key != "options"}
    sampler = plan.sampler
    assert all(getattr(sampler, key) == value for key, value in given.get("options", {}).items())
