"""`medrestore inpaint` on small frames with holes."""

import numpy as np
from PIL import Image

from medrestore.io.frames.mha import MhaWriter

SIZE = (24, 40)


def inpaint(bench, *words):
    return bench.call("inpaint", "--prior", bench.prior, "--steps", 2, "--window", 16, *words)


def restored(bench, *words):
    """The lines of a run that must succeed, without a word on stderr."""
    outcome = inpaint(bench, *words)
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.out


def frame(seed):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [np.sin(x / (3 + channel) + seed) + np.cos(y / 4 + channel) for channel in range(3)]
    return np.rint(128 + 50 * np.stack(waves, -1)).clip(0, 255).astype(np.uint8)


def hole(left=8, width=10):
    mask = np.zeros(SIZE, np.uint8)
    mask[6:16, left : left + width] = 255
    return mask


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def folder(bench, masks, name="frames"):
    """Frames and masks (white hides) as folders of png."""
    for index, mask in enumerate(masks):
        save(bench / name / f"f{index}.png", frame(index))
        save(bench / f"{name}-masks" / f"f{index}.png", mask)
    return bench / name, "--mask", bench / f"{name}-masks", "--mask-means", "hole"


def stack(path, frames):
    with MhaWriter(path, size=SIZE, count=len(frames), channels=1 if frames[0].ndim == 2 else 3) as writer:
        for one in frames:
            writer.put(one)
    return path


def picture(path):
    return np.array(Image.open(path))


def dreaming(root, name, masks, truths):
    for index, (mask, truth) in enumerate(zip(masks, truths, strict=True)):
        save(root / name / "gt" / f"{index:03d}.png", truth)
        save(root / name / "mask" / f"{index:03d}.png", 255 - mask)
        save(root / name / "input" / f"{index:03d}.png", np.where(mask[..., None] > 0, 9, truth).astype(np.uint8))
    return root


def refused(bench, *words, says):
    """Runs and checks the whole promise: one sentence, exit code 2, nothing written."""
    before = bench.files()
    outcome = inpaint(bench, *words)
    lines = outcome.err.splitlines()
    assert outcome.code == 2 and len(lines) == 1, outcome
    assert lines[0].startswith("medrestore inpaint: error: ") and says in lines[0], lines[0]
    assert bench.files() == before


def pair(bench, mask, means="hole", name="a"):
    """A frame, this mask, and where to write."""
    return (save(bench / f"{name}.png", frame(0)), "--mask", save(bench / f"{name}-mask.png", mask), "--mask-means", means,
            "-o", bench / "out")
