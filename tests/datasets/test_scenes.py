"""Simulated scenes: repeatable, varied, equal to the truth wherever it is known, in DREAMING's layout on disk."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.rendered import SIZE, theatres
from PIL import Image

from medrestore.codecs import Interval
from medrestore.datasets import scenes
from medrestore.datasets.rendering.theatre import Theatre
from medrestore.datasets.rendering.tools import Canvas
from medrestore.datasets.scenes import Scenes, render_frame, write_scene
from medrestore.errors import InputError


def hidden(theatre: Theatre, frame: int, size: tuple[int, int]) -> np.ndarray:
    """Where a frame's patient is hidden, without the cost of painting the patient."""
    return theatre.obstruct(Canvas.blank(theatre.view(frame, size), theatre.light), frame)[1]


def test_a_frame_is_a_function_of_its_arguments() -> None:
    first = render_frame(3, 5, 40, size=SIZE)
    scenes._theatre.cache_clear()
    again = render_frame(3, 5, 40, size=SIZE)
    assert torch.equal(first.truth, again.truth) and torch.equal(first.known, again.known)
    assert torch.equal(first.obstructed, again.obstructed)
    for other in ((4, 5), (3, 6)):
        assert (render_frame(*other, 40, size=SIZE).truth - first.truth).abs().mean() > 0.03


@pytest.mark.parametrize("scene", range(8))
def test_obstructed_equals_truth_where_known(scene: int) -> None:
    frame = render_frame(0, scene, 300, size=SIZE)
    assert frame.truth.shape == frame.obstructed.shape == (3, *SIZE) and frame.known.shape == SIZE
    assert frame.truth.dtype == frame.obstructed.dtype == torch.float32 and frame.known.dtype == torch.bool
    assert torch.equal(frame.truth[:, frame.known], frame.obstructed[:, frame.known])
    for picture in (frame.truth, frame.obstructed):
        assert torch.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1
        assert picture.std() > 0.05
    if not frame.known.all():
        assert (frame.truth - frame.obstructed)[:, ~frame.known].abs().mean() > 0.02


def test_what_hides_stays_inside_the_hole_before_it_is_enforced() -> None:
    for theatre in theatres(6):
        patient = theatre.patient(theatre.view(300, (108, 192)))
        canvas, hole = theatre.obstruct(patient, 300)
        assert np.array_equal(theatre.picture(canvas)[:, ~hole], theatre.picture(patient)[:, ~hole])


def test_holes_are_as_large_as_hands_and_sometimes_absent() -> None:
    shares = np.array([[hidden(theatre, frame, (90, 160)).mean() for frame in range(0, 1000, 200)] for theatre in theatres(40)])
    assert shares.max() < 0.33 and (shares == 0).any()
    assert 0.05 < np.median(shares[shares > 0]) < 0.25
    assert (shares > 0.2).any() and (shares.max(1) > 0.02).all()


def test_what_hides_moves_smoothly() -> None:
    theatre = next(theatre for theatre in theatres(9) if hidden(theatre, 100, SIZE).mean() > 0.05)
    start, next_, later = (hidden(theatre, frame, (108, 192)) for frame in (100, 101, 125))
    assert 0 < (start ^ next_).mean() < 0.3 * start.mean()
    assert (start ^ later).sum() > (start ^ next_).sum()


def test_a_prior_never_sees_an_instrument() -> None:
    images, number = Scenes((2, 6), 4, size=SIZE), 0
    for index in range(len(images)):
        frame = render_frame(0, 2 + index // 4, index % 4 * 250, size=SIZE)
        expected = (frame.truth * 255).round() / 127.5 - 1
        torch.testing.assert_close(images[index], expected, atol=1e-6, rtol=0)
        number += bool((~frame.known).any())
    assert number >= 8  # there was something to leave out


def test_scenes_are_images_to_learn_from() -> None:
    images = Scenes((2, 5), 3, seed=7, size=SIZE)
    assert len(images) == 9 and images.channels == 3 and images.recipe == Interval()
    assert [images.group_of(index) for index in (0, 2, 3, 8)] == ["scene-7-2", "scene-7-2", "scene-7-3", "scene-7-4"]
    image = images[4]
    assert image.shape == (3, *SIZE) and image.dtype == torch.float32 and image.min() >= -1 and image.max() <= 1
    with pytest.raises(IndexError):
        images[9]


def test_a_kept_frame_is_the_same_and_stays_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Scenes((0, 2), 2, size=SIZE)
    first = images[1]
    images[1].zero_()
    assert torch.equal(images[1], first)
    copy = pickle.loads(pickle.dumps(images))
    assert not copy._kept and torch.equal(copy[1], first)
    monkeypatch.setattr(scenes, "CACHE_BYTES", 2 * 3 * SIZE[0] * SIZE[1])
    for index in range(4):
        copy[index]
    assert len(copy._kept) == 2


@pytest.mark.parametrize(("lossless", "suffix"), [(True, "png"), (False, "jpg")])
def test_a_scene_on_disk_has_dreamings_layout(tmp_path: Path, lossless: bool, suffix: str) -> None:
    seen: list[tuple[int, int]] = []
    folder = write_scene(tmp_path / "new", 0, 1, frames=3, size=SIZE, every=100, lossless=lossless,
                         progress=lambda done, total: seen.append((done, total)))
    assert folder == tmp_path / "new" / "scene_0001" and seen == [(1, 3), (2, 3), (3, 3)]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["scene_0001"]
    names = {part: sorted(path.name for path in (folder / part).iterdir()) for part in ("input", "gt", "mask")}
    assert names["input"] == names["gt"] == [f"00000{k}.{suffix}" for k in range(3)] and len(names["mask"]) == 3
    for number in range(3):
        frame = render_frame(0, 1, 100 * number, size=SIZE)
        stored, truth, mask = (np.asarray(Image.open(folder / part / names[part][number])) for part in ("input", "gt", "mask"))
        assert stored.shape == truth.shape == (*SIZE, 3) and stored.dtype == mask.dtype == np.uint8
        assert np.array_equal(mask, np.where(frame.known, 255, 0))
        expected = np.rint(frame.truth.numpy().transpose(1, 2, 0) * 255)
        assert np.abs(truth - expected).mean() <= (0 if lossless else 4)
        if lossless:
            assert np.array_equal(stored[mask == 255], truth[mask == 255])
            assert (stored[mask == 0] != truth[mask == 0]).any() or (mask == 255).all()


def test_a_scene_appears_only_when_complete(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert not (tmp_path / "scene_0002").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scene(tmp_path, 0, 2, frames=2, size=SIZE, progress=stop)
    assert not list(tmp_path.iterdir())
    write_scene(tmp_path, 0, 2, frames=1, size=SIZE)
    with pytest.raises(InputError, match="exists"):
        write_scene(tmp_path, 0, 2, frames=1, size=SIZE)


@pytest.mark.parametrize("make", [
    lambda folder: render_frame(0, -1, 0, size=SIZE),
    lambda folder: render_frame(0, 0, 0, size=(4, 96)),
    lambda folder: render_frame(0, 0, 0, size=(100_000, 100_000)),
    lambda folder: Scenes((3, 3), 1),
    lambda folder: Scenes((0, 1), 0),
    lambda folder: write_scene(folder, 0, 10_000, frames=1, size=SIZE),
    lambda folder: write_scene(folder, 0, 1, frames=0, size=SIZE),
])
def test_bad_numbers_are_refused_before_work(tmp_path: Path, make) -> None:
    with pytest.raises(InputError):
        make(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [(8, 8), (17, 40), (31, 12)])
def test_every_scene_can_be_seen_at_any_size(size: tuple[int, int]) -> None:
    for scene in range(40):
        frame = render_frame(1, scene, 25 * scene, size=size)
        assert frame.obstructed.shape == (3, *size) and torch.isfinite(frame.obstructed).all()
