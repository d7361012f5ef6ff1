"""Tools of a small procedural renderer: views, noise, distance fields, cloth, a head, and one shading pass.

Everything is a float32 array on the pixel grid of a view. Scene coordinates are x right, y down, z towards the camera;
half of a frame's height is about one unit (some 18 cm). Colours are linear light until `Canvas.shade` encodes them.
"""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Number = float | np.float32
CHUNK = 1 << 15  # pixels worked on at once, so that temporaries stay in the processor's cache


@dataclass(frozen=True)
class SceneView:
    """Where in the scene every pixel looks.

    Attributes:
        x, y: scene coordinates, (height, width).
        pixel: scene units from one pixel to the next.
        angle: of the camera about its axis, radians.
    """

    x: Array
    y: Array
    pixel: float
    angle: float = 0.0

    @classmethod
    def through(cls, size: tuple[int, int], *, centre: tuple[float, float], zoom: float, angle: float,
                tilt: float) -> "SceneView":
        """The view of a camera that looks at `centre`; `tilt` makes what is far up in the frame smaller."""
        h, w = size
        pixel = 2 / h / zoom
        v, u = np.meshgrid((np.arange(h, dtype=np.float32) - (h - 1) / 2) * pixel,
                           (np.arange(w, dtype=np.float32) - (w - 1) / 2) * pixel, indexing="ij")
        depth = 1 - tilt * v
        u, v = u * depth, v * depth
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return cls(c * u - s * v + np.float32(centre[0]), s * u + c * v + np.float32(centre[1]), pixel, angle)

    def crop(self, box: tuple[slice, slice]) -> "SceneView":
        """The same view of some rows and columns."""
        return SceneView(self.x[box], self.y[box], self.pixel, self.angle)

    def local(self, centre: tuple[float, float], angle: float) -> tuple[Array, Array]:
        """Coordinates along and across a direction, from a point."""
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        dx, dy = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        return c * dx + s * dy, c * dy - s * dx

    def around(self, centre: tuple[float, float], radius: float) -> tuple[slice, slice] | None:
        """The rows and columns within `radius` of a point, or None where there are none."""
        return self.between((centre[0] - radius, centre[0] + radius), (centre[1] - radius, centre[1] + radius))

    def between(self, x: tuple[float, float], y: tuple[float, float]) -> tuple[slice, slice] | None:
        """The rows and columns that see any point with coordinates in these ranges, or None where there are none."""
        return bounds((self.x > x[0]) & (self.x < x[1]) & (self.y > y[0]) & (self.y < y[1]))

    def cover(self, distance: Array) -> Array:
        """The share of each pixel inside a shape, from its signed distance in scene units (negative inside)."""
        return np.clip(0.5 - distance / self.pixel, 0, 1)

    def slopes(self, height: Array) -> tuple[Array, Array]:
        """The gradient of a height map along the scene's x and y."""
        down, right = np.gradient(height, self.pixel)
        c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return c * right - s * down, s * right + c * down


def bounds(where: Array) -> tuple[slice, slice] | None:
    """The rows and columns that hold all true pixels and those beside them, which slopes need; None where there are none."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    if not len(rows):
        return None
    return _one_wider(rows), _one_wider(columns)


def _one_wider(positions: Array) -> slice:
    """From one before the first position to one behind the last."""
    return slice(max(0, positions[0] - 1), positions[-1] + 2)


def smoothstep(low: Number, high: Number, x: Array | float) -> Array:
    """0 below `low`, 1 above `high`, smooth between; falls when high < low."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def linear(red: float, green: float, blue: float) -> Array:
    """A display colour in [0, 1] as linear light, (3, 1, 1)."""
    return np.array([red, green, blue], np.float32).reshape(3, 1, 1) ** np.float32(2.2)


def mix(a: Array, b: Array | Number, share: Array | Number) -> Array:
    """From a to b."""
    return a + (b - a) * share


class SmoothNoise:
    """Smooth band-limited noise over the scene: lattice values of unit variance with quintic interpolation."""

    SIDE = 128

    def __init__(self, rng: np.random.Generator) -> None:
        self._lattice = rng.standard_normal(self.SIDE**2).astype(np.float32)

    def __call__(self, x: Array, y: Array, cells: float, key: int, *, octaves: int = 1, pixel: float = 0.0) -> Array:
        """Octaves of noise at (x, y), first `cells` per unit, each next at half the size and half the strength.

        Octaves that pixels of size `pixel` cannot show fade out; each `key` is another field.
        """
        x, y = np.broadcast_arrays(np.asarray(x, np.float32), np.asarray(y, np.float32))
        flat_x, flat_y = x.reshape(-1), y.reshape(-1)
        total = np.zeros(flat_x.size, np.float32)
        # small shifts, so that float32 tells neighbouring pixels of a wide field apart
        shift_x, shift_y = np.float32(17.31 * key % self.SIDE), np.float32(7.77 * key % self.SIDE)
        for start in range(0, flat_x.size, CHUNK):
            part = slice(start, start + CHUNK)
            u = flat_x[part] * np.float32(cells) + shift_x
            v = flat_y[part] * np.float32(cells) + shift_y
            for octave in range(octaves):
                fade = float(smoothstep(1.0, 3.0, 1 / max(cells * 2**octave * pixel, 1e-6)))
                if fade == 0:
                    break
                total[part] += np.float32(fade * 0.5**octave) * self._single(u, v)
                u, v = np.float32(1.6) * u + np.float32(1.2) * v, np.float32(1.6) * v - np.float32(1.2) * u
        return total.reshape(x.shape)

    def _single(self, u: Array, v: Array) -> Array:
        floor_u, floor_v = np.floor(u), np.floor(v)
        a, b = u - floor_u, v - floor_v
        a, b = (t * t * t * (t * (t * 6 - 15) + 10) for t in (a, b))
        mask = self.SIDE - 1
        i, j = floor_u.astype(np.int32) & mask, floor_v.astype(np.int32) & mask
        i1, j1 = (i + 1) & mask, ((j + 1) & mask) * self.SIDE
        j = j * self.SIDE
        value = self._lattice
        top, low = value[j + i], value[j1 + i]
        top = top + a * (value[j + i1] - top)
        low = low + a * (value[j1 + i1] - low)
        return top + b * (low - top)


def rounded_box(u: Array, v: Array, half_u: float, half_v: float, radius: float) -> Array:
    """Signed distance to a rectangle about the origin with rounded corners."""
    a, b = np.abs(u) - (half_u - radius), np.abs(v) - (half_v - radius)
    return np.sqrt(np.maximum(a, 0) ** 2 + np.maximum(b, 0) ** 2) + np.minimum(np.maximum(a, b), 0) - radius


def ellipse(u: Array, v: Array, half_u: float, half_v: float) -> Array:
    """About the signed distance to an ellipse about the origin."""
    k = np.sqrt((u / half_u) ** 2 + (v / half_v) ** 2)
    return (k - 1) * k / np.maximum(np.sqrt((u / half_u**2) ** 2 + (v / half_v**2) ** 2), 1e-4)


@dataclass(frozen=True)
class Light:
    """An operating light and what fills its shadows.

    Attributes:
        towards: unit vector from the scene to the lamp.
        centre, radius: of its field on the table.
        colour: of the lamp, linear (3, 1, 1).
        ambient: strength of the light from everywhere.
        floor: share of the lamp's light far away from the centre of its field.
    """

    towards: tuple[float, float, float]
    centre: tuple[float, float]
    radius: float
    colour: Array
    ambient: float
    floor: float


@dataclass(frozen=True)
class Canvas:
    """The picture so far, painted from far to near, in linear light: what the lamp brings kept apart, for shadows to fall on.

    Every surface is lit before it is laid over the others, so that the pixels of an outline mix colours and not slopes.
    """

    view: SceneView
    light: Light
    lamp: Array  # (3, height, width)
    rest: Array

    @classmethod
    def blank(cls, view: SceneView, light: Light) -> "Canvas":
        """Nothing painted yet."""
        return cls(view, light, *(np.zeros((3, *view.x.shape), np.float32) for _ in range(2)))

    def copy(self) -> "Canvas":
        """One to paint on without changing this."""
        return Canvas(self.view, self.light, self.lamp.copy(), self.rest.copy())

    def crop(self, box: tuple[slice, slice]) -> "Canvas":
        """The same canvas, some rows and columns of it: what is painted on the crop is painted on the whole."""
        return Canvas(self.view.crop(box), self.light, self.lamp[:, *box], self.rest[:, *box])

    def lay(self, cover: Array, albedo: Array, slopes: tuple[Array, Array], *, shine: Array | float = 0.0, gloss: float = 4.0,
            soft: float = 0.0, open: Array | float = 1.0) -> None:
        """A surface over everything laid so far, where `cover` is above 0.

        Args:
            albedo: (3, height, width), linear.
            slopes: of its height, along x and y.
            shine, gloss: strength of its highlight, and log2 of the exponent.
            soft: how far light travels under it: 1 for skin.
            open: share of the lamp that arrives.
        """
        shape = cover.shape
        albedo, shine, open = np.broadcast_to(albedo, (3, *shape)), np.broadcast_to(shine, shape), np.broadcast_to(open, shape)
        rows = max(1, CHUNK // shape[1])
        for start in range(0, shape[0], rows):
            part = slice(start, start + rows)
            diffuse, highlight, fill = self._arriving(part, slopes[0][part], slopes[1][part], gloss, soft)
            highlight *= shine[part]
            for channel in range(3):
                brought = self.light.colour[channel, 0, 0] * open[part] * (albedo[channel, part] * diffuse[channel] + highlight)
                self.lamp[channel, part] += cover[part] * (brought - self.lamp[channel, part])
                self.rest[channel, part] += cover[part] * (albedo[channel, part] * fill - self.rest[channel, part])

    def _arriving(self, rows: slice, sx: Array, sy: Array, gloss: float, soft: float) -> tuple[list[Array], Array, Array]:
        """What a white surface sends to the camera: the lamp's light by colour, its highlight, and all other light."""
        light, x, y = self.light, self.view.x[rows], self.view.y[rows]
        lx, ly, lz = (np.float32(part) for part in light.towards)
        n = 1 / np.sqrt(1 + sx * sx + sy * sy)
        lean = lx * sx + ly * sy
        facing, glint = (lz - lean) * n, np.clip((lz + 1 - lean) * n / np.sqrt(2 + 2 * lz), 1e-3, 1)
        away = (x - np.float32(light.centre[0])) ** 2 + (y - np.float32(light.centre[1])) ** 2
        spot = np.float32(light.floor) + np.float32(1 - light.floor) * np.exp(away * np.float32(-0.5 / light.radius**2))
        wraps = [np.float32(reach * soft) for reach in (0.45, 0.16, 0.08)]  # red travels furthest under skin
        diffuse = [spot * np.clip((facing + wrap) / (1 + wrap), 0, None) for wrap in wraps[: 3 if soft else 1]]
        back = np.clip((lz + lean) * n, 0, 1) * np.float32(0.3 * light.ambient)
        fill = np.float32(light.ambient) * (0.55 + 0.45 * n) * (0.4 + 0.6 * spot) + back
        return diffuse if soft else diffuse * 3, spot * np.exp2(np.log2(glint) * np.float32(2**gloss)), fill

    def shadow(self, distance: Array, softness: float, strength: float) -> None:
        """A cast shadow on everything laid so far, from the signed distance to its outline."""
        np.multiply(self.lamp, 1 - np.float32(strength) * smoothstep(softness, -softness, distance), out=self.lamp)

    def picture(self, *, exposure: float, vignette: float) -> Array:
        """Display values, (3, height, width) in [0, 1]."""
        h, w = self.view.x.shape
        v, u = np.linspace(-1, 1, h, dtype=np.float32)[:, None], np.linspace(-1, 1, w, dtype=np.float32)
        return displayed((self.lamp + self.rest) * (np.float32(exposure) - np.float32(exposure * vignette / 2) * (u * u + v * v)))


def displayed(picture: Array) -> Array:
    """Linear light as display values in [0, 1]: a soft shoulder for the bright end, then the display's gamma."""
    picture = np.maximum(picture, 0)
    picture = picture * (1 + picture * np.float32(0.16)) / (1 + picture)
    return np.clip(picture * np.float32(1.25), 0, 1) ** np.float32(1 / 2.2)
