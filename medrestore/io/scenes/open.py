"""Scenes from any source: a data set, a container, a folder, a stack, a video or one picture, with its masks."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ...errors import InputError
from ..frames.base import FrameFormat, Frames, PictureFrames, file_entry, picture_files
from ..frames.masks import MaskMeaning, Masks, check_hole_values, check_meaning
from ..frames.mha import MhaFrames
from ..frames.pictures import SUFFIXES
from ..frames.video import VIDEOS, VideoFrames
from ..guards import PathLike, require
from ..plugged import plugin_at_work, readers
from .base import Scene, SceneSet
from .dreaming import MEANING, dreaming_scenes, is_dreaming
from .grand_challenge import container_scenes, is_container

WORDS = "frame|frames|image|img|input|rgb|color|mask|masks|gt|truth"
ROLE = re.compile(rf"^(?:{WORDS})[_-]|[_-](?:{WORDS})$", re.IGNORECASE)  # what names a role and not a frame
MASK_NAME = re.compile(r"^masks?[_-]|[_-]masks?$", re.IGNORECASE)
TRUTH_NAME = re.compile(r"^(?:gt|truth)[_-]|[_-](?:gt|truth)$", re.IGNORECASE)


def open_scenes(
    source: PathLike,
    *,
    mask: PathLike | None = None,
    means: MaskMeaning | None = None,
    truth: PathLike | None = None,
    dataset: str | None = None,
    hole_values: Collection[int] = (),
    max_gb: float = 16.0,
) -> SceneSet:
    """The scenes of a source, by name; each is opened and checked on access.

    Args:
        source: a DREAMING download (zip or folder), a grand-challenge input folder, a folder of png/jpg, a .mha stack, a video
            or one picture. A folder may hold frames and masks together, recognised by names such as 0001_mask.png.
        mask: the masks, for sources that do not hold their own: of any of these kinds, one for every frame or one for all.
            Pictures in folders are paired by their stems, the words frame, mask, gt, ... left out; all else by order.
        means: what white means in the masks; only `dataset="dreaming"` implies it.
        truth: the unobstructed frames, where there are any, of any of these kinds.
        dataset: "dreaming", or None.
        hole_values: the grey levels that hide, of masks of labels (85, 170, 255) or soft ones (1 to 255); in place of `means`.
        max_gb: the most gigabytes (1e9 bytes) that a stack may declare.

    Raises:
        InputError: no such source, no masks, no meaning, or sizes and counts that differ.
    """
    if hole_values:
        check_hole_values(hole_values, means, str(source if mask is None else mask))
        scenes = open_scenes(source, mask=mask, means="hole", truth=truth, dataset=dataset, max_gb=max_gb)
        return scenes.changed(lambda scene: replace(scene, masks=Masks(scene.masks.frames, "hole", hole_values=hole_values)))
    source = Path(source)
    require(source.exists(), f"{source} does not exist; give frames, a stack, a video or a data set.")
    require(dataset in (None, "dreaming"), f"there is no data set {dataset!r}; the one known by name is dreaming.")
    if mask is None and (dataset == "dreaming" or is_dreaming(source)) and not is_container(source):
        meaning = MEANING if dataset == "dreaming" and means is None else check_meaning(means, str(source))
        return dreaming_scenes(source, meaning=meaning)
    if dataset == "dreaming" and means is None:
        means = MEANING
    means = check_meaning(means, str(source if mask is None else mask))
    if mask is None and is_container(source):
        return container_scenes(source, meaning=means, max_gb=max_gb)
    name = source.name if source.is_dir() else source.stem
    mask, truth = (None if place is None else Path(place) for place in (mask, truth))
    return SceneSet(str(source), {name: partial(_scene_of_files, name, source, mask, truth, means, max_gb)})


def open_frames(source: PathLike, *, kind: str = "frame", max_gb: float = 16.0) -> Frames:
    """A folder of png/jpg, a .mha stack, a video or one picture as frames; `kind` is "frame" or "mask".

    Raises:
        InputError: no such source, or none of these.
    """
    source = Path(source)
    require(source.exists(), f"{source} does not exist; give frames, a stack, a video or one picture.")
    if source.is_dir():
        return _picture_frames(source, picture_files(source), kind)
    suffix = source.suffix.lower()
    if suffix == ".mha":
        return MhaFrames(source, max_gb=max_gb)
    if suffix in VIDEOS:
        return VideoFrames(source)
    if suffix in SUFFIXES:
        return _picture_frames(source, [source], kind)
    added, broken = readers(FrameFormat)
    for plugin, one in added.items():
        if suffix in one.suffixes:
            with plugin_at_work(plugin, source):
                return one.read(source)
    kinds = ", ".join((*SUFFIXES, ".mha", *VIDEOS, *(suffix for one in added.values() for suffix in one.suffixes)))
    raise InputError(f"{source} is of no kind that is read: {kinds}, or a folder of pictures{broken}.")


def _scene_of_files(name: str, source: Path, mask: Path | None, truth: Path | None, means: MaskMeaning, max_gb: float) -> Scene:
    """One scene whose frames, masks and truth are given apart, or together in one folder."""
    roles = _by_role(source) if source.is_dir() else {}
    shown = roles.get("frame", [])
    frames = _picture_frames(source, shown, "frame") if source.is_dir() else open_frames(source, max_gb=max_gb)
    masks, reference = (
        _companion(shown, source, place, roles.get(what, []), what, max_gb) for place, what in ((mask, "mask"), (truth, "truth"))
    )
    if masks is None:
        raise InputError(f"{source} comes without masks; give them, as mask=PATH.")
    return Scene(name, frames, Masks(masks, means), reference, notes=(*frames.notes, *masks.notes))


def _by_role(folder: Path) -> dict[str, list[Path]]:
    """The pictures of a folder by role, which their names state: frame, mask or truth."""
    roles: dict[str, list[Path]] = {}
    for path in picture_files(folder):
        role = "mask" if MASK_NAME.search(path.stem) else "truth" if TRUTH_NAME.search(path.stem) else "frame"
        roles.setdefault(role, []).append(path)
    return roles


def _companion(
    shown: Sequence[Path], source: Path, given: Path | None, own: Sequence[Path], what: str, max_gb: float
) -> Frames | None:
    """The masks or the truth: those given, else those that lie among the frames; None where there are neither."""
    kind = "mask" if what == "mask" else "frame"
    if given is not None and not given.is_dir():
        return open_frames(given, kind=kind, max_gb=max_gb)
    if given is not None:
        own = _by_role(given).get(what) or picture_files(given)
        require(len(own) > 0, f"{given} holds no png or jpg {what}; give a folder that does.")
    if not own:
        return None
    where = source if given is None else given
    if shown and not (kind == "mask" and len(own) == 1):
        own = _paired_by_stem(shown, own, where, what)
    return _picture_frames(where, own, kind)


def _picture_frames(where: Path, files: Sequence[Path], kind: str) -> PictureFrames:
    require(len(files) > 0, f"{where} holds no png or jpg {kind}; give a folder that does.")
    return PictureFrames(str(where), [file_entry(path) for path in files], kind=kind)


def _paired_by_stem(frames: Sequence[Path], others: Sequence[Path], where: Path, what: str) -> list[Path]:
    """The `others` in the order of the frames, by stems; as many as frames, each belonging to one."""
    by_stem = {_stem(path): path for path in others}
    require(len(by_stem) == len(others), f"{where} holds several pictures for one {what}; keep one for every frame.")
    missing = [path for path in frames if _stem(path) not in by_stem]
    if missing or len(others) != len(frames):
        raise InputError(f"{frames[0].parent} has {len(frames)} frames and {where} {len(others)} pictures as {what}"
                         + (f", none of which is named like {missing[0].name}" if missing else "")
                         + f"; give one {what} for every frame, with its name.")
    return [by_stem[_stem(path)] for path in frames]


def _stem(path: Path) -> str:
    """The stem without the words that name a role: video01_000000 of video01_000000_frame.png."""
    return ROLE.sub("", path.stem).lower()
