"""Checkpoints of published families, at small width."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medrestore.priors.convert import Converted, adm, ddpm, identify

KNEE = adm.ADMArchitecture(2, 4, 32, (32, 64), 1, (False, True))
CLASSES = adm.ADMArchitecture(3, 6, 32, (32, 64), 1, (False, True), classes=5)
FACES = ddpm.DDPMArchitecture(3, 3, (32, 64), 1, (False, True))
CASES = {  # shapes of the tensors, what has to be stated, the label to load with
    "knee": (adm.adm_layout(KNEE), {"num_heads": 2}, None),
    "classes": (adm.adm_layout(CLASSES), {"num_head_channels": 16, "schedule": "cosine"}, 3),
    "faces": (ddpm.ddpm_layout(FACES), {}, None),
}


def open_checkpoint(path: Path, *, family: str | None = None, given: Mapping[str, Any] | None = None) -> Converted:
    """The network of a checkpoint of a family, recognised where none is named; `given` is what no tensor tells."""
    return identify(path, family).convert(given or {})
