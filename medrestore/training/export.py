"""The prior that a run leaves: averaged weights, description, card, config and log, in one folder."""

from pathlib import Path
from typing import Any

import torch

from ..files import new_folder
from ..priors.classes import plain_classes
from .card import card
from .checkpoint import ADVICE, Progress
from .config import Config, RunConfig, stored
from .log import write_log
from .start import ImageData, Initial
from .task import RunResult


def export(folder: Path, result: RunResult, initial: Initial, data: ImageData, config: Config) -> None:
    """Writes a prior, in the place of an older one.

    Args:
        result: of the run.
        initial: the network that it began with.

    Raises:
        InputError: the disk is full or cannot be written to; an older prior is unchanged then.
    """
    from ..priors.architectures import build_network
    from ..priors.store import save

    with torch.device("meta"):
        net = build_network(initial.network)
    net.load_state_dict(result.weights, assign=True)
    progress = result.progress
    facts = result.facts(config.card) | {"parent": initial.parent}
    with new_folder(folder, replace=True, advice=ADVICE) as part:
        save(
            part,
            net,
            parametrisation=initial.target,
            recipe=initial.recipe,
            channels=data.channels,
            multiple=initial.multiple,
            config=dict(getattr(net, "config", {})) | initial.network,
            size=initial.size,
            card=facts,
            half=config.weights == "fp16",
            facts=_conditions(data),
        )
        parameters = sum(weight.numel() for weight in net.parameters())
        text = card(initial, data, config, progress, result.scores, facts, parameters=parameters)
        write_run(part, config, progress, text)


def _conditions(data: ImageData) -> dict[str, Any]:
    """What `prior.json` says of the conditions that the network takes."""
    classes, reference = data.classes, data.reference_channels
    return ({} if classes is None else {"classes": plain_classes(classes)}) | (
        {"reference": {"channels": reference}} if reference else {})


def write_run(folder: Path, config: RunConfig, progress: Progress, text: str = "") -> None:
    """Writes `config.yaml`, the log where it has a row, and a text as `CARD.md`, beside a trained network."""
    import yaml

    (folder / "config.yaml").write_text(yaml.safe_dump(stored(config), sort_keys=False), encoding="utf-8")
    if text:
        (folder / "CARD.md").write_text(text, encoding="utf-8", errors="replace")
    if progress.log:
        write_log(folder, "log", progress.log)
