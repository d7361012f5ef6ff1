"""Advice on studies, on scores of outputs and on the commands beside them, followed."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli.test_compare import rows
from helpers.advice import advice, case, followed, follows, works
from helpers.checkpoints import FACES
from helpers.images import save_picture
from helpers.networks import save_rgb_prior
from helpers.scans import Bench, fastmri, kspace
from helpers.studies import NATURAL, SCENES, TINY, changed, opened
from PIL import Image
from study.test_score_files import pictures

from medrestore.cli.serve import offered
from medrestore.datasets.scenes import write_scene
from medrestore.errors import InputError
from medrestore.evaluation.tables import write_rows
from medrestore.files import claim
from medrestore.priors.convert import ddpm
from medrestore.study.run import scored_tasks
from medrestore.study.score_files import FOLDER, score_outputs

VOL = np.random.default_rng(0).integers(1, 255, (2, 40, 40, 2), dtype=np.uint8)


def study(folder: Path, given: Mapping[str, Any]) -> bool:
    """Whether a study is opened and has work."""
    return len(list(scored_tasks(opened(given, folder / "study"), {}))) > 0


def natural(folder: Path, of: str) -> bool:
    return study(folder, {**NATURAL, "data": {"kind": "pictures", "crop": 32, "folder": of}})


def side(folder: Path, *sides: int) -> str:
    """A folder of pictures of these sides."""
    (folder / "p").mkdir(exist_ok=True)
    for number, length in enumerate(sides):
        Image.fromarray(np.full((length, 40, 3), 90, np.uint8)).save(folder / "p" / f"{number}.png")
    return str(folder / "p")


def masks(folder: Path, kind: str, *methods: str) -> bool:
    prior = {"prior": str(PRIOR["folder"]), "steps": 2}
    return study(
        folder,
        {
            **TINY,
            "settings": [{"kind": kind, "accel": 2, **({"acs": 12} if kind.endswith("1d") else {})}],
            "methods": {name: {"method": name, **prior} for name in methods},
        },
    )


PRIOR: dict[str, Path] = {}


def simulated(folder: Path, subjects: list[int]) -> bool:
    np.savez(folder / "v.npz", vol=volumes())
    source = {"kind": "simulated", "volumes": str(folder / "v.npz"), "coils": 3}
    return study(
        folder,
        {
            **TINY,
            "data": {**source, "subjects": subjects},
            "validation": {**source, "subjects": [0, 1]},
            "methods": {"ZF": {"baseline": "ZeroFilled"}},
        },
    )


def volumes() -> np.ndarray:
    """Three subjects, the last of whom is empty."""
    return np.concatenate([VOL, 0 * VOL[:1]])


def scenes(folder: Path, **data: Any) -> bool:
    return study(folder, {**SCENES, "data": {**SCENES["data"], **data}})


def scored(folder: Path, outputs: Path, reference: Path, protocol: str = "natural", **how: Any) -> bool:
    """Whether outputs are scored, and their table is written."""
    score_outputs(outputs, reference, protocol, out=folder / "scores", **how)
    return bool(list((folder / "scores").glob("*.csv")))


def both(folder: Path) -> tuple[Path, Path]:
    return pictures(folder / "out", "ab", add=5), pictures(folder / "truth", "ab")


def of_scene(folder: Path, name: str) -> bool:
    """Whether the frames of a scene are scored that lie in a folder of this name."""
    frames = truth(folder)
    (folder / "out" / name).mkdir(parents=True)
    for frame in frames:
        (folder / "out" / name / frame.name).write_bytes(frame.read_bytes())
    return scored(folder, folder / "out", folder / "truth", "dreaming-corrected", overwrite=True)


def of_archive(folder: Path, *parts: str) -> bool:
    """Whether the frames of a scene are scored that lie in folders of an archive."""
    frames = truth(folder)
    with zipfile.ZipFile(folder / "outputs.zip", "w") as file:
        file.writestr("notes.txt", "nothing else")
        for part in parts:
            for frame in frames:
                file.write(frame, f"{part}/{frame.name}")
    return scored(folder, folder / "outputs.zip", folder / "truth", "dreaming-corrected", overwrite=True)


def truth(folder: Path) -> list[Path]:
    """The frames of a scene as they are without hands."""
    if not (folder / "truth").is_dir():
        write_scene(folder / "truth", 0, 1, frames=2, size=(64, 64))
    return sorted((folder / "truth" / "scene_0001" / "gt").iterdir())


def scan_in(folder: Path) -> Path:
    folder.mkdir()
    data, images = kspace()
    fastmri(folder / "a.h5", data, reference=images)
    return folder


def twins(folder: Path) -> Path:
    for part in "ab":
        save_picture(folder / "t" / part / "one.png", 0, (40, 40))
    return folder / "t"


def rgb(folder: Path) -> Path:
    return folder / "rgb" if (folder / "rgb").is_dir() else save_rgb_prior(folder / "rgb")


CASES = [
    case(
        "{}: not there: {}{}; correct the paths or bring the files",
        lambda folder: study(folder, changed(data={"kind": "kspace", "folder": str(folder / "none")})),
        lambda folder: study(
            folder, changed(data={"kind": "kspace", "folder": str(scan_in(folder / "none"))})
        ),
    ),
    case(
        "{}: two cases are called {}; rename one of the files",
        lambda folder: natural(folder, str(twins(folder))),
        lambda folder: (
            (folder / "t" / "b" / "one.png").rename(folder / "t" / "b" / "two.png"),
            natural(folder, str(folder / "t")),
        )[1],
    ),
    case(
        "{} has no phase, and the protocol complex scores it; leave it out",
        lambda folder: study(
            folder, changed(protocol="complex", methods={"RSS": {"baseline": "RootSumOfSquares"}})
        ),
        lambda folder: study(folder, changed(protocol="complex")),
    ),
    case(
        "scenes are rendered with sides of `crop`: give it, and neither folder nor resize",
        lambda folder: study(folder, {**NATURAL, "data": {"kind": "pictures", "scenes": [0, 1]}}),
        lambda folder: study(folder, {**NATURAL, "data": {"kind": "pictures", "scenes": [0, 1], "crop": 32}}),
    ),
    case(
        "{} is for priors of codes, and a study of pictures takes one of pictures; take another method",
        lambda folder: study(
            folder, {**NATURAL, "methods": {"x": {"method": "conditional", "prior": str(rgb(folder))}}}
        ),
        lambda folder: study(
            folder, {**NATURAL, "methods": {"x": {"method": "dds", "prior": str(rgb(folder))}}}
        ),
    ),
    case(
        "{}: {} has a side of {} pixels, less than {}; leave it out",
        lambda folder: natural(folder, side(folder, 40, 20)),
        lambda folder: ((folder / "p" / "1.png").unlink(), natural(folder, side(folder, 40)))[1],
    ),
    case(
        "{}: no method can serve any setting: {} need masks along one axis; take others, such as "
        "dds, or another kind of mask",
        lambda folder: masks(folder, "gaussian2d", "ddnm"),
        lambda folder: masks(folder / "a", "gaussian2d", "dds") and masks(folder / "b", "uniform1d", "ddnm"),
    ),
    case(
        "{}: {} and {} would share the folder {}; rename one of them",
        lambda folder: study(
            folder, changed(methods={"z f": {"baseline": "ZeroFilled"}, "z-f": {"baseline": "ZeroFilled"}})
        ),
        lambda folder: study(
            folder, changed(methods={"z f": {"baseline": "ZeroFilled"}, "other": {"baseline": "ZeroFilled"}})
        ),
    ),
    case(
        "{}: subject {} of {} is empty; leave it out",
        lambda folder: simulated(folder, [1, 3]),
        lambda folder: simulated(folder, [1, 2]),
    ),
    case(
        "{}: none of the scenes hides a share of {}; give other scenes, frames or holes",
        lambda folder: scenes(folder, holes=[0.98, 0.99]),
        lambda folder: scenes(folder, holes=[0.0, 1.0]),
    ),
    case(
        "frames of {} x {} have no part of {} x {}; give a smaller crop",
        lambda folder: scenes(folder, crop=64),
        lambda folder: scenes(folder, crop=32),
    ),
    case(
        "scenes, numbers and split each choose scenes; give one of them",
        lambda folder: scenes(folder, numbers=[3]),
        lambda folder: scenes(folder, scenes=None, numbers=[3]),
    ),
    case(
        "{} does not exist; give the outputs, and the references that they are scored against",
        lambda folder: scored(folder, folder / "none", folder / "none"),
        lambda folder: scored(folder, *both(folder)),
    ),
    case(
        "{} has no LPIPS; leave out its weights",
        lambda folder: scored(folder, *both(folder), "fastmri", lpips=("w.pt",)),
        lambda folder: scored(folder, *both(folder)),
    ),
    case(
        "{} is the folder of a study, whose tables would be replaced; give another one",
        lambda folder: (claim(folder / "scores", FOLDER), scored(folder, *both(folder))),
        lambda folder: scored(folder / "other", *both(folder)),
    ),
    case(
        "{} holds nothing called {} ({} or a folder of png); name outputs like the scenes of {}",
        lambda folder: of_scene(folder, "mine"),
        lambda folder: of_scene(folder, "scene_0001"),
    ),
    case(
        "{} holds no folder {}; name the folders in it like the scenes",
        lambda folder: of_archive(folder, "mine", "yours"),
        lambda folder: of_archive(folder, "scene_0001", "yours"),
    ),
    case(
        "{} holds no png or jpg; give the restored frames",
        lambda folder: of_archive(folder),
        lambda folder: of_archive(folder, "scene_0001"),
    ),
]


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_studies_as_a_sentence_proposes(
    sentence: str, wrong: Any, right: Any, tmp_path: Path, tiny_prior: Path
) -> None:
    PRIOR["folder"] = tiny_prior
    followed(sentence, wrong, right, tmp_path)


@follows(
    "A and B have no numbers of {} in common; score both by one protocol.",
    "case {} was scored against the range {} in A and {} in B; score both against the same reference.",
)
def test_tables_that_can_be_compared(bench: Bench) -> None:
    write_rows(bench / "a.csv", rows())
    alike, other = rows(1.0), [{**row, "nmse": None, "psnr": None, "ssim": 0.9} for row in rows()]
    ranges = [{**row, "data_range": 7.0 * float(row["data_range"])} for row in rows(1.0)]
    for wrong, says in (
        (other, "no numbers of .* in common; score both by one protocol"),
        (ranges, "was scored against the range .*; score both against the same reference"),
    ):
        write_rows(
            bench / "b.csv",
            wrong,
        )
        advice(bench, says, "compare", bench / "a.csv", bench / "b.csv")
        (bench / "b.csv").unlink()
    write_rows(bench / "b.csv", alike)
    assert "8/8" in works(bench, "compare", bench / "a.csv", bench / "b.csv")


@follows(
    "{} does not exist; give a checkpoint, a file or a folder",
    "{} is a folder; give -o the name of a picture",
    "{} is for a study, and {} is no .yaml; leave it out",
    "two priors are called {}; name the folder {} otherwise",
)
def test_words_of_commands(bench: Bench) -> None:
    advice(bench, "does not exist; give a checkpoint, a file or a folder", "convert", bench / "none.pt")
    torch.save(
        {key: 0.05 * torch.randn(shape) for key, shape in ddpm.ddpm_layout(FACES).items()}, bench / "faces.pt"
    )
    works(bench, "convert", bench / "faces.pt", "-o", bench / "made")
    assert (bench / "made" / "prior.json").is_file()
    (bench / "a.png").mkdir()
    advice(bench, "is a folder; give -o the name of a picture", "demo", "-o", bench / "a.png")
    both(bench.folder)
    words = ("evaluate", bench / "out", "--reference", bench / "truth", "--protocol", "natural")
    advice(bench, "'seed=1' is for a study, and .* is no .yaml; leave it out", *words, "seed=1")
    assert "2 pictures, natural" in works(bench, *words)
    for name in ("p", "other/p", "q"):
        save_rgb_prior(bench / name)
    with pytest.raises(InputError, match=r"two priors are called p; name the folder .*other/p otherwise"):
        offered((str(bench / "p"), str(bench / "other" / "p")))
    assert {"p", "q"} <= set(offered((str(bench / "p"), str(bench / "q"))))
