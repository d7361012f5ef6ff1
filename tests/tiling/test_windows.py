"""Where windows lie, and in which order."""

import pytest
import torch
from torch import Tensor

from medrestore.tiling import plan, raster, seam_ratio, settled_by, waves
from medrestore.tiling.windows import core

WINDOW, SHIFT = (16, 16), (8, 8)


def unknown(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize(("size", "count"), [((512, 512), 9), ((300, 700), 10), ((512, 384), 6), ((256, 256), 1)])
def test_the_raster_is_the_papers(size: tuple[int, int], count: int) -> None:
    windows = raster(size, (256, 256), (128, 128))
    assert len(windows) == count
    covered = torch.zeros(size)
    for window in windows:
        covered[window] += 1
        assert covered[window].shape == (256, 256)
    assert covered.min() == 1
    assert windows == sorted(windows, key=lambda window: (window[0].start, window[1].start))


@pytest.mark.parametrize(("window", "shift", "words"), [
    ((64, 16), (8, 8), "does not fit into a picture"), ((16, 16), (8, 17), "leaves gaps"), ((16, 16), (0, 8), "leaves gaps"),
])
def test_impossible_rasters_are_refused(window, shift, words) -> None:
    with pytest.raises(ValueError, match=words):
        raster((40, 40), window, shift)


@pytest.mark.parametrize("layout", ["auto", "raster", "holes"])
@pytest.mark.parametrize("grain", [1, 4])
def test_every_hole_is_covered_by_windows_inside_the_picture(layout, grain) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        a = torch.randint(0, 50, (6,), generator=generator).tolist()
        holes = unknown((64, 72), (a[0], a[1], 5, 9), (a[2], a[3], 14, 3), (a[4], a[5], 31, 20))
        left = holes.clone()
        for rows, columns in plan(holes, WINDOW, SHIFT, grain=grain, layout=layout):
            assert left[rows, columns].any()
            assert left[rows, columns].shape == WINDOW and rows.start % grain == columns.start % grain == 0
            left[rows, columns] = False
        assert not left.any()


def test_small_holes_take_one_centred_window_each() -> None:
    (window,) = plan(unknown((64, 64), (26, 27, 12, 10)), WINDOW, SHIFT)
    assert window == (slice(24, 40), slice(24, 40))
    assert len(plan(unknown((64, 64), (26, 27, 12, 10)), WINDOW, SHIFT, layout="raster")) == 4
    assert len(plan(unknown((64, 64), (5, 5, 3, 3), (50, 40, 3, 3), (52, 46, 3, 3)), WINDOW, SHIFT)) == 2  # two share one
    (corner,) = plan(unknown((64, 64), (60, 0, 4, 4)), WINDOW, SHIFT)
    assert corner == (slice(48, 64), slice(0, 16))


def test_large_holes_are_tiled_and_specks_gathered() -> None:
    assert len(plan(unknown((64, 64), (10, 10, 22, 6)), WINDOW, SHIFT)) == 2
    specks = unknown((64, 64), *((i, j, 1, 1) for i in range(1, 64, 9) for j in range(1, 64, 9)))
    assert len(plan(specks, WINDOW, SHIFT)) < len(plan(specks, WINDOW, SHIFT, layout="raster"))
    assert plan(unknown((64, 64), (0, 0, 64, 64)), WINDOW, SHIFT) == raster((64, 64), WINDOW, SHIFT)
    assert plan(unknown((64, 64)), WINDOW, SHIFT) == []


def test_waves_keep_the_order_of_what_overlaps() -> None:
    windows = raster((40, 70), WINDOW, SHIFT)
    taken = waves(windows)
    assert sorted(w for wave in taken for w in map(windows.index, wave)) == list(range(len(windows)))
    assert len(taken) == 17 and max(map(len, taken)) == 4  # a row begins two waves after the one above
    at = {windows.index(window): number for number, wave in enumerate(taken) for window in wave}
    canvas = torch.full((40, 70), -1)
    for i, window in enumerate(windows):  # the deepest wave below each pixel so far
        assert at[i] > int(canvas[window].max())
        canvas[window] = at[i]


def test_seams_are_where_two_windows_meet() -> None:
    holes = unknown((8, 12), (0, 0, 8, 12))
    holes[0, 0] = False
    owner = settled_by([(slice(0, 8), slice(0, 8)), (slice(0, 8), slice(4, 12))], holes)
    assert owner[0, 0] == -1 and (owner[1:, :8] == 0).all() and (owner[:, 8:] == 1).all()
    ramp = torch.arange(12.0).expand(1, 1, 8, 12)
    ramp = ramp + torch.arange(8.0)[:, None]
    assert seam_ratio(ramp, owner) == pytest.approx(1.0)
    assert seam_ratio(ramp + 2 * (torch.arange(12) >= 8), owner) == pytest.approx(3.0)


def test_the_core_of_a_window_leaves_a_halo_at_inner_edges() -> None:
    assert core((slice(0, 8), slice(4, 12)), (8, 16), 2) == (slice(0, 8), slice(6, 10))
    everything = torch.ones(8, 16, dtype=torch.bool)
    windows = plan(everything, (8, 8), (4, 4), halo=2)
    left = everything.clone()
    for here in windows:
        left[core(here, (8, 16), 2)] = False
    assert not left.any()
