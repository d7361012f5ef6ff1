"""The prior that a run leaves: averaged weights, description, card, config and log, in one folder."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from .card import card
from .checkpoint import Progress, written_aside
from .config import Config, plain
from .log import write_log
from .start import Material, Start


def export(folder: Path, weights: dict[str, Tensor], start: Start, material: Material, config: Config, progress: Progress,
           scores: Mapping[str, float], half_life: int, hardware: str) -> None:
    """Writes the prior aside, and puts it in the place of an older one.

    Args:
        weights: by the network's own names.
        scores: of these weights, by `evaluate.COLUMNS`.
        half_life: of the average that the weights are.
        hardware: that it was trained on.

    Raises:
        InputError: the disk is full or cannot be written to; an older prior is as it was then.
    """
    import yaml

    from ..priors.architectures import build
    from ..priors.store import save

    with torch.device("meta"):
        net = build(start.network)
    net.load_state_dict(weights, assign=True)
    facts = asdict(config.card) | {
        "images": progress.seen, "ema_images": half_life, "hardware": hardware, "hours": round(progress.seconds / 3600, 2),
        "parent": start.parent,
    }
    with written_aside(folder) as part:
        save(part, net, parametrisation=start.target, recipe=start.recipe, channels=material.channels, multiple=start.multiple,
             config=dict(getattr(net, "config", {})) | start.network, size=start.size, card=facts, half=config.weights == "fp16")
        (part / "config.yaml").write_text(yaml.safe_dump(plain(config), sort_keys=False), encoding="utf-8")
        if progress.log:
            write_log(part, "log", progress.log)
        parameters = sum(weight.numel() for weight in net.parameters())
        text = card(start, material, config, progress, scores, facts, parameters=parameters)
        (part / "CARD.md").write_text(text, encoding="utf-8")
