"""Panels of one case: every method at one peak, its error at a stated gain, the same region magnified, and a slider."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from .markup import heading, text
from .palettes import ERRORS

REGION = 4  # the zoomed region is one part in this of the height and of the width
PAGE, TILE, STAGE = 1224, 160, 720  # widths in pixels of the page: all of it, the narrowest column, the usual slider


@dataclass(frozen=True)
class Picture:
    """One case: the reference and the image of each method.

    Args:
        title: what stands above it.
        reference: (height, width), or (height, width, 3) for colour; real and finite.
        images: label to image, each shaped like the reference. Pixels that are not finite are shown black and counted.
        peak: the value shown white in every image; 0 is black.
        scores: label to the text under it.

    Raises:
        InputError: an image is complex or shaped otherwise, the reference is not finite, or the peak is not above 0.
    """

    title: str
    reference: np.ndarray = field(repr=False)
    images: Mapping[str, np.ndarray] = field(repr=False)
    peak: float
    scores: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = np.shape(self.reference)
        if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) or 0 in shape:
            raise InputError(f"picture {self.title!r}: the reference is shaped {shape}; "
                             "give (height, width) or (height, width, 3).")
        if not (math.isfinite(self.peak) and self.peak > 0):
            raise InputError(f"picture {self.title!r}: the peak is {self.peak}; give the value to show white, above 0.")
        for label, image in {"reference": self.reference, **self.images}.items():
            if np.shape(image) != shape:
                raise InputError(f"picture {self.title!r}: {label!r} is shaped {np.shape(image)} and the reference {shape}; "
                                 "crop them alike.")
            if np.iscomplexobj(image):
                raise InputError(f"picture {self.title!r}: {label!r} is complex; give its magnitude.")
        if not np.isfinite(np.asarray(self.reference)).all():
            raise InputError(f"picture {self.title!r}: the reference has pixels that are not finite; correct or leave it out.")


@dataclass(frozen=True)
class Region:
    """A window of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """The window cut out."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def error_map(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """|image - reference|, the mean over the channels: (height, width), infinite where the image is not finite."""
    difference = np.abs(_clean(image) - np.asarray(reference, dtype=np.float64))
    difference[~np.isfinite(image)] = np.inf
    return difference.mean(2) if difference.ndim == 3 else difference


def chosen_region(reference: np.ndarray, errors: Sequence[np.ndarray]) -> Region:
    """The window of largest (mean error) x (mean slope of the reference): large errors in detailed regions.

    Every error map counts the same, however large its errors are: each is divided by its own mean first. Errors and slopes
    are cut at twice their mean, so that one bright rim does not outweigh a region full of fine detail.

    Args:
        reference: (height, width) or (height, width, 3).
        errors: (height, width) each, at least 0.
    """
    grey = np.asarray(reference, dtype=np.float64)
    grey = grey.mean(2) if grey.ndim == 3 else grey
    size = (max(1, round(grey.shape[0] / REGION)), max(1, round(grey.shape[1] / REGION)))
    slope = np.zeros_like(grey)
    slope[:-1] += np.abs(np.diff(grey, axis=0))
    slope[:, :-1] += np.abs(np.diff(grey, axis=1))
    score = _window_means(_relative(slope), size)
    if errors:
        relative = (_relative(np.where(np.isfinite(error), error, 0.0)) for error in errors)
        score = score * _window_means(sum(relative, np.zeros_like(slope)), size)
    best = int(np.round(score, 9).argmax())  # rounded, so that of equal windows the first is taken
    top, left = np.unravel_index(best, score.shape)
    return Region(int(top), int(left), *size)


def _relative(values: np.ndarray) -> np.ndarray:
    """Values over their mean, cut at 2; all 1 where there is nothing."""
    mean = values.mean()
    return np.minimum(values / mean, 2.0) if mean > 0 else np.ones_like(values)


def panels(picture: Picture, name: str, gain: float) -> str:
    """The case as HTML: a column for each image, then the slider."""
    errors = {label: error_map(image, picture.reference) for label, image in picture.images.items()}
    region = chosen_region(picture.reference, list(errors.values()))
    height, width = np.shape(picture.reference)[:2]
    columns = [_picture_column("Reference", picture, picture.reference, region, name, 0, _colour_scale(picture.peak, gain))]
    for number, (label, image) in enumerate(picture.images.items(), 1):
        shown = (gain / picture.peak) * errors[label]
        below = _view(_png(_grey(shown), _palette()), f"Error of {label}, times {gain:g}", f"error × {gain:g}", width,
                      key=f"{name}-error-{number}")
        columns.append(_picture_column(label, picture, image, region, name, number, below))
    tile = round(TILE * min(2.0, max(1.0, math.sqrt(width / height))))
    most = PAGE // (tile + 12)  # columns a row where there is room; the rows are to be about equally long
    across = max(min(4, most), math.ceil(len(columns) / math.ceil(len(columns) / most)))
    return (f'<section class="picture">{heading(3, name, picture.title)}\n'
            f'<p class="note">White is {picture.peak:.4g} in every image. The box is the region shown below it, '
            f"{region.width} × {region.height} of {width} × {height} pixels, the same for all. "
            f"The error is |image\u00a0−\u00a0reference|\u00a0×\u00a0{gain:g}.</p>\n"
            f'<div class="columns" style="--tile: {tile}px; --across: {across}">\n' + "\n".join(columns) + "\n</div>\n"
            f"{_slider(picture, name, region, gain)}</section>")


def _picture_column(label: str, picture: Picture, image: np.ndarray, region: Region, name: str, number: int, below: str) -> str:
    """A heading, the image with the box, the region, and what stands below them."""
    height, width = np.shape(image)[:2]
    lost = int(np.size(image) - np.isfinite(image).sum())
    remarks = [picture.scores[label]] if number and label in picture.scores else []
    remarks += [f"{lost} values are not finite"] if lost else []
    box = (f'<span class="box" style="left: {100 * region.left / width:.3f}%; top: {100 * region.top / height:.3f}%; '
           f'width: {100 * region.width / width:.3f}%; height: {100 * region.height / height:.3f}%"></span>')
    pixels = _grey(_clean(image) / picture.peak)
    full_view = _view(_png(pixels), f"{label}, whole image", "whole image", width, key=f"{name}-image-{number}", extra=box)
    zoomed = _view(_png(np.ascontiguousarray(region.of(pixels))), f"{label}, region", f"region × {REGION}", 0)
    return (f'<div class="column"><header><h4>{text(label)}</h4><p>{text(", ".join(remarks))}</p></header>\n'
            f"{full_view}\n{zoomed}\n{below}</div>")


def _view(source: str, words: str, caption: str, width: int, *, key: str = "", extra: str = "") -> str:
    sharp = ' class="sharp"' if width <= TILE // 2 else ""  # magnified at least twice: its pixels are kept square
    named = f' id="{key}"' if key else ""
    return (f'<figure><div class="view"><img{named}{sharp} src="{source}" alt="{text(words)}">{extra}</div>'
            f"<figcaption>{text(caption)}</figcaption></figure>")


def _colour_scale(peak: float, gain: float) -> str:
    """The colours of the error maps, from none to what saturates."""
    source = _png(np.arange(256, dtype=np.uint8)[None], _palette())
    most = f"{peak / gain:.3g} or more, {100 / gain:.3g} % of white"
    return (f'<figure class="scale"><img src="{source}" alt="Colours of the error maps, from 0 to {text(most)}">'
            f"<p><span>0</span><span>{text(most)}</span></p><figcaption>scale of error × {gain:g}</figcaption></figure>")


def _slider(picture: Picture, name: str, region: Region, gain: float) -> str:
    """Two images under one moving edge; it stays hidden where scripts do not run."""
    if not picture.images:
        return ""
    labels = ["Reference", *picture.images]
    height, width = np.shape(picture.reference)[:2]
    times = max(1, STAGE // max(height, width))
    widest = times * width if times > 1 else min(max(width, STAGE), PAGE)
    sharp = " sharp" if times > 1 else ""
    last = len(picture.images) if len(picture.images) > 1 else 0
    shape = (f"--shape: {width} / {height}; --widest: {max(widest, 240)}px; --times: {width / region.width:.4f}; "
             f"--left: {-100 * region.left / width:.3f}%; --top: {-100 * region.top / height:.3f}%")
    return (f'<div class="compare" hidden style="{shape}"><h4>Slide between two</h4>\n<div class="choices">'
            f"<label>Left {_choices(labels, name, 1, gain)}</label>"
            f"<label>Right {_choices(labels, name, last, gain)}</label></div>\n"
            f'<div class="stage{sharp}"><div class="layer"><img alt=""></div><div class="layer over"><img alt=""></div>'
            '<span class="edge"></span></div>\n'
            f'<input type="range" min="0" max="100" step="1" value="50" aria-label="Edge between the left and the right image">\n'
            '<label class="magnify"><input type="checkbox"> the boxed region alone</label>'
            '<p class="note">Drag over the image, or use the arrow keys; Home and End flip between the two.</p></div>')


def _choices(labels: Sequence[str], name: str, chosen: int, gain: float) -> str:
    images = "".join(f'<option value="{name}-image-{number}"{" selected" if number == chosen else ""}>{text(label)}</option>'
                     for number, label in enumerate(labels))
    errors = "".join(f'<option value="{name}-error-{number}">{text(label)}, error</option>'
                     for number, label in enumerate(labels) if number)
    return f'<select><optgroup label="Images">{images}</optgroup><optgroup label="Errors × {gain:g}">{errors}</optgroup></select>'


def _clean(image: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _grey(image: np.ndarray) -> np.ndarray:
    """[0, 1] as 8 bit; what lies outside is clipped."""
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _palette() -> bytes:
    from matplotlib import colormaps

    return np.round(255 * colormaps[ERRORS](np.arange(256))[:, :3]).astype(np.uint8).tobytes()


def _png(pixels: np.ndarray, palette: bytes | None = None) -> str:
    """8 bit grey, indexed or RGB pixels as a PNG in a data: address."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _window_means(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means of all windows of that size that lie inside, (height - size + 1, width - size + 1), by running sums."""
    sums = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = size
    return (sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]) / (rows * columns)
