"""What hides the patient: gloved hands and metal instruments, made of tapered rods, that move on smooth paths."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .tools import Array, Canvas, SceneView, SmoothNoise, linear, mix, smoothstep

GLOVES = ((0.92, 0.90, 0.84), (0.90, 0.85, 0.74), (0.33, 0.50, 0.76), (0.30, 0.58, 0.48), (0.52, 0.44, 0.70))
GOWNS = ((0.14, 0.36, 0.52), (0.12, 0.40, 0.36), (0.30, 0.52, 0.66), (0.20, 0.44, 0.38))
AWAY = 4.0  # scene units that a hand draws back when it leaves the frame

# Rods are rows: from (x, y, z), to (x, y, z), radius there and there. A hand reaches along x from its wrist at the origin,
# thumb at positive y, and is about one unit long.
SLEEVE = ((-0.13, 0, 0.10, -4.5, 0.1, 0.1, 0.21, 0.40),)
BACK = ((-0.20, 0, 0.10, 0.10, 0, 0.12, 0.165, 0.14), (-0.20, -0.15, 0.10, -0.20, 0.15, 0.10, 0.03, 0.03),
        (0.02, 0.05, 0.12, 0.46, 0.13, 0.16, 0.13, 0.085), (0.02, 0.02, 0.12, 0.49, 0.03, 0.17, 0.13, 0.085),
        (0.02, -0.02, 0.12, 0.46, -0.07, 0.15, 0.13, 0.080), (0.02, -0.05, 0.12, 0.41, -0.16, 0.12, 0.12, 0.072),
        (0.06, 0.06, 0.06, 0.34, 0.20, 0.06, 0.13, 0.09))
GRIP = (0.87, 0.15)  # where a pinching hand holds
PINCH_UNDER = ((0.30, 0.18, 0.06, 0.42, 0.30, 0.06, 0.10, 0.075), (0.42, 0.30, 0.06, 0.65, 0.30, 0.04, 0.072, 0.066),
               (0.65, 0.30, 0.04, 0.84, 0.20, 0.02, 0.066, 0.052),
               (0.46, -0.07, 0.15, 0.67, -0.06, 0.20, 0.078, 0.070), (0.67, -0.06, 0.20, 0.77, -0.02, 0.08, 0.070, 0.058),
               (0.41, -0.16, 0.12, 0.57, -0.17, 0.16, 0.068, 0.060), (0.57, -0.17, 0.16, 0.65, -0.13, 0.06, 0.060, 0.050))
PINCH_OVER = ((0.46, 0.13, 0.16, 0.68, 0.23, 0.26, 0.080, 0.072), (0.68, 0.23, 0.26, 0.81, 0.22, 0.18, 0.070, 0.062),
              (0.81, 0.22, 0.18, 0.90, 0.16, 0.08, 0.062, 0.050),
              (0.49, 0.03, 0.17, 0.73, 0.07, 0.25, 0.080, 0.072), (0.73, 0.07, 0.25, 0.86, 0.09, 0.16, 0.070, 0.062),
              (0.86, 0.09, 0.16, 0.93, 0.10, 0.06, 0.062, 0.050))
SPREAD = ((0.30, 0.18, 0.06, 0.45, 0.34, 0.06, 0.10, 0.078), (0.45, 0.34, 0.06, 0.66, 0.46, 0.05, 0.074, 0.056),
          (0.46, 0.13, 0.16, 0.72, 0.20, 0.14, 0.080, 0.070), (0.72, 0.20, 0.14, 0.93, 0.24, 0.06, 0.070, 0.052),
          (0.49, 0.03, 0.17, 0.78, 0.05, 0.15, 0.080, 0.070), (0.78, 0.05, 0.15, 1.01, 0.06, 0.06, 0.070, 0.052),
          (0.46, -0.07, 0.15, 0.74, -0.11, 0.13, 0.078, 0.068), (0.74, -0.11, 0.13, 0.95, -0.14, 0.05, 0.068, 0.050),
          (0.41, -0.16, 0.12, 0.61, -0.25, 0.11, 0.068, 0.060), (0.61, -0.25, 0.11, 0.78, -0.31, 0.04, 0.060, 0.045))
TOOLS = ("forceps", "scissors", "holder", "scalpel", "suction", "retractor")


def tool(kind: str, gape: float) -> Array:
    """The rods of an instrument that is held at the origin and points along x; `gape` in [0, 1] opens it."""
    z = 0.10
    if kind == "forceps":
        rows = [row for side in (-1, 1) for row in (
            (-0.60, 0, z, -0.05, side * 0.06, z, 0.022, 0.034),
            (-0.05, side * 0.06, z, 0.50, side * (0.008 + 0.05 * gape), z, 0.032, 0.012))]
    elif kind in ("scissors", "holder"):
        opening, blade, tip = (0.35, 0.40, 0.010) if kind == "scissors" else (0.12, 0.20, 0.020)
        turn = 0.05 + opening * gape
        rows = [(0.28, 0, z + 0.03, 0.28, 0, z + 0.03, 0.036, 0.036)]
        for side in (-1, 1):
            back = -side * (0.04 + 0.55 * np.sin(turn))
            rows += [(0.28, 0, z, 0.28 + blade * np.cos(turn), side * blade * np.sin(turn), z, 0.034, tip),
                     (0.28, 0, z, -0.20, back, z, 0.026, 0.024)]
            knots = np.linspace(0, 2 * np.pi, 15)
            ring = [(-0.29 + 0.10 * np.cos(k), back - side * 0.03 + 0.08 * np.sin(k)) for k in knots]
            rows += [(*a, z, *b, z, 0.022, 0.022) for a, b in pairwise(ring)]
    elif kind == "scalpel":
        rows = [(-0.65, 0, z, 0.22, 0, z, 0.026, 0.032), (0.22, 0, z, 0.33, 0.01, z, 0.03, 0.034),
                (0.33, 0.01, z, 0.45, -0.02, z, 0.034, 0.005)]
    elif kind == "suction":
        rows = [(-0.70, 0, z, 0.15, 0, z, 0.045, 0.032), (0.15, 0, z, 0.55, -0.12, z, 0.030, 0.020),
                (-0.70, 0, z, -4.0, 0.9, z, 0.055, 0.055)]
    else:
        rows = [(-4.0, 0, z, -0.3, 0, z, 0.06, 0.05), (-0.3, 0, z, 0.38, 0, z, 0.05, 0.05),
                (0.38, -0.15, z, 0.38, 0.15, z, 0.036, 0.036)]
        rows += [(0.38, y, z, 0.58, 1.1 * y, z - 0.05, 0.022, 0.012) for y in (-0.14, -0.05, 0.05, 0.14)]
    return np.array(rows, np.float32)


class Shape:
    """The union of rods as seen from above: signed distance, slopes, and where the pixels are in the rods' own axes."""

    def __init__(self, view: SceneView, rods: Array, place: "RodPlace", margin: float) -> None:
        self.distance = np.full(view.x.shape, 9, np.float32)
        self._weight = np.full(view.x.shape, 1e-12, np.float32)
        self._slopes = np.zeros((2, *view.x.shape), np.float32)
        for rod in place.put(rods):
            self._add(view, rod, margin)

    def _add(self, view: SceneView, rod: Array, margin: float) -> None:
        ax, ay, az, bx, by, bz, ra, rb = rod
        reach = max(ra, rb) + margin
        box = view.between((min(ax, bx) - reach, max(ax, bx) + reach), (min(ay, by) - reach, max(ay, by) + reach))
        if box is None:
            return
        part = view.crop(box)
        along, across = part.x - ax, part.y - ay
        dx, dy = bx - ax, by - ay
        t = np.clip((along * dx + across * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        along, across = along - t * dx, across - t * dy
        away, radius = np.sqrt(along * along + across * across), ra + t * (rb - ra)
        rise = np.sqrt(np.maximum(radius * radius - away * away, (0.25 * radius) ** 2))
        top = az + t * (bz - az) + rise - 6 * np.maximum(away - radius, 0)
        weight = np.exp(np.clip(top, -0.5, 1) * np.float32(45))  # the highest rod counts, and near ones melt into it
        self._weight[box] += weight
        self._slopes[0][box] -= weight * along / rise
        self._slopes[1][box] -= weight * across / rise
        self.distance[box] = np.minimum(self.distance[box], away - radius)

    @property
    def slopes(self) -> tuple[Array, Array]:
        """The gradient of the height along x and y."""
        return self._slopes[0] / self._weight, self._slopes[1] / self._weight


@dataclass(frozen=True)
class RodPlace:
    """Where rods lie in the scene: origin, direction of their x axis, scale, and which hand it is (1 or -1)."""

    x: float
    y: float
    angle: float
    scale: float
    hand: int = 1

    def put(self, rods: Array) -> Array:
        """Rods in the scene's coordinates."""
        c, s = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        rods = np.array(rods, np.float32)
        placed = rods * np.float32(self.scale)
        for k in (0, 3):
            placed[:, k] = self.x + c * rods[:, k] - s * self.hand * rods[:, k + 1]
            placed[:, k + 1] = self.y + s * rods[:, k] + c * self.hand * rods[:, k + 1]
        return placed

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A point of the rods' axes in the scene."""
        c, s = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        return self.x + c * x - s * self.hand * y, self.y + s * x + c * self.hand * y


class Obstruction:
    """A hand, a hand with an instrument, or an instrument alone, on its path over a scene.

    Args:
        kind: "working" (a hand with an instrument), "open" (a hand alone) or "tool".
        focus: the point of the scene that it works about.
        angle: the direction it points in.
        scale: scene units of a hand's length.
    """

    def __init__(self, rng: np.random.Generator, kind: str, focus: tuple[float, float], angle: float, scale: float) -> None:
        self.kind, self.focus, self.angle, self.scale = kind, focus, angle, scale
        self.tool = str(rng.choice(TOOLS[:5] if kind == "working" else ("retractor", "suction", "retractor")))
        self.hand = int(rng.choice([-1, 1]))
        self.held = float(rng.uniform(-0.35, 0.35))
        self._phase, self._rate = rng.uniform(0, 2 * np.pi, 5), rng.uniform(0.5, 1.6, 5)
        self._sway = rng.uniform(0.08, 0.30, 2)
        self._leaves = bool(rng.uniform() < 0.6)
        self._offset = rng.uniform(-0.2, 0.2, 2)
        self._glove = linear(*GLOVES[rng.integers(len(GLOVES))])
        self._gown = linear(*GOWNS[rng.integers(len(GOWNS))])
        self._blood, self._steel, self._key = rng.uniform(0, 1), rng.uniform(0.8, 1.15), int(rng.integers(1000))

    def lay(self, canvas: Canvas, noise: SmoothNoise, seconds: float, margin: float) -> Array:
        """Paint it as it is at a time; returns the signed distance to its outline, exact up to `margin` (scene units)."""
        waves = np.sin(self._phase + self._rate * seconds)
        angle = self.angle + 0.18 * waves[2]
        leave = np.sin(self._phase[3] + 0.45 * self._rate[3] * seconds)
        back = AWAY * float(smoothstep(0.5, 0.95, leave)) if self._leaves else 0.0
        ahead = 0.5 * self.scale if self.kind != "open" else 0.3 * self.scale
        x = self.focus[0] + self._offset[0] + self._sway[0] * waves[0] - (ahead + back) * np.cos(angle)
        y = self.focus[1] + self._offset[1] + self._sway[1] * waves[1] - (ahead + back) * np.sin(angle)
        instrument = RodPlace(float(x), float(y), angle + self.held * (self.kind == "working"), self.scale)
        rods = tool(self.tool, 0.5 + 0.5 * float(waves[4]))
        if self.kind == "tool":
            return self._metal(canvas, noise, rods, instrument, margin)
        grip = RodPlace(0, 0, angle, self.scale, self.hand).point(*GRIP)
        place = RodPlace(float(x - grip[0]), float(y - grip[1]), angle, self.scale, self.hand)
        flex = np.float32(0.02) * np.sin(self._phase[0] + np.arange(3) + 1.7 * seconds)
        distances = [self._cloth(canvas, noise, np.array(SLEEVE), place, margin)]
        if self.kind == "open":
            distances.append(self._rubber(canvas, noise, np.array(BACK + SPREAD), place, margin))
        else:
            over = np.array(PINCH_OVER)
            over[0, 4], over[1, 1], over[3, 4], over[4, 1] = (joint + flex[k // 2] for k, joint in enumerate(
                (over[0, 4], over[1, 1], over[3, 4], over[4, 1])))
            distances += [self._rubber(canvas, noise, np.array(BACK + PINCH_UNDER), place, margin),
                          self._metal(canvas, noise, rods, instrument, margin),
                          self._rubber(canvas, noise, over, place, margin)]
        return np.minimum.reduce(distances)

    def _rubber(self, canvas: Canvas, noise: SmoothNoise, rods: Array, place: RodPlace, margin: float) -> Array:
        """A gloved hand, or some fingers of it."""
        view, shape = canvas.view, Shape(canvas.view, rods, place, margin)
        u, v = (part / np.float32(place.scale) for part in view.local((place.x, place.y), place.angle))
        wrinkle = noise(u, 0.5 * v, 9.0, self._key, octaves=3, pixel=view.pixel / place.scale)
        pull = 1.5 * smoothstep(0.2, -0.1, u) + 0.5
        bump = view.slopes(np.float32(0.006 * place.scale) * pull * np.sqrt(wrinkle * wrinkle + 0.05))
        slopes = tuple(a + b for a, b in zip(shape.slopes, bump, strict=True))
        stain = smoothstep(0.5, 1.1, noise(u, v, 4.0, self._key + 1, octaves=3) + 1.6 * u - 2.2 + 1.3 * self._blood)
        colour = mix(self._glove * (1 + 0.04 * wrinkle), linear(0.45, 0.06, 0.06), 0.8 * stain)
        canvas.shadow(shape.distance, 0.9 * margin, 0.5)
        canvas.lay(view.cover(shape.distance), colour, slopes, shine=0.28, gloss=4.3, soft=0.35)
        return shape.distance

    def _cloth(self, canvas: Canvas, noise: SmoothNoise, rods: Array, place: RodPlace, margin: float) -> Array:
        """The sleeve of a gown."""
        view, shape = canvas.view, Shape(canvas.view, rods, place, margin)
        u, v = (part / np.float32(place.scale) for part in view.local((place.x, place.y), place.angle))
        fold = noise(u + 0.35 * noise(u, v, 2.0, self._key + 2), 0.55 * v, 4.5, self._key + 3, octaves=2)
        cuff = smoothstep(-0.42, -0.40, u)
        bump = view.slopes(np.float32(0.05 * place.scale) * np.sqrt(fold * fold + 0.02) * (1 - 0.7 * cuff))
        knit = 1 + 0.10 * np.sin(v * 90) * cuff * float(view.pixel < 0.02 * place.scale)
        colour = mix(self._gown, linear(0.86, 0.86, 0.84), cuff) * knit
        slopes = tuple(a + b for a, b in zip(shape.slopes, bump, strict=True))
        canvas.shadow(shape.distance, 0.9 * margin, 0.5)
        canvas.lay(view.cover(shape.distance), colour, slopes, shine=0.02, gloss=3.0)
        return shape.distance

    def _metal(self, canvas: Canvas, noise: SmoothNoise, rods: Array, place: RodPlace, margin: float) -> Array:
        """An instrument: a bright band towards the lamp, a dark one beside it, as polished steel shows its room."""
        view, shape = canvas.view, Shape(canvas.view, rods, place, margin)
        sx, sy = shape.slopes
        u, v = view.local((place.x, place.y), place.angle)
        across = np.cos(place.angle) * sy - np.sin(place.angle) * sx
        room = 0.42 + 0.36 * np.sin(2.6 * np.arctan(across) + self._phase[1]) + 0.10 * np.sin(4 * u + self._phase[2])
        brushed = 1 + 0.05 * noise(0.2 * u, v, 60.0, self._key + 4, pixel=view.pixel)
        colour = linear(0.80, 0.82, 0.84) * (np.float32(self._steel) * room * brushed)
        canvas.shadow(shape.distance, 0.9 * margin, 0.5)
        canvas.lay(view.cover(shape.distance), colour, (sx, sy), shine=1.1, gloss=4.2)
        return shape.distance


def draw_obstructions(rng: np.random.Generator, focus: tuple[float, float], zoom: float) -> list[Obstruction]:
    """What moves over a scene with this focus: one or two hands or instruments, from different sides."""
    kinds = [("working",), ("working", "tool"), ("working", "open"), ("working", "working"), ("open", "tool")][rng.integers(5)]
    first = rng.uniform(0, 2 * np.pi)
    hands = sum(kind != "tool" for kind in kinds)
    scale = rng.uniform(0.90, 1.50) * (1.0 if hands == 1 else 0.82) / zoom
    return [Obstruction(rng, kind, focus, first + number * rng.uniform(1.6, 3.2), scale) for number, kind in enumerate(kinds)]
