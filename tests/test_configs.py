"""Every shipped recipe is one that its command takes."""

from pathlib import Path

import pytest
import yaml

from medrestore.cli.main import parser
from medrestore.cli.names import method
from medrestore.priors import EDM
from medrestore.training.trainer import Training

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted((CONFIGS / "restore").glob("*.yaml")), ids=lambda path: path.stem)
def test_restore_recipes_parse_and_name_real_methods(path: Path) -> None:
    options = parser().parse_args(["recon", "scan.h5", "--config", str(path)]).recon
    given = yaml.safe_load(path.read_text())
    assert {key: options[key] for key in given if key != "options"} == {key: given[key] for key in given if key != "options"}
    method(options.method, dict(options.options))


def test_the_training_recipe_builds() -> None:
    recipe = yaml.safe_load((CONFIGS / "train" / "brain-mr-starter.yaml").read_text())
    settings, edm = Training(**recipe["training"]), EDM(**recipe["edm"])
    assert settings.decay_images < settings.images and edm.sigma_data > 0
    subjects = [set(range(*recipe["subjects"][use])) for use in ("train", "validation", "test")]
    assert not subjects[0] & subjects[1] and not subjects[0] & subjects[2] and not subjects[1] & subjects[2]
