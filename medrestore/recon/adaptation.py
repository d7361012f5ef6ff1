"""A prior that is fitted to the scan before it restores it, where that predicts held-out samples better."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from torch import Tensor

from ..priors import Prior, adapted
from ..restoration import codec_for, restore_all
from .held_out import missed, parts, without
from .plan import Plan
from .prepared import Prepared
from .reference import told

UPDATES = 40  # of the additions
BETTER = 0.94  # of the held-out error of the prior as it is, below which that of the adapted one must be: more is chance


@dataclass(frozen=True)
class Adaptation:
    """What came of fitting a prior to a scan.

    Attributes:
        prior: adapted; None where the prior as it is does as well.
        errors: |predicted - measured|^2 / |measured|^2 of held-out samples, of the prior as it is and adapted; empty where
            nothing could be held out, and so nothing adapted.
        digest: sha256 of the image to which the prior was fitted; empty where it was not.
    """

    prior: Prior | None = None
    errors: dict[str, float] = field(default_factory=dict)
    digest: str = ""

    def __str__(self) -> str:
        if not self.errors:
            return "nothing could be held back, so the prior stays as it is"
        before, after = self.errors.values()
        outcome = "the prior stays as it is" if self.prior is None else "the adapted prior is used"
        return f"error of samples that were held back {before:.3g}, with the adapted prior {after:.3g}: {outcome}"


def adaptation_calls(plan: Plan) -> int:
    """Joint calls of the network and updates that an adaptation takes."""
    return 2 * plan.steps + UPDATES


def adaptation(prepared: Prepared, prior: Prior, plan: Plan, *, better: float = BETTER,
               on_call: Callable[[], None] = lambda: None) -> Adaptation:
    """Fits the prior to a scan by one of its slices; the same for the same data and plan.

    The slice is restored without a part of its samples, the prior is fitted to that image (`priors.adapted`), and restores it
    again. Where the samples that were left out are predicted better than before, by more than chance, the adapted prior stays: a
    prior that knows the scan would only learn the faults of its own image.

    Args:
        prepared: a slice in the middle of the volume.
        better: share of the held-out error of the prior as it is, below which that of the adapted one must be.
        on_call: called after each joint call of the network and each update.

    Raises:
        InputError: the prior is no network.
    """
    held_back = parts(prepared.sense, plan.seed, 1)
    if not held_back:
        return Adaptation()
    one = replace(plan, samples=1, start_sigma=None, fallback=None)
    kept = without(prepared, held_back[0], one)
    first = _image_of(kept, prior, one, on_call)
    image = codec_for(prior, kept.posed).encode(first)
    images = image.unflatten(1, (prior.channels, -1)).transpose(1, 2).flatten(0, 1)  # of each set of coil maps
    fitted = adapted(prior, images, updates=UPDATES, seed=plan.seed, on_update=on_call)
    again = _image_of(kept, fitted, one, on_call)
    errors = {name: float(missed(prepared, held_back[0], made)) for name, made in (("as it is", first), ("adapted", again))}
    if errors["adapted"] > better * errors["as it is"]:
        return Adaptation(None, errors)
    return Adaptation(fitted, errors, hashlib.sha256(images.cpu().numpy().tobytes()).hexdigest())


def _image_of(kept: Prepared, prior: Prior, plan: Plan, on_call: Callable[[], None]) -> Tensor:
    """(1, set, height, width) complex."""
    (result,) = restore_all([kept.posed], told(prior, kept), plan.sampler, levels=plan.levels(prior), seeds=[plan.seed],
                            on_step=lambda step, x: on_call())
    return result.mean[None]
