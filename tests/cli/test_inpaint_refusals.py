"""`medrestore inpaint` refuses in a sentence, and replaces nothing unasked."""

import os

import numpy as np
import pytest
from helpers.inpainted import SIZE, folder, frame, hole, pair, refused, restored, save, stack
from helpers.networks import save_rgb_prior
from helpers.scans import Bench


@pytest.fixture
def bench(tmp_path, rgb_prior, capsys):
    return Bench(tmp_path, rgb_prior, capsys)


COLOUR = np.stack([hole(), hole(3), hole()], -1)


@pytest.mark.parametrize(("mask", "says"), [
    (np.zeros((20, 40), np.uint8), "is 40 x 24 but its mask"), (COLOUR, "mask in colour"),
    (np.zeros(SIZE, np.uint8), "hides nothing"), (np.full(SIZE, 255, np.uint8), "hides all"),
    (np.where(np.arange(40) < 30, 255, 0).astype(np.uint8)[None].repeat(24, 0),
     "75% of a, more than half: check --mask-means, or"),
    (hole() // 255, "grey levels 0, 1: "),
], ids=["size", "colour", "empty", "all", "large", "0 and 1"])
def test_bad_masks(bench, mask, says):
    refused(bench, *pair(bench, mask), says=says)


def test_large_holes_with_leave(bench):
    mask = np.zeros(SIZE, np.uint8)
    mask[:, :30] = 255
    assert "75.0% hidden" in restored(bench, *pair(bench, mask), "--allow-large-hole")
    mask[:] = 255
    refused(bench, *pair(bench, mask, name="b"), "--allow-large-hole", "--overwrite", says="hides all")


def test_polarity_is_never_guessed(bench):
    words = pair(bench, hole())
    refused(bench, *words[:3], *words[5:], says="'hole' or 'keep'")
    refused(bench, *words[:4], "holes", *words[5:], says="--mask-means must be one of hole, keep, got 'holes'")
    refused(bench, words[0], *words[3:], says="comes without masks")


def test_counts_that_differ(bench):
    words = folder(bench, [hole()] * 3)
    (bench / "frames-masks" / "f2.png").unlink()
    refused(bench, *words, "-o", bench / "out", says="give one mask for every frame")
    source, mask = stack(bench / "in.mha", [frame(i) for i in range(3)]), stack(bench / "masks.mha", [hole()] * 2)
    refused(bench, source, "--mask", mask, "--mask-means", "hole", "-o", bench / "out", says="3 frames but")


@pytest.mark.parametrize("which", ["in.mha", "masks.mha"])
@pytest.mark.parametrize("left", [200, 0.5, 0.95])
def test_truncated_stacks(bench, which, left):
    source, mask = stack(bench / "in.mha", [frame(i) for i in range(3)]), stack(bench / "masks.mha", [hole(i) for i in range(3)])
    whole = (bench / which).read_bytes()
    (bench / which).write_bytes(whole[: left if left > 1 else int(left * len(whole))])
    refused(bench, source, "--mask", mask, "--mask-means", "hole", "-o", bench / "out.mha", says=which)


def test_40_gb_declared(bench):
    mask = stack(bench / "masks.mha", [hole()])
    (bench / "big.mha").write_bytes(
        b"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = False\nDimSize = 1280 720 14500\n"
        b"ElementNumberOfChannels = 3\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n" + bytes(100))
    refused(bench, bench / "big.mha", "--mask", mask, "--mask-means", "hole", "-o", bench / "out.mha", says="GB")


def test_video_without_frames(bench):
    save(bench / "m.png", hole())
    for content in (b"", b"\x1a\x45\xdf\xa3" + bytes(100)):
        (bench / "film.mkv").write_bytes(content)
        words = bench / "film.mkv", "--mask", bench / "m.png", "--mask-means", "hole"
        refused(bench, *words, "-o", bench / "out", says="film.mkv")


def test_a_damaged_frame_is_found_before_any_work(bench):
    words = folder(bench, [hole()] * 3)
    whole = (bench / "frames" / "f2.png").read_bytes()
    (bench / "frames" / "f2.png").write_bytes(whole[: len(whole) // 2])
    refused(bench, *words, "-o", bench / "out", says="f2.png")


@pytest.mark.parametrize(("words", "says"), [
    (("--warm-start", "hot"), "--warm-start must be a number, got 'hot'"),
    (("--warm-start", "90"), "outside the noise levels of the prior"), (("--start-sigma", "-1"), "--start-sigma must be above 0"),
    (("--steps", "1"), "--steps must be at least 2"), (("--window", "15"), "multiples of"), (("--shift", "99"), "leaves gaps"),
    (("--factor", "half"), "--factor must be a whole number or auto"), (("--noise-std", "-1"), "--noise-std must be"),
    (("--method", "ddnm", "--noise-std", "3"), "free of noise"), (("--method", "hqs"), "--method must be one of diffpir"),
    (("--feather", "-1"), "--feather must be"), (("--grow", "-1"), "--grow must be"),
    (("--device", "tpu"), "--device tpu is not usable"),
    (("--prior", "nobody"), "no prior at nobody"), (("--dataset", "coco"), "there is no data set"),
    (("-o", "out.jpg"), "jpg would change"), (("-o", "out.nii"), "is no name to write to"),
    (("--options.eta", "3"), "--options.eta must be at least 0 and at most 1"),
    (("--travel-repeat", "0"), "--travel-repeat must be"), (("--samples", "0"), "--samples must be"),
], ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_bad_options(bench, words, says, monkeypatch):
    monkeypatch.chdir(bench.folder)
    refused(bench, *pair(bench, hole()), *words, says=says)


def test_priors_that_see_no_frames(bench, tmp_path_factory):
    grey = save_rgb_prior(tmp_path_factory.mktemp("priors") / "grey", channels=1)
    refused(bench, *pair(bench, hole()), "--prior", grey, says="frames need one of RGB pictures")
    refused(bench, *pair(bench, hole()), "--prior", "brain-mr-starter", says="frames need one of RGB pictures")


def test_outputs_are_never_replaced_unasked(bench):
    words = folder(bench, [hole()] * 2)
    refused(bench, *words, "-o", bench / "frames", says="the input itself")
    refused(bench, *words, "-o", bench / "frames" / "out", says="lies among the pictures")
    refused(bench, *words, "-o", bench / "out.png", says="is one picture, and frames has 2 frames")
    refused(bench, *words, says="give -o")
    restored(bench, *words, "-o", bench / "out")
    refused(bench, *words, "-o", bench / "out", says="pass --overwrite to replace it")
    restored(bench, *words, "-o", bench / "out", "--overwrite")
    (bench / "mine").mkdir()
    refused(bench, *words, "-o", bench / "mine", "--resume", says="is no output of inpaint")
    refused(bench, bench / "none", "-o", bench / "x", "--mask-means", "hole", says="does not exist")


def test_what_inpaint_did_not_make_is_never_replaced(bench, monkeypatch):
    """Neither a folder of other things, nor one that holds an input, nor the truth: not even with leave to overwrite."""
    words = folder(bench, [hole()], name="data/frames")
    save(bench / "mine" / "sub" / "a.png", frame(0))
    refused(bench, *words, "-o", bench / "mine", "--overwrite", says="no output of inpaint, so it is never replaced")
    refused(bench, *words, "-o", bench / "data", "--overwrite", says="holds the input")
    truth = stack(bench / "truth.mha", [frame(0)])
    refused(bench, *words, "--truth", truth, "-o", truth, "--overwrite", says="the input itself")
    monkeypatch.chdir(bench / "mine")
    for name in (".", "..", "/", "sub/.."):
        refused(bench, *words, "-o", name, "--overwrite", says="is no name to write to")


def test_names_that_are_no_text(bench):
    name = os.fsdecode(b"m\xfcller")
    words = (save(bench / f"{name}.png", frame(0)), "--mask", save(bench / "m.png", hole()), "--mask-means", "hole")
    restored(bench, *words, "-o", bench / f"{name}-out.png")
    assert (bench / f"{name}-out.png").exists()
    assert "m?ller" in (bench / f"{name}-out.png.frames.csv").read_text("utf-8")
