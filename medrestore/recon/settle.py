"""What a plan leaves to the scan: the weight of the data, a prior fitted to it, whether a method without a prior takes over."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..priors import Prior
from .adaptation import Adaptation, adaptation, adaptation_calls
from .fit import Fit, calls, measured_fit, warning
from .plan import Plan
from .prepared import Prepared
from .weight import Choice, Search, chosen_weight

Progress = Callable[[str, int], Callable[[], None]]


@dataclass(frozen=True)
class Settled:
    """A plan that leaves nothing open, and why it is this one.

    Attributes:
        plan: with the weight that was chosen, of the fallback where that takes over.
        choice: of the weight.
        fit: of the prior.
        adaptation: of the prior to the scan.
        warning: that the prior does not know the scan, in one sentence.
    """

    plan: Plan
    choice: Choice = field(default_factory=Choice)
    fit: Fit = field(default_factory=Fit)
    adaptation: Adaptation = field(default_factory=Adaptation)
    warning: str | None = None


def settled(middle: Callable[[], Prepared], prior: Prior, plan: Plan, *, check_fit: bool = False,
            say: Callable[[str], None] = lambda line: None,
            progress: Progress = lambda label, total: lambda: None) -> Settled:
    """The plan as one of the slices settles it.

    Args:
        middle: prepares a slice in the middle of the volume; called where something is open.
        check_fit: whether to see if the prior knows the scan, which a plan with a fallback asks for too.
        say: called with a line for each thing that takes time.
        progress: `(label, total) -> advance`.
    """
    checked = (check_fit or plan.fallback is not None) and not plan.is_classical
    if Search.of(plan, prior) is None and not checked and not plan.adapt:
        return Settled(plan)
    ready = middle()
    choice = _weighed(ready, prior, plan, say, progress)
    weighed = choice.of(plan)
    fitted = Adaptation()
    if plan.adapt:
        total = adaptation_calls(plan)
        say(f"adapting the prior to the scan: {total} network calls and updates")
        fitted = adaptation(ready, prior, weighed, on_call=progress("adaptation", total))
        say(str(fitted))
        prior = fitted.prior or prior
    if not checked:
        return Settled(weighed, choice, adaptation=fitted)
    say(f"checking how the prior fits by held-out samples: {calls(plan)} network calls")
    found = measured_fit(ready, prior, weighed, on_call=progress("fit of the prior", calls(plan)))
    told = warning(found, plan)
    if told is None or plan.fallback is None:
        return Settled(weighed, choice, found, fitted, told)
    instead = replace(plan, method=plan.fallback, options={}, weight=None, samples=1, start_sigma=None, fallback=None,
                      adapt=False)
    choice = _weighed(ready, prior, instead, say, progress)
    return Settled(choice.of(instead), choice, found, warning=told)


def _weighed(ready: Prepared, prior: Prior, plan: Plan, say: Callable[[str], None], progress: Progress) -> Choice:
    search = Search.of(plan, prior)
    if search is None:
        return Choice()
    say(f"choosing the weight of the data by held-out samples: at most {search.total} {search.unit}")
    return chosen_weight(ready, prior, plan, on_call=progress("weight of the data", search.total))
