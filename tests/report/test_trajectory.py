"""The picture of a trajectory."""

from pathlib import Path

import torch
from PIL import Image

from medrestore.mri import radial
from medrestore.report.trajectory import draw_trajectory


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    trajectory = radial(5, (32, 24))
    mask = torch.ones(trajectory.shape[:2])
    mask[2, 10:] = 0
    draw_trajectory(trajectory, mask, (32, 24), tmp_path / "t.png")
    with Image.open(tmp_path / "t.png") as picture:
        values = picture.convert("L")
        assert values.size[1] > values.size[0] and values.getextrema()[1] == 255 and values.getextrema()[0] == 0
