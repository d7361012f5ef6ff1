"""Priors that are pulled to a class: by the gradient of a classifier, or by themselves with the class and without.

In `x = x0 + sigma n` the estimate of a prior is D(x) = x + sigma^2 grad log p(x) (Tweedie), so a term of the score moves the
estimate by sigma^2 times that term; whatever a method does with the estimate goes on as it is.
"""

import math

import torch
from torch import Tensor

from ..conditions import Conditions
from ..errors import InputError
from .base import ClassConditional, WrappedPrior
from .base import Prior as AnyPrior
from .classes import Label
from .classifier import Classifier


class Guided(WrappedPrior):
    """A prior with the gradient of a classifier: Dhariwal & Nichol, NeurIPS 2021, sec. 4.

    p(x | class) is p(x) p(class | x) up to a constant, so grad log p(x | class) = grad log p(x) + grad log p(class | x), and

        D(x | class) = D(x) + sigma^2 scale grad_x log p(class | x).

    The paper states it for x_t = sqrt(abar) x and the noise e = (x - D) / sigma (eq. 14, alg. 2):
    e <- e - sqrt(1 - abar) grad_{x_t} log p(class | x_t), with grad_{x_t} = grad_x / sqrt(abar) and
    sqrt((1 - abar) / abar) = sigma. A scale above 1 samples p(x) p(class | x)^scale.

    Args:
        prior: of all classes, or of one itself.
        classifier: of noisy images in the coordinates of the prior.
        label: the class, by name, or by number where the classifier's classes have no names.
        scale: of the gradient, at least 0.

    Raises:
        InputError: a classifier of other images, or without this class.
    """

    def __init__(self, prior: AnyPrior, classifier: Classifier, label: Label, scale: float = 1.0) -> None:
        super().__init__(prior)
        check_scale(scale)
        check_classifier(classifier, prior)
        try:
            self.index = classifier.classes.index(label)
        except InputError as error:
            raise InputError(f"the classifier does not know what to guide to: {error}") from error
        self.classifier, self.label, self.scale = classifier, label, scale
        self.multiple = math.lcm(prior.multiple, classifier.multiple)
        self.size = prior.size or classifier.size

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        estimate = self.prior(x, sigma)
        return estimate if self.scale == 0 else estimate + sigma**2 * self.scale * self.gradient(x, sigma)

    def gradient(self, x: Tensor, sigma: float) -> Tensor:
        """grad_x log p(class | x) of each image; differentiable where `x` is."""
        low, high = self.classifier.sigma_range
        through = torch.is_grad_enabled() and x.requires_grad
        with torch.inference_mode(mode=False), torch.enable_grad():
            here = x if through else x.detach().clone().requires_grad_()
            known = self.classifier(here, min(max(sigma, low), high))[:, self.index]
            (gradient,) = torch.autograd.grad(known.sum(), here, create_graph=through)
        return gradient


class ClassifierFree(WrappedPrior):
    """A prior of classes against itself without one: Ho & Salimans, 2022, "Classifier-free diffusion guidance", eq. 6.

    D(x | any) + scale (D(x | class) - D(x | any)), both in one batch: the classifier whose gradient is meant is the one of
    Bayes' rule, p(class | x) = p(x | class) p(class) / p(x). `scale` is 1 + w of the paper: 1 is the class itself, 0 any.

    Args:
        prior: trained with labels left out at random.
        label: the class, by name, or by number where the classes have no names.
        scale: at least 0.

    Raises:
        InputError: a prior without classes, or that was never trained without labels; an unknown class.
    """

    def __init__(self, prior: ClassConditional, label: Label, scale: float = 1.0) -> None:
        super().__init__(prior)
        check_scale(scale)
        if prior.classes is None:
            raise InputError("classifier-free guidance needs a prior of classes, and this one has none; give a `classifier` "
                             "in its place, or leave `guidance` out")
        if prior.classes.null is None:
            raise InputError("classifier-free guidance needs a prior that was trained with labels left out at random, and this "
                             "one always had them; leave `guidance` out, or train with conditions.label_dropout above 0")
        if label is None:
            raise InputError("classifier-free guidance needs the `label` to guide to; " + prior.classes.described)
        self.prior: ClassConditional = prior
        self.null, self.index = prior.classes.null, prior.classes.index(label)
        self.label, self.scale = label, scale

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        labels = torch.full((2, len(x)), self.null, device=x.device)
        labels[1] = self.index
        anything, own = self.prior.of_classes(torch.cat([x, x]), sigma, labels.flatten()).chunk(2)
        return anything + self.scale * (own - anything)


def pulled(prior: ClassConditional, conditions: Conditions) -> AnyPrior:
    """A prior that was loaded for a class, pulled to it as far as `guidance` says; raises what `ClassifierFree` does."""
    return prior if conditions.guidance is None else ClassifierFree(prior, conditions.label, conditions.guidance)


def check_scale(scale: float) -> None:
    """Refuses a scale that is no number of at least 0."""
    if not 0 <= scale < float("inf"):
        raise InputError(f"the scale of guidance must be a number of at least 0, got {scale!r}")


def check_classifier(classifier: Classifier, prior: AnyPrior) -> None:
    """Refuses a classifier of other images than those of a prior.

    Raises:
        InputError: another number of channels, another size, or other coordinates.
    """
    if classifier.channels != prior.channels:
        raise InputError(f"the classifier is of images of {classifier.channels} channels and the prior of {prior.channels}; "
                         "give a `classifier` that was trained on images like those of the prior")
    if None not in (classifier.size, prior.size) and classifier.size != prior.size:
        raise InputError(f"the classifier takes images of {classifier.size} pixels alone and the prior of {prior.size}; "
                         "give another `classifier`")
    if None not in (classifier.recipe, prior.recipe) and classifier.recipe != prior.recipe:
        raise InputError(f"the classifier is of images of {classifier.recipe} and the prior of {prior.recipe}, whose units "
                         "differ; give a `classifier` that was trained on images like those of the prior")
    sides = prior.size or ()
    if any(side % classifier.multiple for side in sides):
        raise InputError(f"the classifier takes sides that are multiples of {classifier.multiple}, and the prior images of "
                         f"{prior.size} pixels alone; give another `classifier`")
