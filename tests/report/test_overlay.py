"""Overlays: the hole tinted red, its edge yellow, known pixels unchanged."""

import numpy as np
import torch
from PIL import Image

from medrestore.report import overlay, write_overlay

YELLOW = [255, 255, 0]


def square() -> tuple[torch.Tensor, torch.Tensor]:
    frame = torch.randint(0, 256, (3, 12, 14), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    known = torch.ones(12, 14, dtype=torch.bool)
    known[3:9, 4:11] = False
    return frame, known


def test_known_pixels_stay_and_the_hole_is_tinted_inside_its_edge():
    frame, known = square()
    shown = overlay(frame, known)
    assert torch.equal(shown[:, known], frame[:, known])
    assert shown[:, 3, 4].tolist() == shown[:, 8, 7].tolist() == YELLOW
    expected = (frame[:, 5, 6].float() + torch.tensor([255.0, 0.0, 0.0])) / 2
    assert shown[:, 5, 6].tolist() == expected.to(torch.uint8).tolist()


def test_a_frame_without_a_hole_is_unchanged():
    frame, known = square()
    assert torch.equal(overlay(frame, torch.ones_like(known)), frame)


def test_the_file_holds_the_same_pixels(tmp_path):
    frame, known = square()
    write_overlay(tmp_path / "new" / "a.png", frame, known)
    pixels = np.asarray(Image.open(tmp_path / "new" / "a.png"))
    np.testing.assert_array_equal(pixels, overlay(frame, known).permute(1, 2, 0).numpy())


def test_other_frames_stand_to_the_right(tmp_path):
    frame, known = square()
    write_overlay(tmp_path / "a.png", frame, known, 255 - frame, frame)
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (12, 3 * 14 + 2 * 4, 3) and (pixels[:, 14:18] == 255).all()
    np.testing.assert_array_equal(pixels[:, 18:32], 255 - frame.permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(pixels[:, 36:], frame.permute(1, 2, 0).numpy())
