"""An existing checkpoint in, a prior out.

Examples:
  medrestore convert 256x256_diffusion_uncond.pt -o priors/imagenet-256
  medrestore convert fastmri_knee_320_complex_1m.pt -o priors/knee --licence "see its authors"
  medrestore convert mine.pt -o priors/mine --set num_heads=4 --set low=0 --set high=4095
  medrestore convert ddpm-celebahq-256/ -o priors/faces
  medrestore convert 256x256_classifier.pt -o classifiers/imagenet-256
  medrestore inspect mine.pt
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import InputError
from .command import Command
from .options import POSITIONAL
from .terminal import say

if TYPE_CHECKING:
    from ..priors.convert import Converted, KnownCheckpoint


@dataclass(frozen=True)
class Options:
    """The options of `convert`.

    Args:
        checkpoint: .pt, .pth, .ckpt, .bin or .safetensors; or a folder of diffusers or MONAI
        out: folder of the prior; default CHECKPOINT's name here
        family: of the checkpoint, where it shall not be recognised
        set: what no tensor tells, as key=value, again for more: num_heads, num_head_channels, low, high, schedule, ...
        licence: of the weights, noted in the prior
        overwrite: replace an existing prior
    """

    checkpoint: Annotated[str, POSITIONAL]
    out: str | None = None
    family: str | None = None
    set: tuple[str, ...] = ()
    licence: str | None = None
    overwrite: bool = False


def run(options: Options) -> int:
    """Converts, proves the result, and says what was found."""
    source = Path(options.checkpoint)
    out = Path(options.out) if options.out else Path(source.stem if source.is_file() else source.resolve().name)
    given = dict(_key_and_value(word) for word in options.set)
    if not source.exists():
        raise InputError(f"{source} does not exist; give a checkpoint, a file or a folder")
    if out.resolve() == source.resolve():
        raise InputError(f"{out} is the checkpoint itself, which is never replaced; give another -o")

    from ..priors.convert import identify, write
    from ..priors.store import check_free

    check_free(out, replace=options.overwrite)
    found = identify(source, options.family)
    converted = found.convert(given)
    for name, value in facts(found, converted).items():
        say(f"{name + ':':20s} {value}")
    about = write(converted, out, source=source, licence=options.licence, overwrite=options.overwrite)
    answer = about["check"]
    say(f"{'licence:':20s} {about['licence']}")
    say(f"{'check:':20s} answers noise of {answer['size'][0]} x {answer['size'][1]} with mean {answer['mean']:.6f}, "
        f"std {answer['std']:.6f}, the same when read back")
    say(str(out))
    return 0


def facts(found: "KnownCheckpoint", converted: "Converted") -> dict[str, str]:
    """What was found, for people."""
    state = found.state
    lines = {"family": converted.family, "taken": "; ".join(found.notes) or "as it is",
             "network": converted.config["_class_name"],
             "tensors": f"{len(state)} keys, {sum(value.numel() for value in state.values()):,} numbers"}
    widths, blocks = converted.config.get("block_out_channels"), converted.config.get("layers_per_block")
    if widths is not None:
        lines["architecture"] = f"widths {', '.join(map(str, widths))}; {blocks} blocks a level"
    number = converted.config.get("num_class_embeds")
    low, high = converted.parametrisation.sigma_range
    what, classes = type(converted.parametrisation).__name__, "none" if number is None else f"{number}; give one with --label"
    if converted.classifies is not None:
        what, classes = "the class of a noisy image", f"{converted.classifies.number}; use it as --classifier with --label"
    return lines | {
        "images": f"{converted.channels} channels, {rule(converted.multiple, converted.size)}",
        "classes": classes,
        "predicts": f"{what}, noise levels {low:.4g} to {high:.4g}",
        "range": str(converted.recipe or "whoever uses it brings the codec"),
        **{name: str(value) for name, value in converted.about.items()},
    }


def rule(multiple: int, size: Any) -> str:
    """Which sizes a prior takes."""
    return f"{size[0]} x {size[1]} alone" if size else f"any height and width that {multiple} divides"


def _key_and_value(word: str) -> tuple[str, Any]:
    """key=value; numbers, true and false are read as such."""
    key, equals, value = word.partition("=")
    if not (key.isidentifier() and equals and value):
        raise InputError(f"--set takes key=value, as --set num_heads=4, got {word!r}")
    if value in ("true", "false"):
        return key, value == "true"
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    return key, value


COMMAND = Command("convert", Options, run, __doc__)
