"""Advice on restoring images, followed: the task, the prior or the data that the sentence names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.advice import case, followed, follows
from helpers.frames import known, picture
from helpers.pictured import FieldOf, grey
from PIL import Image
from torch import Tensor

import medrestore as mr
from medrestore import priors
from medrestore.images.codes import coarse_image
from medrestore.images.coordinates import coordinates
from medrestore.images.degradation import Degradation
from medrestore.images.files import Job, restore_file
from medrestore.images.operators import DegradationFiles, operator_of
from medrestore.images.plan import Plan, Writing
from medrestore.images.records import existing_input, pairs
from medrestore.images.reporting import summary
from medrestore.images.restore import Measured, prepare
from medrestore.images.steps import Gaussian, Jpeg
from medrestore.inpainting.frame import check_inpaint_plan, inpaint_frame
from medrestore.inpainting.plan import Plan as InpaintPlan
from medrestore.io.images import FileImages

COLOUR = picture(0, (16, 24))[None].float()
GREY = COLOUR[:, :1]


def applied(folder: Path, size: tuple[int, int] = (16, 24), **given: Any) -> Tensor:
    given = {
        name: str(folder / value) if name in ("kernel", "mask") else value for name, value in given.items()
    }
    done = Degradation(**given)
    return operator_of(done, size, 1, DegradationFiles.read(done), 0)(GREY[..., : size[0], : size[1]])


def of_files(folder: Path, truth: np.ndarray) -> bool:
    """Whether an image is restored and scored against its clean one."""
    Image.fromarray(grey(0, (16, 24)).numpy()).save(folder / "a.png")
    Image.fromarray(truth).save(folder / "truth.png")
    plan = Plan(Degradation(task="denoise"), noise_std=4.0, steps=2)
    job = Job(plan, FieldOf(1), writing=Writing(overwrite=True))
    restore_file(folder / "a.png", folder / "b.png", job, truth=folder / "truth.png")
    return (folder / "b.png").is_file()


def listed(folder: Path, *names: str) -> list[str]:
    """The outputs that images of these names get."""
    (folder / "in").mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(grey(0, (16, 24)).numpy()).save(folder / "in" / name)
    return [out.name for _, out in pairs(folder / "in", folder / "out")]


def coloured(prior: priors.Prior) -> list[str]:
    plan = Plan(Degradation(task="colorize"), noise_std=1.0, steps=2)
    images = FileImages("in.png", "picture", GREY.numpy(), np.dtype(np.uint8))
    return list(summary(images, prepare(Measured(GREY), plan, prior), [0], Job(plan, prior), "cpu"))


SR8 = Degradation(task="sr", factor=8)
COMPRESSED = Degradation(task="jpeg", quality=50)
FRAME, HIDDEN = picture(0, (24, 24)), known((8, 8, 4, 4), size=(24, 24))


def filled(side: int | None) -> bool:
    """Whether a frame is filled that has no square without a hole of more than 11 pixels."""
    plan = InpaintPlan(method="ddnm+" if side is None else "diffpir", steps=2, sigma_max=10.0, window=24, blur=side)
    return inpaint_frame(FRAME, HIDDEN, FieldOf(3), plan).shape == FRAME.shape


CASES = [
    case(
        "the largest square of the frame that nothing hides has {} x {} pixels, and to find a blur of {} it takes {} x {}; "
        "give a smaller `blur`, or leave it out",
        lambda _: filled(7),
        lambda _: filled(5) and filled(None),
    ),
    case(
        "`blur` takes a prior of any size and a method that needs no spectrum; take as `method` one of {}",
        lambda _: check_inpaint_plan(InpaintPlan(blur=5, window=24), FieldOf(3)),
        lambda _: check_inpaint_plan(InpaintPlan(blur=5, window=24, method="diffpir"), FieldOf(3)) is None,
    ),
    case(
        "JPEG has rounded {}, and {} takes data as free of errors; take another `method`",
        lambda _: prepare(Measured(GREY), Plan(COMPRESSED, method="ddnm"), FieldOf(1)),
        lambda _: prepare(Measured(GREY), Plan(COMPRESSED, method="ddrm"), FieldOf(1)).size == (16, 24),
    ),
    case(
        "JPEG rounds brightness and colours, which are mixtures of red, green and blue, and the prior sees these apart; give a "
        "`prior` of colours",
        lambda _: prepare(Measured(COLOUR), Plan(COMPRESSED), FieldOf(1)),
        lambda _: prepare(Measured(COLOUR), Plan(COMPRESSED), FieldOf(3)).size == (16, 24),
    ),
    case(
        "{} leaves no image from which a coarse one could be made, and the prior is given one; take "
        "a prior of images alone",
        lambda _: coarse_image(GREY, (16, 24), Degradation(task="colorize"), 4),
        lambda _: (
            prepare(
                Measured(GREY), Plan(Degradation(task="colorize"), noise_std=1.0, steps=2), FieldOf(3)
            ).size
            == (16, 24)
        ),
    ),
    case(
        "the prior enlarges by {}, and the data of {} x {} pixels are of an image of {} x {}; take a "
        "prior of images alone, or data that are 1 / {} as large or finer",
        lambda _: coarse_image(COLOUR[..., :2, :3], (16, 24), SR8, 4),
        lambda _: (
            coarse_image(COLOUR[..., :4, :6], (16, 24), Degradation(task="sr", factor=4), 4).shape[-2:]
            == (4, 6)
            and prepare(Measured(COLOUR[..., :2, :3]), Plan(SR8, noise_std=1.0, steps=2), FieldOf(3)).size
            == (16, 24)
        ),
    ),
    case(
        "the image is complex, and {} is a prior of real ones; give a complex prior, or the magnitude",
        lambda _: coordinates(FieldOf(1), 1, (0.0, 1.0), is_complex=True),
        lambda _: (
            coordinates(FieldOf(2), 1, (0.0, 1.0), is_complex=True).channels == 1
            and coordinates(FieldOf(1), 1, (0.0, 1.0)).channels == 1
        ),
    ),
    case(
        "an image of {} x {} pixels has none left at a factor of {}; take a smaller factor",
        lambda _: mr.degrade(np.ones((6, 8)), task="sr", factor=7, crop=True),
        lambda _: mr.degrade(np.ones((6, 8)), task="sr", factor=4, crop=True).shape == (1, 2),
    ),
    case(
        "{} holds {} images of {} x {} pixels in {} channels, and {} of {} x {} in {} are restored; "
        "give their clean images",
        lambda folder: of_files(folder, np.zeros((8, 8), np.uint8)),
        lambda folder: of_files(folder, grey(1, (16, 24)).numpy()),
    ),
    case(
        "{} cannot follow {}, which are not both linear; give one of them alone",
        lambda folder: applied(folder, operators=(Jpeg(50), Gaussian((1.0,)))),
        lambda folder: (
            applied(folder, task="jpeg", quality=50).shape == GREY.shape
            and applied(folder, task="deblur", blur_std=(1.0,)).shape == GREY.shape
        ),
    ),
    case(
        "{}: the kernel has {} x {} pixels, more than the image of {} x {}; cut its empty border "
        "off, or give the right one",
        lambda folder: (kernel(folder, 17), applied(folder, task="deblur", kernel="k.npy")),
        lambda folder: (
            (kernel(folder, 3), applied(folder, task="deblur", kernel="k.npy"))[1].shape == GREY.shape
        ),
    ),
    case(
        "{} has {} x {} pixels (rows x columns), and the image there has {} x {}; give a mask of that size",
        lambda folder: (
            mask(folder, (24, 16)),
            applied(folder, task="inpaint", mask="m.png", mask_means="hole"),
        ),
        lambda folder: (
            (mask(folder, (16, 24)), applied(folder, task="inpaint", mask="m.png", mask_means="hole"))[
                1
            ].shape
            == GREY.shape
        ),
    ),
    case(
        "{} is the folder of the images, which are never replaced; give another `out`",
        lambda folder: pairs(folder, folder),
        lambda folder: listed(folder, "a.png") == ["a.png"],
    ),
    case(
        "{} holds no image ({}); give the folder that does",
        lambda folder: pairs(folder, folder / "out"),
        lambda folder: listed(folder, "a.png") == ["a.png"],
    ),
    case(
        "{} does not exist; give an image, or a folder of images",
        lambda folder: existing_input(str(folder / "none.png")),
        lambda folder: existing_input(str(folder)) == folder,
    ),
    case(
        "{} and {} would both become {}; rename one",
        lambda folder: listed(folder, "a.png", "a.jpg"),
        lambda folder: (
            ((folder / "in" / "a.jpg").rename(folder / "in" / "b.jpg"), listed(folder))[1]
            == ["a.png", "b.png"]
        ),
    ),
]


def kernel(folder: Path, side: int) -> None:
    np.save(folder / "k.npy", np.ones((side, side), np.float32) / side**2)


def mask(folder: Path, size: tuple[int, int]) -> None:
    hidden = np.zeros(size, np.uint8)
    hidden[4:8, 4:8] = 255
    Image.fromarray(hidden).save(folder / "m.png")


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_images_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)


@follows("{} is of grey images, so no colour is made; give a prior of colours")
def test_colours_of_a_prior_of_colours() -> None:
    assert any(
        "is of grey images, so no colour is made; give a prior of colours" in line
        for line in coloured(FieldOf(1))
    )
    lines = coloured(FieldOf(3))
    assert not any("no colour is made" in line for line in lines) and len(lines) == 2
