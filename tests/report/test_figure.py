"""Dark figures and their PNG files."""

import os

import pytest
from PIL import Image

from medrestore.errors import InputError
from medrestore.report.figure import dark_figure, drawable, save_png


def test_axes_row_after_row_without_ticks(tmp_path):
    figure, axes = dark_figure(2, 3, (6.0, 4.0), "title")
    assert len(axes) == 6 and not any(place.axison for place in axes)
    assert figure.get_facecolor()[:3] == (0, 0, 0) and figure.get_suptitle() == "title"
    save_png(figure, tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.size == (660, 440)


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "a.png").mkdir()
    figure, _ = dark_figure(1, 1, (1.0, 1.0), "")
    with pytest.raises(InputError, match="is a folder"):
        save_png(figure, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", [os.fsdecode(b"m\xfcller.npy"), "头部.npy", "price $\\frac{$.h5", "bell\x07\n.h5", "$a$"])
def test_any_file_name_can_be_a_title(tmp_path, name):
    figure, axes = dark_figure(1, 1, (2, 2), name)
    axes[0].set_title(drawable(name), parse_math=False)
    save_png(figure, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size == (220, 220)
