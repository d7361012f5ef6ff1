"""Checkpoints of published families, at small width."""

from medrestore.priors.convert import adm, ddpm

KNEE = adm.ADMArchitecture(2, 4, 32, (32, 64), 1, (False, True))
CLASSES = adm.ADMArchitecture(3, 6, 32, (32, 64), 1, (False, True), classes=5)
FACES = ddpm.DDPMArchitecture(3, 3, (32, 64), 1, (False, True))
CASES = {  # shapes of the tensors, what has to be stated, the label to load with
    "knee": (adm.adm_layout(KNEE), {"num_heads": 2}, None),
    "classes": (adm.adm_layout(CLASSES), {"num_head_channels": 16, "schedule": "cosine"}, 3),
    "faces": (ddpm.ddpm_layout(FACES), {}, None),
}
