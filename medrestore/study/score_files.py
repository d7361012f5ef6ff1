"""Scores of outputs that exist, whoever made them: fastMRI-style volumes, pictures, and restored scenes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..datasets.base import Progress
from ..datasets.fastmri import patient_of
from ..datasets.files import find_files
from ..errors import InputError
from ..evaluation import (
    FrameScore,
    SceneScore,
    load_lpips,
    score_scene,
    summarise,
    write_frames_csv,
    write_scenes_csv,
)
from ..evaluation.perceptual import LPIPS
from ..evaluation.protocols import METRICS, score
from ..evaluation.statistics import per_case
from ..evaluation.tables import NOT_COMPUTED, write_rows
from ..files import files_in, is_claimed, natural_key, new_output
from ..io.frames.base import Frames, PictureFrames
from ..io.frames.pictures import SUFFIXES, read_picture
from ..io.guards import checked_dataset, guarded, has, open_hdf5, to_complex64
from ..io.npz import read_npz
from ..io.scenes.base import Scene, SceneSet, to_tensor
from ..io.scenes.dreaming import listing_of
from ..io.scenes.grand_challenge import output_place
from ..io.scenes.open import open_frames, open_scenes
from .cases import MOST_NAMED, Row
from .config import PICTURE_PROTOCOLS, SCENE_PROTOCOLS, ScanProtocol, SceneProtocol

TARGETS = ("reconstruction_rss", "reconstruction_esc", "reconstruction")  # fastMRI's, then our own
STACKS = (".mha", ".mkv", ".mp4", ".zip")
MAX_GB = 8.0
FOLDER = "study"  # what the folder of a study is claimed for
Features = tuple[np.ndarray, np.ndarray]  # of outputs and truth, (picture, 2048)


@dataclass(frozen=True)
class Scored:
    """The scores of some outputs.

    Attributes:
        rows: scored slices, volumes or pictures; of scenes, frames and scenes are in `frames` and `scenes`.
        frames, scenes: of DREAMING.
        lines: a summary for people.
        failed: outputs that could not be scored, name to sentence.
    """

    rows: list[Row] = field(default_factory=list)
    frames: list[FrameScore] = field(default_factory=list)
    scenes: list[SceneScore] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def score_outputs(
    outputs: Path, reference: Path, protocol: str, *, out: Path | None = None, overwrite: bool = False,
    lpips: tuple[str, ...] = (), features: tuple[str | None, str | None] = (None, None), anonymous: bool = False,
    progress: Progress = lambda label, total: lambda: None,
) -> Scored:
    """Scores outputs against references of the same names.

    Args:
        outputs: .h5 with `reconstruction` (for `complex`, `reconstruction_complex`), pictures for `natural`,
            or restored scenes: folders, .mha, .mkv, .mp4 or zip archives called like the scene; one file or a
            folder of them.
        reference: fastMRI files or such outputs, pictures, or a DREAMING data set.
        out: folder for CSV tables; None writes none. That of a study is refused.
        overwrite: replace tables of earlier scores there.
        lpips: files with the weights of LPIPS; not computed without.
        features: .npz of the Inception features (picture, 2048) of outputs and truth, an array for each
            scene; FID is not computed without.
        anonymous: number cases in tables, in place of the names of their files.

    Raises:
        InputError: outputs without a reference (all of them named), nothing to score, or tables that are
            there already.
    """
    for path in (outputs, reference):
        if not path.exists():
            raise InputError(f"{path} does not exist; give the outputs, and the references that they are scored against")
    files = None if features[0] is None or features[1] is None else (features[0], features[1])
    if (files is None and features != (None, None)) or (files is not None and protocol not in SCENE_PROTOCOLS):
        raise InputError("features of outputs and of references belong together, and to the protocols of DREAMING")
    if lpips and protocol not in (*SCENE_PROTOCOLS, *PICTURE_PROTOCOLS):
        raise InputError(f"{protocol} has no LPIPS; leave out its weights")
    if out is not None:
        tables = ("frames.csv", "scenes.csv") if protocol in SCENE_PROTOCOLS else ("results.csv", "volumes.csv")
        if is_claimed(out, FOLDER):
            raise InputError(f"{out} is the folder of a study, whose tables would be replaced; give another one")
        there = next((out / name for name in tables if (out / name).exists()), None)
        if there is not None and not overwrite:
            raise InputError(f"{there} exists; pass `overwrite` to replace it, or give another folder")
    network = load_lpips(*lpips) if lpips else None
    if protocol in SCENE_PROTOCOLS:
        return _score_scenes(outputs, reference, protocol, out, network, files, anonymous, progress)
    return _score_images(outputs, reference, protocol, out, network, anonymous, progress)


def _score_images(outputs: Path, reference: Path, protocol: str, out: Path | None, lpips: LPIPS | None, anonymous: bool,
                  progress: Progress) -> Scored:
    of_pictures = protocol in PICTURE_PROTOCOLS
    pairs, left = _file_pairs(outputs, reference, SUFFIXES if of_pictures else (".h5", ".hdf5"))
    advance = progress(outputs.name, len(pairs))
    rows: list[Row] = []
    failed: dict[str, str] = {}
    first: dict[str, str] = {}
    for path, truth in pairs:
        try:
            rows += _picture(path, truth, outputs, lpips) if of_pictures else _volume_rows(path, truth, outputs, protocol, first)
        except InputError as error:
            text = str(error)
            failed[path.name] = text if str(path) in text else f"{path}: {text}"
        advance()
    if not rows:
        raise InputError(f"{outputs}: nothing could be scored; {next(iter(failed.values()), 'there are no outputs')}")
    rows = _numbered(rows) if anonymous else rows
    names = [one.name for one in METRICS[protocol]]
    volumes = [row for row in rows if row["slice"] is None] or per_case(rows, names)
    if out is not None:
        with new_output(out / "results.csv", replace=True) as folder:
            write_rows(folder / "results.csv", [row for row in rows if row["slice"] is not None] or rows)
            write_rows(folder / "volumes.csv", volumes)
    return Scored(rows=rows, lines=list(_volume_lines(protocol, rows, volumes, left)), failed=failed)


def _file_pairs(outputs: Path, reference: Path, suffixes: Sequence[str]) -> tuple[list[tuple[Path, Path]], int]:
    """Outputs with the references of their stems, and how many references have no output."""
    restored, truths = find_files(str(outputs), suffixes, "outputs"), find_files(str(reference), suffixes, "references")
    if len(restored) == len(truths) == 1:
        return [(restored[0], truths[0])], 0
    by_stem = {path.stem: path for path in truths}
    lonely = [str(path) for path in restored if path.stem not in by_stem]
    if lonely:
        more = f" and {len(lonely) - MOST_NAMED} more" if len(lonely) > MOST_NAMED else ""
        raise InputError(f"{reference} holds no file named like {', '.join(lonely[:MOST_NAMED])}{more}; "
                         "outputs and references belong together by name")
    wanted = {path.stem for path in restored}
    for paths in (restored, [path for path in truths if path.stem in wanted]):
        stems: dict[str, Path] = {}
        for path in paths:
            if (other := stems.setdefault(path.stem, path)) != path:
                raise InputError(f"{other} and {path} have one name, so their references are ambiguous; score one folder "
                                 "at a time")
    return [(path, by_stem[path.stem]) for path in restored], len(truths) - len(restored)


def _volume_rows(path: Path, truth: Path, outputs: Path, protocol: str, first: dict[str, str]) -> list[Row]:
    """Its rows; `first` is filled with the first case of each patient, which stands for the patient in
    tables.
    """
    with open_hdf5(truth) as file:
        known = ("reconstruction_complex",) if protocol == "complex" else TARGETS
        reference = _stack(file, next((name for name in known if has(file, name)), known[0]), truth)
        identity = patient_of(file, truth)
    with open_hdf5(path) as file:
        prediction = _stack(file, "reconstruction_complex" if protocol == "complex" else "reconstruction",
                            path)
    rows = score(cast(ScanProtocol, protocol), prediction, reference)
    patient = truth.stem if identity is None else first.setdefault(identity, truth.stem)
    return [_base(truth.stem, patient, outputs) | row for row in rows]


def _stack(file: Any, name: str, path: Path) -> Tensor:
    """(slice, h, w) of a file; fastMRI's single-channel axis is dropped."""
    dataset = checked_dataset(file, name, max_gb=MAX_GB)
    values = guarded(path, lambda: dataset[()])
    if values.ndim == 4 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 3:
        raise InputError(f"{path}: {name!r} has the shape {values.shape}; (slice, height, width) is needed")
    if name.endswith("complex"):
        return torch.from_numpy(to_complex64(values))
    return torch.from_numpy((np.abs(values) if np.iscomplexobj(values) else values).astype(np.float32))


def _picture(path: Path, truth: Path, outputs: Path, lpips: LPIPS | None) -> list[Row]:
    pair = [torch.from_numpy(read_picture(path).copy()).permute(2, 0, 1)[None].float() / 255
            for path in (path, truth)]
    return [_base(truth.stem, truth.stem, outputs) | row | {"slice": None} for row in score("natural", *pair, lpips=lpips)]


def _base(case: str, patient: str, outputs: Path) -> Row:
    return {"case": case, "patient": patient, "slice": None, "setting": "as given",
            "method": outputs.resolve().stem, "seed": 0}


def _numbered(rows: Sequence[Row]) -> list[Row]:
    """The rows with numbers in the place of the names of cases, and of the folder of the outputs."""
    names: dict[Any, str] = {}
    for row in rows:
        names.setdefault(row["case"], _case_number(len(names)))
    return [row | {"case": names[row["case"]], "patient": names[row["patient"]], "method": "outputs"} for row in rows]


def _case_number(index: int) -> str:
    return f"case-{index + 1:04d}"


def _volume_lines(protocol: str, rows: Sequence[Row], volumes: Sequence[Row], left: int) -> Iterator[str]:
    """Lines with the means over volumes."""
    what = "picture" if protocol in PICTURE_PROTOCOLS else "volume"
    yield f"{len(volumes)} {what}{'s' if len(volumes) != 1 else ''}, {protocol}"
    for metric in METRICS[protocol]:
        values = [row[metric.name] for row in volumes if row.get(metric.name) is not None]
        if values:
            yield f"{metric.heading:24s} {sum(values) / len(values):.{metric.digits}f}"
        elif any(metric.name in row for row in rows):
            yield f"{metric.heading:24s} {NOT_COMPUTED}"
    if left > 0:
        yield f"{left} references have no output and are not counted"


def _score_scenes(outputs: Path, reference: Path, protocol: str, out: Path | None, lpips: LPIPS | None,
                  files: tuple[str, str] | None, anonymous: bool, progress: Progress) -> Scored:
    scored = Scored()
    with ExitStack() as stack:
        truths = stack.enter_context(open_scenes(reference, dataset="dreaming"))
        places = {name: place for name in truths if (place := _place_of_output(outputs, name, truths)) is not None}
        if not places:
            raise InputError(f"{outputs} holds nothing called {', '.join(list(truths)[:MOST_NAMED])} ({', '.join(STACKS)} or a "
                             f"folder of png); name outputs like the scenes of {reference}")
        advance = progress(outputs.name, len(places))
        for name, place in places.items():
            try:
                of_scene = None if files is None else (read_npz(files[0], name), read_npz(files[1], name))
                total, frames = _scored_scene(truths, name, place, protocol, lpips, of_scene)
                if anonymous:
                    number = _case_number(len(scored.scenes))
                    total, frames = replace(total, scene=number), [replace(frame, scene=number) for frame in frames]
                scored.scenes.append(total)
                scored.frames.extend(frames)
            except InputError as error:
                scored.failed[name] = str(error)
            advance()
        left = len(truths) - len(places)
    if not scored.scenes:
        raise InputError(f"{outputs}: nothing could be scored; {next(iter(scored.failed.values()))}")
    if out is not None:
        with new_output(out / "frames.csv", replace=True) as folder:
            write_frames_csv(folder / "frames.csv", scored.frames)
            write_scenes_csv(folder / "scenes.csv", scored.scenes)
    scored.lines.extend(_scene_lines(scored.scenes, left))
    return scored


def _place_of_output(outputs: Path, name: str, truths: SceneSet) -> Path | None:
    """Where the output of a scene lies: called like it, where a container writes it, or the only one of the
    only scene.
    """
    if outputs.is_dir():
        names = (outputs / name, *(outputs / f"{name}{suffix}" for suffix in STACKS),
                 output_place(outputs, name))
        place = next((path for path in names if path.exists()), None)
        if place is not None:
            return place
        pictures = files_in(outputs, SUFFIXES)
        return outputs if pictures and len(truths) == 1 else None
    return outputs if len(truths) == 1 or outputs.suffix.lower() == ".zip" else None


def _scored_scene(truths: SceneSet, name: str, place: Path, protocol: str, lpips: LPIPS | None,
                  features: Features | None) -> tuple[SceneScore, list[FrameScore]]:
    with ExitStack() as stack:
        scene: Scene = stack.enter_context(truths[name])
        frames = _output_frames(place, name, stack)
        shown = (to_tensor(frames[index]) for index in range(len(frames)))
        return score_scene(shown, scene, protocol=cast(SceneProtocol, protocol), lpips=lpips,
                           features=features)


def _output_frames(place: Path, name: str, stack: ExitStack) -> Frames:
    """The frames of an output: a folder, a stack, a video, or the pictures of an archive, in a folder called
    like the scene
    where it has one."""
    if place.suffix.lower() != ".zip":
        return stack.enter_context(open_frames(place))
    listing = {parts: entry for parts, entry in listing_of(place, stack, MAX_GB).items() if parts[-1].lower().endswith(SUFFIXES)}
    own = {parts: entry for parts, entry in listing.items() if name in parts[:-1]}
    if not own and place.stem != name and len({parts[:-1] for parts in listing}) > 1:
        raise InputError(f"{place} holds no folder {name}; name the folders in it like the scenes")
    chosen = sorted((own or listing).items(), key=lambda item: natural_key("/".join(item[0])))
    if not chosen:
        raise InputError(f"{place} holds no png or jpg; give the restored frames")
    return PictureFrames(str(place), [entry for _, entry in chosen])


def _scene_lines(scenes: Sequence[SceneScore], left: int) -> Iterator[str]:
    """Lines with the means over scenes, as in the challenge's table."""
    total = summarise(scenes)
    yield f"{total.scenes} {'scene' if total.scenes == 1 else 'scenes'}, {total.protocol} (terms: lower is better)"
    for name, value in asdict(total).items():
        if name not in ("protocol", "scenes"):
            yield f"{name.replace('_', ' '):16s} {NOT_COMPUTED if value is None else f'{value:.5f}'}"
    for name, title in (("psnr", "PSNR dB"), ("ssim", "SSIM"), ("hole_psnr", "PSNR in hole dB"), ("hole_ssim", "SSIM in hole")):
        values = [value for scene in scenes if (value := getattr(scene, name)) is not None]
        if values:
            yield f"{title:16s} {sum(values) / len(values):.4f}"
    if left > 0:
        yield f"{left} scenes have no output and are not counted"
