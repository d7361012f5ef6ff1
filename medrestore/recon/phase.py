"""What is known of the phase of an image, for scans that leave out a side of k-space."""

from torch import Tensor

from ..errors import InputError
from ..io.kspace.coverage import Coverage
from ..mri import centre_image, phase_and_deviation
from ..operators import AnySense
from .plan import Plan

HELD = "The phase of the image is held to that of the centre of k-space, to within a tenth."


def known_phase(sense: AnySense, centre: tuple[Tensor, Tensor], covered: Coverage | None,
                plan: Plan) -> tuple[Tensor | None, tuple[str, ...]]:
    """The phase as `Prepared.phase` has it, where the plan asks for it or a side of k-space was left out; and notes.

    Args:
        sense: the encoding without weights.
        centre: Cartesian k-space (1, coil, h, w) and its mask, of which the fully sampled centre counts.
        covered: what the scan itself sampled, before software took samples away.
    """
    said = () if covered is None else covered.sentences()
    if plan.phase == "free" or (plan.phase == "auto" and (covered is None or not covered.is_partial)):
        return None, said
    why = (f"{plan.method} holds none" if plan.is_classical and not plan.baseline.holds_phase else
           "there are several sets of coil maps" if sense.sets > 1 else
           f"{plan.method} needs an exact spectrum" if not plan.is_classical and plan.sampler.inverts() else None)
    if why is None:
        try:
            phase, deviation = phase_and_deviation(centre_image(*centre, sense.maps))
        except InputError as error:
            if plan.phase == "smooth":
                raise
            why = str(error)
        else:
            return phase / deviation, (*said, HELD)
    if plan.phase == "smooth":
        raise InputError(f"the phase cannot be held to that of the centre of k-space, as {why}; leave `phase` out")
    return None, (*said, f"The phase of the image is free, as {why}.")
