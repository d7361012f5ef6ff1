"""Every shipped recipe is one that its command takes."""

from pathlib import Path

import pytest
import yaml

from medrestore.cli.main import COMMANDS

CONFIGS = Path(__file__).parents[1] / "configs"
RECON = [path for path in sorted((CONFIGS / "restore").glob("*.yaml")) if not path.stem.startswith("inpaint-")]


@pytest.mark.parametrize("path", RECON, ids=lambda path: path.stem)
def test_restore_recipes_parse_and_name_real_methods(path: Path) -> None:
    plan = COMMANDS["recon"].parse(["scan.h5", "--config", str(path)]).plan
    given = yaml.safe_load(path.read_text())
    assert {key: getattr(plan, key) for key in given if key != "options"} == {
        key: given[key] for key in given if key != "options"}
    sampler = plan.sampler
    assert all(getattr(sampler, key) == value for key, value in given.get("options", {}).items())
