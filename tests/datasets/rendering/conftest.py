"""A canvas to paint on."""

import numpy as np
import pytest

from medrestore.datasets.rendering.tools import Canvas, Light, SceneView


@pytest.fixture
def canvas() -> Canvas:
    view = SceneView.through((40, 56), centre=(0.0, 0.0), zoom=1.0, angle=0.1, tilt=0.0)
    light = Light((0.3, 0.2, 0.93), (0.0, 0.0), 0.8, np.ones((3, 1, 1), np.float32), 0.2, 0.3)
    return Canvas.blank(view, light)
