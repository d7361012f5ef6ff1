"""Images as the browser gets them."""

from pathlib import Path

import numpy as np
import torch

from medrestore.serve.views import View, write_views


def test_numbers_come_as_they_are(tmp_path: Path) -> None:
    image = torch.arange(12.0).reshape(3, 4)
    colour = (20 * torch.arange(24).reshape(2, 4, 3) % 256).to(torch.uint8)
    first, second = write_views(tmp_path, 7, {"restored": image.T, "given": colour})
    assert first == View("restored", 7, 4, 3, 1, False, 0.0, first.high) and 10 < first.high <= 11
    assert (second.height, second.width, second.channels, second.bytes, second.low, second.high) == (2, 4, 3, True, 0.0, 255.0)
    np.testing.assert_array_equal(np.fromfile(tmp_path / first.name, "<f4").reshape(4, 3), image.T.numpy())
    np.testing.assert_array_equal(np.fromfile(tmp_path / second.name, np.uint8).reshape(2, 4, 3), colour.numpy())


def test_few_bright_pixels_do_not_make_the_rest_dark(tmp_path: Path) -> None:
    image = torch.ones(100, 100)
    image[0, :5], image[1, 1] = 1000.0, -3.0
    (view,) = write_views(tmp_path, 0, {"restored": image})
    assert view.high == 1 and view.low == -3
    assert view.title == "restored" and view.name == "000000-restored"
