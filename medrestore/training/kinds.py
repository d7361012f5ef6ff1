"""Training of whatever a config describes: a prior, an autoencoder, a prior of codes, a baseline or a classifier."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..datasets.base import Augment, Images
from ..errors import InputError
from ..settings import build
from .autoencoder import AutoencoderTask
from .baseline import BaselineTask
from .baseline_config import BaselineConfig
from .classifier import ClassifierTask
from .classifier_config import ClassifierConfig
from .config import Config
from .latent import LatentTask
from .latent_config import AutoencoderConfig, LatentConfig
from .prior import PriorTask
from .run import export_last_checkpoint, run
from .scans import load_scans
from .start import load_images
from .task import Callbacks, TrainingTask

AnyConfig = Config | AutoencoderConfig | LatentConfig | BaselineConfig | ClassifierConfig
KINDS: dict[str, type[AnyConfig]] = {  # by the key that tells a config from one of a prior
    "baseline": BaselineConfig, "classifier": ClassifierConfig, "autoencoder": AutoencoderConfig, "latent": LatentConfig,
}


def read(given: Mapping[str, Any], source: str) -> AnyConfig:
    """The run that a mapping describes, of the kind that one of its keys names, else of a prior.

    Args:
        source: begins the messages.

    Raises:
        InputError: an unknown key, a value of another type, or one out of bounds.
    """
    return build(next((kind for key, kind in KINDS.items() if key in given), Config), given, source)


def train(config: AnyConfig, *, images: Images | None = None, validation: Images | None = None,
          augment: Augment | None = None, callbacks: Callbacks | None = None, resume: bool = True) -> Path:
    """Trains what a config describes, or resumes its training, and returns the folder of the result.

    Args:
        config: the run; a prior of codes trains its autoencoder first where its config says so.
        images, validation, augment: instead of `config.data.train`, `.validation` and `.augment`; a baseline takes no `augment`.
        callbacks, resume: as `run.run`, which also says what is raised.
    """
    data: dict[str, Any] = {"images": images, "validation": validation, "augment": augment}
    first = partial(train, **data, callbacks=callbacks, resume=resume)
    return run(_made_task(config, **data, first=first), callbacks=callbacks, resume=resume)


def export_last(config: AnyConfig, *, images: Images | None = None, validation: Images | None = None,
                augment: Augment | None = None) -> Path:
    """Exports the result of the last checkpoint, whether the run has ended or not; arguments as for `train`.

    Raises:
        InputError: no checkpoint in `config.out` is intact.
    """
    data: dict[str, Any] = {"images": images, "validation": validation, "augment": augment}
    return export_last_checkpoint(_made_task(config, **data, first=partial(export_last, **data)))


def _made_task(config: AnyConfig, *, images: Images | None, validation: Images | None, augment: Augment | None,
          first: Callable[[AutoencoderConfig], Path]) -> TrainingTask[Any]:
    """The task of a config; `first` makes the autoencoder of a prior of codes where its run does."""
    if isinstance(config, BaselineConfig):
        if augment is not None:
            raise InputError("a baseline is trained on scans, which no `augment` makes; set data.augment and data.sides")
        return BaselineTask(config, *load_scans(config, images, validation))
    folder = config.latent.autoencoder if isinstance(config, LatentConfig) else None
    if isinstance(config, LatentConfig) and config.first is not None:
        folder = str(first(config.first))
    data = load_images(config, images, validation, augment)
    match config:
        case LatentConfig():
            return LatentTask(config, data, folder)
        case AutoencoderConfig():
            return AutoencoderTask(config, data)
        case ClassifierConfig():
            return ClassifierTask(config, data)
    return PriorTask(config, data)
