"""The model card of a run: what a prior is, what it was trained on and how well it denoises."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..codecs import CalibratedComplex, Recipe
from ..priors.parametrisations import Parametrisation
from .checkpoint import Progress
from .config import Config, Data
from .latent_config import AutoencoderConfig, LatentConfig
from .start import ImageData, Initial
from .task import SCORE
from .validation import LEVELS

if TYPE_CHECKING:
    from ..priors.spaces import LatentSpace

PAGE = """\
# {name}

{about}

**{use}**

| | |
|---|---|
{table}

## Data

{training_data}

| | images | patients or scenes |
|---|---|---|
{splits}

No patient or scene is in both. Augmentation: {augment}.

## Validation

{validation}

## Intended use

{intended}
"""
PRIOR_SCORES = """\
{crops} crops, the same noise each time. Loss {loss:.4g}; denoising PSNR by noise level:

| std of the noise | PSNR, dB |
|---|---|
{scores}

The config of the run is in `config.yaml`, its log in `log.csv`."""
PRIOR_USE = """\
Research on restoration of images like those it learned from. What it has not seen it may take away, and it can invent anatomy or
structure that is not in the patient."""
AUTOENCODER_SCORES = """\
{crops} crops: reconstruction PSNR {psnr:.2f} dB, loss {loss:.4g}. The config of the run is in `config.yaml`, its log in
`log.csv`."""
AUTOENCODER_USE = """\
Codes for latent priors. What an autoencoder cannot reconstruct, no latent prior can restore: details finer than its codes hold
are lost or invented."""
CODES_SCORES = """\
{crops} crops, the same noise each time. Loss {loss:.4g}; root mean square error of what is learned, whose std is about 1:

| std of the noise | error |
|---|---|
{scores}

The config of the run is in `config.yaml`, its log in `log.csv`."""
CODES_USE = """\
Research on restoration of images like those it learned from. It can invent anatomy or structure that is not in the patient, and
what its autoencoder cannot reconstruct is lost."""


def card(
    initial: Initial,
    data: ImageData,
    config: Config,
    progress: Progress,
    scores: Mapping[str, float],
    facts: Mapping[str, Any],
    *,
    parameters: int,
) -> str:
    """The card, in Markdown.

    Args:
        scores: of the exported weights, by `validation.COLUMNS`.
        facts: of `prior.json`.
        parameters: how many the network has.
    """
    about, (low, high) = config.card, initial.target.sigma_range
    widths = _widths(initial.network)
    table = {
        "network": f"{initial.network['_class_name']}, widths {widths}, {parameters / 1e6:.2f} million parameters",
        "target": f"{type(initial.target).__name__}, weighting {config.objective.weighting}",
        "noise levels": f"{low:.4g} to {high:.4g}, std of every real number",
        "input": f"{data.channels} channels, height and width multiples of {initial.multiple}",
        "scale": _scale_in_words(initial.recipe),
        "classes": ", ".join(data.names) or "none",
        "reference image": f"taken, left out of {config.conditions.reference_dropout:.0%} of the crops" if data.referenced
        else "none",
        "images seen": _images_seen(progress, config.data),
        "weights": f"averaged with a half-life of {facts['ema_images']:,} images",
        "trained on": f"{facts['hardware']}, {progress.seconds / 3600:.2f} hours, {config.precision}",
        "started from": f"{initial.parent['name']}, sha256 {initial.parent['sha256']}"
        if initial.parent
        else "random weights",
        "licence": about.licence,
    }
    validation = PRIOR_SCORES.format(
        crops=config.data.validation_crops,
        loss=scores[SCORE],
        scores="\n".join(f"| {level} | {scores[f'psnr_at_{level}']:.2f} |" for level in LEVELS),
    )
    return _card_page(config, data, table, validation, PRIOR_USE)


def autoencoder_card(
    space: "LatentSpace", data: ImageData, config: AutoencoderConfig, progress: Progress, scores: Mapping[str, float]
) -> str:
    """The card of an autoencoder, in Markdown; `scores` are those of the exported weights."""
    about, made = config.card, space.autoencoder
    widths = "-".join(str(width) for width in made.config["block_out_channels"])
    parameters = sum(weight.numel() for weight in made.parameters())
    table = {
        "network": f"{type(made).__name__}, widths {widths}, {parameters / 1e6:.2f} million parameters",
        "codes": f"{space.code_channels} channels, 1 / {space.factor} of the height and width; multiplied by "
                 f"{space.scale:.4g} for a std of 1",
        "input": f"{space.channels} channels, height and width multiples of {space.factor}",
        "scale": _scale_in_words(data.train.recipe),
        "loss": ", ".join(f"{key} {value:g}" for key, value in vars(config.loss).items() if isinstance(value, float))
                + f", codes {config.codes_weight:g}",
        "images seen": _images_seen(progress, config.data),
        "trained in": f"{progress.seconds / 3600:.2f} hours",
        "licence": about.licence,
    }
    validation = AUTOENCODER_SCORES.format(crops=config.data.validation_crops, psnr=scores["psnr"], loss=scores[SCORE])
    return _card_page(config, data, table, validation, AUTOENCODER_USE)


def latent_card(
    target: Parametrisation, network: Mapping[str, Any], space: "LatentSpace | None", data: ImageData, config: LatentConfig,
    progress: Progress, scores: Mapping[str, float],
) -> str:
    """The card of a prior of codes, or of one that is given the coarse image, in Markdown."""
    about, low, (least, most) = config.card, config.low_resolution, target.sigma_range
    widths = _widths(network)
    codes = "pixels" if space is None else f"codes of {space.code_channels} channels, 1 / {space.factor} of the height and width"
    table = {
        "network": f"{network['_class_name']}, widths {widths}",
        "learns": codes,
        "given": "nothing" if low is None else f"the image {low.factor} times coarser ({low.recipe}), left out of {low.drop:.0%}",
        "classes": ", ".join(data.names) or "none",
        "target": f"{type(target).__name__}, weighting {config.objective.weighting}",
        "noise levels": f"{least:.4g} to {most:.4g}, std of every real number",
        "scale": _scale_in_words(data.train.recipe),
        "seen": f"{progress.seen:,}, of {config.latent.crops:,} crops of {config.side} pixels",
        "trained in": f"{progress.seconds / 3600:.2f} hours, without the autoencoder",
        "licence": about.licence,
    }
    validation = CODES_SCORES.format(
        crops=config.data.validation_crops, loss=scores[SCORE],
        scores="\n".join(f"| {level} | {scores[f'error_at_{level}']:.3f} |" for level in LEVELS),
    )
    return _card_page(config, data, table, validation, CODES_USE)


def _card_page(config: Config | AutoencoderConfig | LatentConfig, data: ImageData, table: Mapping[str, str], validation: str,
               intended: str) -> str:
    """The card of any run on images: its table, its data, how it validates and what it is for."""
    about = config.card
    return PAGE.format(
        name=about.name, about=about.about, use=about.use, training_data=about.training_data,
        augment=f"`{json.dumps(config.data.augment)}`" if config.data.augment else "crops only", splits=_splits(data),
        table="\n".join(f"| {key} | {value} |" for key, value in table.items()), validation=validation, intended=intended,
    )


def _widths(network: Mapping[str, Any]) -> str:
    return "-".join(str(width) for width in network.get("block_out_channels", ())) or "as in its config"


def _images_seen(progress: Progress, data: Data) -> str:
    """How many images were trained on, of which sides."""
    sides = ", ".join(f"{side} (share {share:g})" for side, share in data.sides)
    return f"{progress.seen:,}, counted at {min(side for side, _ in data.sides)} pixels; sides {sides}"


def _splits(data: ImageData) -> str:
    """The rows of images and groups."""
    splits = {"training": data.train, "validation": data.validation}
    counts = {
        name: (len(images), len({images.group_of(k) for k in range(len(images))}))
        for name, images in splits.items()
    }
    return "\n".join(f"| {name} | {images:,} | {groups:,} |" for name, (images, groups) in counts.items())


def _scale_in_words(recipe: Recipe) -> str:
    if isinstance(recipe, CalibratedComplex):
        return f"the {recipe.quantile:.0%} quantile of the magnitude of the calibration image is 1"
    return f"[{recipe.low:g}, {recipe.high:g}] becomes [-1, 1]"
