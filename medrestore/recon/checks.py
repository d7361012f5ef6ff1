"""What a scan, a plan and a prior cannot do together, refused before any work."""

from ..errors import InputError
from ..methods import METHODS, SCANS, serving
from ..operators import NonCartesian, SoftSense
from ..priors import ByParts, Prior
from ..restoration import image_size, padded_size
from ..sampling import check_sampling
from .data_step import exact_gb
from .plan import Plan
from .prepared import Prepared
from .reference import told


def check_plan(prepared: Prepared, prior: Prior, plan: Plan) -> None:
    """Refuses a method that the scan cannot serve and a prior that cannot see it.

    Raises:
        InputError: in one sentence, what does not fit and what would.
    """
    if plan.is_classical:
        return
    check_prior(prior.channels, "the prior", plan)
    plan.check_levels(prior)
    operator, method = prepared.problem.operator, plan.sampler
    if method.needs is not None and not isinstance(operator, method.needs):
        why = ("it was acquired along a trajectory" if isinstance(prepared.sense, NonCartesian) else
               "there are several sets of coil maps" if isinstance(prepared.sense, SoftSense) else
               "the mask undersamples both axes" if not prepared.sense.one_axis else
               f"that takes {exact_gb(prepared.sense):.2f} GiB, over the limit of `spectral_gb`, {plan.spectral_gb:g}")
        raise InputError(f"{type(method).__name__} needs the exact spectrum of the scan, and {why}; "
                         f"{serving(operator, use=SCANS)} would do")
    prior = told(prior, prepared)  # which refuses an image that the prior does not take
    try:
        check_sampling(prepared.problem, method, prior, padded_size(prior, image_size(prepared.problem)))
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from error


def check_noise(prepared: Prepared, plan: Plan) -> None:
    """Refuses a method that takes noisy data as exact: it restores the noise, which the coils amplify, and fits it all the same.

    Raises:
        InputError: the method, and those that know the noise.
    """
    if plan.is_classical:
        return
    method = plan.sampler
    if method.exact and prepared.problem.exact is not True:
        raise InputError(f"{type(method).__name__} takes the data as free of noise, and these have noise of std "
                         f"{float(prepared.problem.sigma):.3g} ({prepared.noise_source}), which it would restore as image; "
                         f"take a `method` that knows the noise: {serving(prepared.problem.operator, noisy=True, use=SCANS)}")


def check_prior(channels: int, name: str, plan: Plan) -> None:
    """Refuses a prior that is not one of complex images, nor of real ones where the plan's method takes these apart."""
    if channels != 2 and not (channels == 1 and not plan.is_classical and METHODS[plan.method].by_parts):
        others = ", or one of real images with the `method` score-mri" if channels == 1 else ""
        raise InputError(f"{name} is a prior of {channels} channels, and a complex image needs one of two, real and imaginary; "
                         f"give another `prior`{others}")


def complex_prior(prior: Prior, plan: Plan) -> Prior:
    """The prior of complex images that a plan works with: of two channels, or by parts where its method takes that.

    Raises:
        InputError: it is neither.
    """
    if plan.is_classical:
        return prior
    check_prior(prior.channels, "the prior", plan)
    return ByParts(prior) if prior.channels == 1 else prior
