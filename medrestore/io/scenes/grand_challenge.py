"""Grand-challenge containers: stacks as `images/<interface>/<uuid>.mha`, paired by predictions.json or by what they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import InputError
from ...files import files_in
from ..frames.masks import MaskMeaning, Masks
from ..frames.mha import MhaFrames, read_mha_header
from ..guards import MAX_TEXT, PathLike, existing, require
from .base import Scene, SceneSet

SCENES = "synthetic-surgical-scenes"
MASKS = "synthetic-surgical-scenes-masks"
RESULTS = "inpainted-synthetic-surgical-scenes"
RESULTS_SLUG = "inpainted-surgical-scenes"
ROLES = ("input", "mask", "gt")  # of platform names such as input_scene_0092.mha


@dataclass(frozen=True)
class Prediction:
    """One job of a predictions.json.

    Attributes:
        pk: its key, which is also the name of the folder of its outputs.
        scene, mask: the names of its input images.
        output: the folder of its result, below the folder of the predictions.json.
    """

    pk: str
    scene: str
    mask: str
    output: Path


def read_predictions(path: PathLike) -> list[Prediction]:
    """The jobs of a predictions.json.

    Raises:
        InputError: no JSON of that form, or names that lead out of its folder.
    """
    path = existing(path)
    require(path.stat().st_size <= 16 * MAX_TEXT, f"{path} is longer than any predictions.json; give the right file.")
    try:
        jobs = json.loads(path.read_text("utf-8"))
        return [_prediction(job) for job in jobs]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError) as error:
        raise InputError(f"{path} is no predictions.json of DREAMING ({error}); copy it again.") from error


def _prediction(job: dict[str, Any]) -> Prediction:
    """One entry; raises KeyError or ValueError where it has another form."""
    images = {value["interface"]["slug"]: value for value in (*job["inputs"], *job["outputs"])}
    folder = PurePosixPath(images[RESULTS_SLUG]["interface"]["relative_path"])
    pk, scene, mask = str(job["pk"]), *(str(images[slug]["image"]["name"]) for slug in (SCENES, MASKS))
    plain = all(PurePosixPath(name).name == name and "\\" not in name for name in (pk, scene, mask))
    if folder.is_absolute() or ".." in folder.parts or not plain:
        raise ValueError("a name in it leads elsewhere")
    return Prediction(pk, scene, mask, output=Path(pk) / "output" / folder)


def is_container(root: Path) -> bool:
    """Whether a folder has the layout of a container's input, or holds stacks with platform names."""
    return root.is_dir() and (_images_folder(root) is not None or next(root.glob("input_*.mha"), None) is not None)


def container_scenes(root: PathLike, *, meaning: MaskMeaning, max_gb: float = 16.0) -> SceneSet:
    """The scenes of a container's input by name.

    Images and masks are paired by predictions.json, else by scene numbers in their names, else because there is one of each,
    else because sizes and counts leave one way only.

    Args:
        root: the folder with `images/`, or one with input_scene_0092.mha, mask_scene_0092.mha and perhaps gt_scene_0092.mha.
        meaning: what white means.

    Raises:
        InputError: no stacks, or more than one way to pair them.
    """
    root = Path(root)
    images = _images_folder(root)
    scenes = _stacks(root if images is None else images / SCENES, "input" if images is None else "")
    masks = _stacks(root if images is None else images / MASKS, "mask" if images is None else "")
    truths = _stacks(root, "gt")
    require(0 < len(scenes) == len(masks), f"{root} holds {len(scenes)} stacks and {len(masks)} masks of them; "
                                                  "give a mask for each.")
    pairs = _scene_pairs(root, scenes, masks, max_gb)
    by_number = {_scene_name(path): path for path in truths}
    openers = {scene.stem: partial(_open_scene, scene, mask, by_number.get(_scene_name(scene)), meaning, max_gb)
               for scene, mask in pairs}
    return SceneSet(str(root), openers)


def output_place(out: PathLike, name: str) -> Path:
    """The path to which a container writes the result of the scene `name`."""
    return Path(out) / "images" / RESULTS / f"{name}.mha"


def _open_scene(scene: Path, mask: Path, truth: Path | None, meaning: MaskMeaning, max_gb: float) -> Scene:
    reference = None if truth is None else MhaFrames(truth, max_gb=max_gb)
    return Scene(scene.stem, MhaFrames(scene, max_gb=max_gb), Masks(MhaFrames(mask, max_gb=max_gb), meaning), reference)


def _images_folder(root: Path) -> Path | None:
    for place in (root / "images", root, root / "input" / "images"):
        if (place / SCENES).is_dir() and (place / MASKS).is_dir():
            return place
    return None


def _stacks(folder: Path, role: str) -> list[Path]:
    return [path for path in files_in(folder, (".mha",)) if path.name.startswith(role)]


def _scene_name(path: Path) -> str:
    """scene_0092 of input_scene_0092.mha; the stem of any other name."""
    role, _, rest = path.stem.partition("_")
    return rest if role in ROLES and rest else path.stem


def _scene_pairs(root: Path, scenes: list[Path], masks: list[Path], max_gb: float) -> list[tuple[Path, Path]]:
    """Each scene with its mask, by the first rule that pairs all of them."""
    for table in (root / "predictions.json", root.parent / "predictions.json"):
        if table.is_file():
            named = {job.scene: job.mask for job in read_predictions(table)}
            by_name = {path.name: path for path in masks}
            if all(named.get(scene.name) in by_name for scene in scenes):
                return [(scene, by_name[named[scene.name]]) for scene in scenes]
    by_number = {_scene_name(path): path for path in masks}
    if all(_scene_name(scene) in by_number for scene in scenes):
        return [(scene, by_number[_scene_name(scene)]) for scene in scenes]
    if len(scenes) == 1:
        return [(scenes[0], masks[0])]
    by_shape: dict[tuple[int, ...], list[Path]] = {}
    for mask in masks:
        by_shape.setdefault(read_mha_header(mask, max_gb=max_gb).shape[:3], []).append(mask)
    pairs = [(scene, by_shape.get(read_mha_header(scene, max_gb=max_gb).shape[:3], [])) for scene in scenes]
    for scene, fitting in pairs:
        require(len(fitting) == 1, f"{scene} fits {len(fitting)} of {len(masks)} masks (as many frames, same size), and neither "
                                   "names nor a predictions.json say whose each is; name each mask like its scene.")
    require(len({fitting[0] for _, fitting in pairs}) == len(pairs),
            f"{root}: two stacks fit the same mask, and neither names nor a predictions.json say whose it is; "
            "name each mask like its scene.")
    return [(scene, fitting[0]) for scene, fitting in pairs]
