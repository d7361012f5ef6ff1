"""Surgical drapes: their colours, folds and weave."""

from dataclasses import dataclass

import numpy as np

from .tools import Array, Canvas, SceneView, SmoothNoise, bounds, linear, smoothstep

CLOTHS = ((0.16, 0.42, 0.56), (0.13, 0.44, 0.40), (0.20, 0.50, 0.44), (0.30, 0.55, 0.72), (0.12, 0.30, 0.52), (0.45, 0.63, 0.76),
          (0.18, 0.36, 0.30), (0.72, 0.80, 0.86))


@dataclass(frozen=True)
class Cloth:
    """A surgical drape: its colour, how it falls, its weave."""

    colour: Array
    depth: float
    scale: float
    grain: float
    angle: float
    key: int

    @classmethod
    def drawn(cls, rng: np.random.Generator, colour: tuple[float, float, float], *,
              depth: tuple[float, float] = (0.07, 0.22)) -> "Cloth":
        """Any drape of about this display colour."""
        shade = np.clip(np.asarray(colour) * rng.uniform(0.85, 1.15) + rng.uniform(-0.03, 0.03, 3), 0.05, 0.92)
        return cls(linear(*shade), rng.uniform(*depth), rng.uniform(0.9, 2.0), rng.uniform(0.03, 0.10), rng.uniform(0, np.pi),
                   int(rng.integers(1000)))

    def height(self, noise: SmoothNoise, view: SceneView) -> Array:
        """Its folds, scene units."""
        u, v = view.local((0, 0), self.angle)
        s, key = self.scale, self.key
        bend = noise(u, v, 0.9 * s, key, octaves=2)
        fold = noise(1.5 * u + 0.45 * bend, 0.55 * v + 0.3 * bend, 1.3 * s, key + 1)
        small = noise(u + 0.12 * bend, 0.5 * v, 5.0 * s, key + 2, octaves=2, pixel=view.pixel)
        ridge = np.sqrt(fold * fold + 0.006) * -0.95
        crease = np.sqrt(small * small + 0.03)
        broad = noise(u, v, 0.5 * s, key + 3)
        return np.float32(self.depth) * (ridge + 0.5 * broad + np.float32(0.13) * crease)

    def lay(self, canvas: Canvas, noise: SmoothNoise, distance: Array, *, under: Array | float = 0.0, hem: float = 0.05) -> None:
        """Paint it where `distance` (signed, scene units) is negative; `under` is the height of what it covers."""
        box = bounds(distance < 0.07)  # nothing happens further away than its shadow
        if box is None:
            return
        canvas, distance, under = canvas.crop(box), distance[box], under[box] if isinstance(under, np.ndarray) else under
        view = canvas.view
        fall = self.height(noise, view)
        seam = np.exp(-((distance + hem) / 0.008) ** 2) + 0.7 * np.exp(-((distance + hem + 0.025) / 0.006) ** 2)
        height = fall + under + np.float32(0.012) * smoothstep(0, -0.02, distance) - np.float32(0.004) * seam
        colour = self.colour * ((1 + np.float32(self.grain) * self._weave(noise, view)) * (1 - np.float32(0.22) * seam))
        valley = smoothstep(0.03, -0.12, fall) * np.float32(min(1.0, self.depth / 0.08))
        canvas.shadow(distance - 0.01, 0.05, 0.45)
        canvas.lay(view.cover(distance), colour, view.slopes(height), shine=0.02, gloss=3.0, open=1 - 0.25 * valley)

    def _weave(self, noise: SmoothNoise, view: SceneView) -> Array:
        u, v = view.local((0, 0), self.angle + 0.3)
        warp = noise(u, 0.3 * v, 45.0, self.key + 4, octaves=2, pixel=view.pixel)
        weft = noise(0.3 * u, v, 45.0, self.key + 5, octaves=2, pixel=view.pixel)
        return 0.7 * (warp + weft) + 0.6 * noise(u, v, 6.0, self.key + 6, octaves=3, pixel=view.pixel)
