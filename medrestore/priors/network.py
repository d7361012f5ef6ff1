"""Priors that are networks."""

from collections.abc import Mapping
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..codecs import Interval, Recipe
from ..errors import InputError
from ..extras import extra
from .architectures import configuration, tensor_of
from .base import ClassConditional
from .classes import Classes
from .parametrisations import Parametrisation
from .symmetries import SYMMETRIES, Way, are_symmetries, way_at

if TYPE_CHECKING:
    from diffusers import DDIMPipeline, DDPMPipeline, SchedulerMixin

CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions without which a CPU emulates bfloat16, up to 8 times slower
AT_ONCE = 2**17  # pixels in a call of a network on a CPU; more leave its cache and take longer each than fewer do


@cache
def computes_bfloat16(kind: str) -> bool:
    """Whether devices of a kind ("cpu", "cuda", ...) have the arithmetic of bfloat16, and so gain time by it."""
    if kind == "cpu":
        capabilities: Mapping[str, Any] = vars(torch.cpu).get("get_capabilities", dict)()  # older releases do not say
        return any(capabilities.get(name, False) for name in CPU_BFLOAT16)
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "xpu"


class NetworkPrior(ClassConditional):
    """A trained network as a prior, at any size that is a multiple of `multiple`.

    Args:
        net: `(input (b, c, h, w), time (b,)) -> output`; output channels beyond c are cut off. Its parameters decide
            the device.
        parametrisation: what the network predicts.
        channels: c.
        multiple: height and width must be multiples of this (2 to the number of downsamplings).
        size: the only (height, width) it accepts, or None.
        recipe: how images become its coordinates.
        bf16: run the network in bfloat16 where its device has the arithmetic (`computes_bfloat16`), in float32 elsewhere; the
            state and the estimate stay float32.
        class_label: the number of the class for a class-conditional network, None for others.
        classes: of a class-conditional network, where they are known.
        reference_channels: of a second image that the network takes behind the noisy one, with a further channel that is 1
            where there is one and 0 where there is none; 0: it takes none.

    Raises:
        InputError: numbers below 1, a size that is no multiple of `multiple`, or a class that is none of `classes`.
    """

    def __init__(self, net: torch.nn.Module, parametrisation: Parametrisation, *, channels: int, multiple: int = 1,
                 size: tuple[int, int] | None = None, recipe: Recipe | None = None, bf16: bool = False,
                 class_label: int | None = None, classes: Classes | None = None, reference_channels: int = 0,
                 symmetries: tuple[str, ...] = ()) -> None:
        for name, number in (("channels", channels), ("multiple", multiple)):
            if type(number) is not int or number < 1:
                raise InputError(f"{name} of a prior must be a whole number of at least 1, got {number!r}")
        if size is not None and (len(size) != 2 or any(type(n) is not int or n < 1 or n % multiple for n in size)):
            raise InputError(f"the size of a prior must be (height, width), multiples of {multiple}, got {size!r}")
        if class_label is not None and (type(class_label) is not int or class_label < 0):
            raise InputError(f"class_label must be a whole number of at least 0, got {class_label!r}")
        if classes is not None and (class_label is None or class_label >= classes.embedded):
            raise InputError(f"class_label must be a whole number below {classes.embedded}, got {class_label!r}")
        if not are_symmetries(symmetries, channels):
            raise InputError(f"symmetries of a prior are of {', '.join(SYMMETRIES)}, the last for two channels alone, got "
                             f"{symmetries!r}")
        self.net = net.eval()
        self.parametrisation = parametrisation
        self.channels, self.multiple, self.size = channels, multiple, size
        self.recipe, self.bf16 = recipe, bf16
        self.class_label, self.classes, self.reference_channels = class_label, classes, reference_channels
        self.symmetries = symmetries
        self._beside: Tensor | None = None  # the second image and its channel of ones
        self.sigma_range = parametrisation.sigma_range

    @classmethod
    def from_diffusers(
        cls, pipeline: "DDPMPipeline | DDIMPipeline | tuple[torch.nn.Module, SchedulerMixin]", *,
        recipe: Recipe | None = None, bf16: bool = False, class_label: int | None = None,
    ) -> "NetworkPrior":
        """The prior of a diffusers pipeline, which keeps its network and device.

        Args:
            pipeline: an unconditional one, such as `DDPMPipeline` or `DDIMPipeline`, or its (unet, scheduler). The scheduler
                gives the betas and what the network predicts.
            recipe: how images become the network's coordinates; by default [0, 1] is [-1, 1] to a network of 1 or 3
                channels, as in these pipelines, and other networks have none.
            bf16: run the network in bfloat16, as above.
            class_label: the class for a class-conditional network.

        Raises:
            InputError: another pipeline, network, scheduler or prediction, or weights that are not float32.
        """
        from .convert import folder

        net, scheduler = _pipeline_parts(pipeline)
        config = folder.checked_unet(configuration(net))
        parametrisation, _ = folder.target({**scheduler.config, "_class_name": type(scheduler).__name__}, {})
        channels, classes = config["in_channels"], config.get("num_class_embeds")
        if config["out_channels"] not in (channels, 2 * channels):
            raise InputError(f"this network takes {channels} channels and gives {config['out_channels']}, and a prior gives as "
                             "many as it takes, or twice as many with a learned variance; wrap a conditional network in "
                             "priors.conditional.Conditioned")
        if (classes is None) != (class_label is None) or (classes is not None and not 0 <= (class_label or 0) < classes):
            wanted = "no class_label" if classes is None else f"a class_label from 0 to {classes - 1}"
            raise InputError(f"this network takes {wanted}, got {class_label!r}")
        dtypes = {parameter.dtype for parameter in net.parameters()} - {torch.float32}
        if dtypes:
            raise InputError(f"the weights of this network are {dtypes.pop()}; load the pipeline in float32, "
                             "and pass bf16=True to compute in bfloat16")
        if recipe is None and channels in (1, 3):
            recipe = Interval(0.0, 1.0)
        return cls(net, parametrisation, channels=channels, multiple=2 ** (len(config["down_block_types"]) - 1),
                   recipe=recipe, bf16=bf16, class_label=class_label)

    def __repr__(self) -> str:
        parts = [type(self.net).__name__, repr(self.parametrisation), f"channels={self.channels}", f"multiple={self.multiple}"]
        for name in ("size", "recipe", "class_label", "reference_channels", "symmetries"):
            if (value := vars(self)[name]) not in (None, 0, ()) or (name == "class_label" and value == 0):
                parts.append(f"{name}={value!r}")
        return f"NetworkPrior({', '.join(parts)})"

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._estimate(x, sigma, self._labels(x))

    def of_classes(self, x: Tensor, sigma: float, labels: Tensor) -> Tensor:
        if self.class_label is None:
            raise InputError("this prior knows no classes; leave the label out")
        return self._estimate(x, sigma, labels)

    def _labels(self, x: Tensor) -> Tensor | None:
        """(batch,): the class of every image, where the network takes one."""
        return None if self.class_label is None else torch.full((len(x),), self.class_label, device=x.device)

    def _estimate(self, x: Tensor, sigma: float, labels: Tensor | None) -> Tensor:
        level = torch.full((len(x),), float(sigma), device=x.device)
        way = way_at(self.symmetries, sigma)
        return self.parametrisation.estimate(lambda x, t: self._forward(x, t, labels, way), x, level)

    def _forward(self, x: Tensor, t: Tensor, labels: Tensor | None, way: Way) -> Tensor:
        images = len(x)
        if x.device.type == "cpu":
            images = max(1, AT_ONCE // (x.shape[-2] * x.shape[-1]))
        x = way.turned(self._with_beside(x))
        parts = [slice(start, start + images) for start in range(0, len(x), images)]
        return way.back(torch.cat([self._output(x[part], t[part], None if labels is None else labels[part]) for part in parts]))

    def with_reference(self, image: Tensor) -> "NetworkPrior":
        if not self.reference_channels:
            super().with_reference(image)
        if image.ndim != 4 or image.shape[1] != self.reference_channels:
            raise InputError(f"the prior takes a reference image of (1, {self.reference_channels}, height, width), got "
                             f"{tuple(image.shape)}")
        told = copy(self)
        told._beside = torch.cat([image, torch.ones_like(image[:, :1])], 1)
        return told

    def _with_beside(self, x: Tensor) -> Tensor:
        """The input of the network, with the second image or zeros where it takes one."""
        if not self.reference_channels:
            return x
        if self._beside is None:
            return torch.cat([x, x.new_zeros(len(x), self.reference_channels + 1, *x.shape[2:])], 1)
        beside = self._beside.to(x)
        if beside.shape[2:] != x.shape[2:] or len(x) % len(beside):
            raise InputError(f"the reference image is {tuple(beside.shape[2:])} and the image {tuple(x.shape[2:])}; they must be "
                             "of one size, registered to each other")
        return torch.cat([x, beside.repeat_interleave(len(x) // len(beside), 0)], 1)

    def _output(self, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        given = {} if labels is None else {"class_labels": labels}
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and computes_bfloat16(x.device.type)):
            out = self.net(x, t, **given)
        return tensor_of(out).float()


def _pipeline_parts(pipeline: Any) -> tuple[torch.nn.Module, Any]:
    """The network and the scheduler of a pipeline of these two alone."""
    with extra("diffusers", "the prior of a pipeline of diffusers"):
        from diffusers import DiffusionPipeline, SchedulerMixin, UNet2DModel

    if isinstance(pipeline, DiffusionPipeline):
        parts: dict[str, Any] = pipeline.components  # type: ignore[attr-defined]
        if set(parts) != {"unet", "scheduler"}:
            raise InputError(f"a {type(pipeline).__name__} has {', '.join(parts)}, and a prior takes a pipeline of "
                             "unet and scheduler alone, such as DDPMPipeline; latent and conditioned ones are none")
        pipeline = parts["unet"], parts["scheduler"]
    if not isinstance(pipeline, tuple) or len(pipeline) != 2:
        raise InputError(f"a {type(pipeline).__name__} is no diffusers pipeline; "
                         "give one such as DDPMPipeline, or (unet, scheduler)")
    net, scheduler = pipeline
    unet: Any = UNet2DModel  # typed as no module
    if not isinstance(net, unet) or not isinstance(scheduler, SchedulerMixin):
        raise InputError(f"a {type(net).__name__} and a {type(scheduler).__name__} are given, and the prior of a pipeline is a "
                         "UNet2DModel with a scheduler; pass other networks to NetworkPrior itself")
    return net, scheduler
