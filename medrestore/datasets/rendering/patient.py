"""What the camera sees of a patient: a head, skin and an operative site."""

from dataclasses import dataclass

import numpy as np

from .tools import CHUNK, Array, Canvas, SmoothNoise, linear, mix, smoothstep

# Bumps of a face on the unit sphere of directions (x to the side, y to the crown): height, x, y, width, length.
FACE = np.array([
    (0.045, 0.00, 0.04, 0.055, 0.15), (0.075, 0.00, -0.10, 0.060, 0.09), (0.115, 0.00, -0.18, 0.070, 0.050),  # nose
    (0.030, 0.00, 0.24, 0.300, 0.05), (0.035, 0.00, -0.44, 0.200, 0.12),  # brow, mouth
    (0.022, 0.00, -0.405, 0.110, 0.025), (0.028, 0.00, -0.490, 0.100, 0.030), (-0.028, 0.00, -0.447, 0.140, 0.011),  # lips
    (-0.025, 0.00, -0.570, 0.120, 0.035), (0.065, 0.00, -0.720, 0.140, 0.090), (-0.010, 0.00, -0.335, 0.022, 0.04),  # chin
], np.float32)
PAIRS = np.array([  # the same on both sides
    (0.055, 0.085, -0.195, 0.040, 0.042), (-0.050, 0.300, 0.085, 0.120, 0.075), (0.040, 0.300, 0.070, 0.085, 0.055),  # wing, eye
    (0.030, 0.440, -0.150, 0.150, 0.120), (-0.020, 0.240, -0.330, 0.030, 0.120), (-0.03, 0.07, -0.225, 0.020, 0.016),
], np.float32)
TONES = ((0.91, 0.74, 0.65), (0.86, 0.66, 0.54), (0.78, 0.57, 0.44), (0.62, 0.42, 0.30), (0.45, 0.29, 0.20), (0.34, 0.21, 0.15))
HAIR = ((0.08, 0.06, 0.05), (0.20, 0.12, 0.07), (0.45, 0.31, 0.17), (0.62, 0.60, 0.58))
CAPS = ((0.45, 0.66, 0.78), (0.35, 0.62, 0.55), (0.75, 0.80, 0.84))


@dataclass(frozen=True)
class Skin:
    """How one patient's skin looks: tone in linear light, and strengths of what varies over it."""

    tone: Array
    mottle: float
    freckles: float
    oil: float
    key: int

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Skin":
        """Any patient's."""
        at = rng.uniform(0, len(TONES) - 1.001)
        low, share = int(at), at % 1
        tone = mix(linear(*TONES[low]), linear(*TONES[low + 1]), np.float32(share))
        return cls(tone, rng.uniform(0.5, 1.2), rng.uniform(0, 1) ** 3, rng.uniform(0.03, 0.14), int(rng.integers(1000)))

    def albedo(self, noise: SmoothNoise, x: Array, y: Array, pixel: float) -> Array:
        """Its colour at (x, y), (3, height, width) linear."""
        blotch = noise(x, y, 3.0, self.key, octaves=4, pixel=pixel)
        fine = noise(x, y, 40.0, self.key + 1, octaves=2, pixel=pixel)
        spots = smoothstep(1.3, 2.0, noise(x, y, 17.0, self.key + 2, pixel=pixel)) * np.float32(0.5 * self.freckles)
        light = 1 + np.float32(0.05 * self.mottle) * blotch + np.float32(0.045) * fine
        red = np.float32(0.06 * self.mottle) * blotch
        colour = self.tone * np.stack([light + 0.4 * red, light - red, light - red])
        return colour * (1 - spots * linear(0.5, 0.75, 0.85))

    def pores(self, noise: SmoothNoise, x: Array, y: Array, pixel: float) -> Array:
        """Its fine relief, scene units."""
        return np.float32(0.0009) * noise(x, y, 55.0, self.key + 3, octaves=2, pixel=pixel) + np.float32(0.003) * noise(
            x, y, 6.0, self.key + 4, octaves=2, pixel=pixel)


@dataclass(frozen=True)
class Site:
    """An operative site on skin: stain, pen marks, and an incision that is open, sutured or only planned."""

    kind: str  # "open", "sutured", "planned"
    length: float
    gape: float
    bend: float
    stain: float
    spread: float
    key: int

    @classmethod
    def drawn(cls, rng: np.random.Generator, scale: float) -> "Site":
        """Any site; `scale` is half its length in scene units."""
        kind = str(rng.choice(["open", "open", "sutured", "planned"]))
        return cls(kind, scale, scale * rng.uniform(0.10, 0.24), rng.uniform(-0.5, 0.5) / scale, rng.uniform(0, 1),
                   rng.uniform(1.6, 3.0), int(rng.integers(1000)))

    def paint(self, noise: SmoothNoise, colour: Array, u: Array, v: Array, pixel: float) -> tuple[Array, Array, Array]:
        """Skin of `colour` with the site on it, its relief and its wetness; (u, v) run along and across the cut."""
        rough = noise(u, v, 6.0 / self.length * 0.35, self.key, octaves=4, pixel=pixel)
        v = v - np.float32(0.3 * self.bend) * u * u
        along = u / np.float32(self.length)
        edge = np.hypot(along / self.spread, v / (self.length * self.spread * 0.8)) - 1 + 0.12 * rough
        streak = 1 + 0.25 * noise(0.3 * u, v, 14.0, self.key + 1, octaves=2, pixel=pixel)
        iodine = np.float32(min(1.0, 1.4 * self.stain)) * smoothstep(0.12, -0.12, edge) * np.clip(streak, 0, 1.3)
        colour = colour * (1 - np.clip(iodine, 0, 1) * (1 - linear(0.86, 0.60, 0.30)))
        line = np.abs(v + np.float32(0.012) * rough * self.length)
        inside = smoothstep(1.0, 0.97, np.abs(along))
        flush = np.exp(-(line / (0.3 * self.length)) ** 2) * inside * np.float32(0.25 if self.kind != "planned" else 0.0)
        colour = colour * (1 - flush * (1 - linear(1.0, 0.7, 0.65)))
        if self.kind == "open":
            return self._open(noise, colour, u, v, along, rough, pixel)
        if self.kind == "sutured":
            return self._sutured(colour, u, v, inside, line)
        dash = smoothstep(-0.1, 0.1, np.sin(u * np.float32(25 / self.length))) * inside
        dash = dash * smoothstep(0.028, 0.018, line / self.length)
        return mix(colour, linear(0.25, 0.13, 0.42), 0.8 * dash), np.zeros_like(u), np.zeros_like(u)

    def _open(self, noise: SmoothNoise, colour: Array, u: Array, v: Array, along: Array, rough: Array,
              pixel: float) -> tuple[Array, Array, Array]:
        """Fat at the rim, red tissue in the depth, blood around."""
        width = np.float32(self.gape) * np.clip(1 - along * along, 0, 1)
        lens = np.abs(v) - width * (1 + 0.15 * rough) + np.maximum(np.abs(along) - 1, 0) * self.length
        grain = noise(u, v, 9.0 / self.length, self.key + 2, octaves=3, pixel=pixel)
        deep = smoothstep(0, -0.6 * self.gape, lens)
        tissue = mix(linear(0.62, 0.16, 0.13), linear(0.33, 0.05, 0.05), deep) * (1 + 0.28 * grain)
        fibre = smoothstep(0.5, 1.1, noise(0.35 * u, v, 12.0 / self.length, self.key + 3, octaves=2, pixel=pixel))
        tissue = mix(tissue, linear(0.78, 0.42, 0.36), 0.5 * fibre * deep)
        fat = smoothstep(0.0, -0.10 * self.gape, lens) * smoothstep(-0.55 * self.gape, -0.25 * self.gape, lens)
        tissue = mix(tissue, linear(0.88, 0.66, 0.36) * (1 + 0.12 * grain), 0.85 * fat)
        cover = np.clip(0.5 - lens / pixel, 0, 1)
        reach = np.float32(0.35 * self.length)
        smear = smoothstep(0.5, 1.0, rough + 1.0 - lens / reach) * smoothstep(reach, 0, lens)
        colour = mix(colour, linear(0.48, 0.07, 0.06), 0.6 * smear * (np.abs(along) < 1.25))
        lips = np.exp(-(lens / (0.35 * self.gape)) ** 2)
        relief = np.float32(self.gape) * (0.5 * lips - 0.7 * deep + 0.05 * cover * grain)
        return mix(colour, tissue, cover), relief, 0.22 * cover

    def _sutured(self, colour: Array, u: Array, v: Array, inside: Array, line: Array) -> tuple[Array, Array, Array]:
        """A closed line with stitches across."""
        cut = np.exp(-(line / (0.022 * self.length)) ** 2) * inside
        colour = mix(colour, linear(0.42, 0.08, 0.07), 0.85 * cut)
        phase = u * np.float32(5 / self.length)
        stitch = np.exp(-((phase - np.round(phase)) / 0.09) ** 2) * smoothstep(0.15, 0.12, np.abs(v) / self.length) * inside
        swollen = np.exp(-(line / (0.08 * self.length)) ** 2) * inside
        relief = np.float32(self.length) * (0.02 * (stitch - cut) + 0.03 * swollen)
        return mix(colour, linear(0.10, 0.10, 0.22), 0.85 * stitch), relief, 0.1 * cut


@dataclass(frozen=True)
class Placed:
    """A site on a head: the direction of its middle, as x and y in head axes, and that of its cut, radians."""

    site: Site
    x: float
    y: float
    angle: float


@dataclass(frozen=True)
class PatientHead:
    """A head as a surface about its centre, seen along z, and what grows on it.

    Attributes:
        centre, radius: in the scene, scene units.
        turn: (3, 3) rotation, head axes (side, crown, face) as columns in scene axes.
        shape: factors on the heights of the face's bumps, one for each row of FACE and of PAIRS.
        hair: "bald", "hair" or "cap".
    """

    centre: tuple[float, float]
    radius: float
    turn: Array
    shape: Array
    jaw: float
    hair: str
    hair_colour: Array
    cap_colour: Array
    hairline: float
    stubble: float
    lips: float
    skin: Skin
    key: int

    @classmethod
    def drawn(cls, rng: np.random.Generator, centre: tuple[float, float], radius: float, feet: float) -> "PatientHead":
        """Any head; `feet` is the direction of the body in the scene, radians from x towards y."""
        yaw, pitch, roll = rng.uniform(-0.65, 0.65), rng.uniform(-0.45, 0.20), feet + rng.uniform(-0.25, 0.25)
        side = np.array([-np.sin(roll), np.cos(roll), 0.0])
        crown = np.array([-np.cos(roll), -np.sin(roll), 0.0])
        face = np.array([0.0, 0.0, 1.0])
        side, face = np.cos(yaw) * side - np.sin(yaw) * face, np.cos(yaw) * face + np.sin(yaw) * side
        crown, face = np.cos(pitch) * crown + np.sin(pitch) * face, np.cos(pitch) * face - np.sin(pitch) * crown
        hair, cap = linear(*HAIR[rng.integers(len(HAIR))]), linear(*CAPS[rng.integers(len(CAPS))])
        turn, shape = np.stack([side, crown, face], 1).astype(np.float32), rng.uniform(0.75, 1.3, 17).astype(np.float32)
        return cls(centre, radius, turn, shape,
                   rng.uniform(0.05, 0.45), str(rng.choice(["bald", "hair", "cap", "cap"])), hair, cap, rng.uniform(0.42, 0.62),
                   max(0.0, rng.uniform(-0.6, 0.6)), rng.uniform(0.3, 1.0), Skin.drawn(rng), int(rng.integers(1000)))

    def lay(self, canvas: Canvas, noise: SmoothNoise, site: Placed | None) -> None:
        """Paint it, with a site on it where there is one."""
        box = canvas.view.around(self.centre, 1.35 * self.radius)
        if box is None:
            return
        canvas = canvas.crop(box)
        view = canvas.view
        pixel = view.pixel / self.radius
        towards = self.turn.T @ np.asarray(canvas.light.towards, np.float32)
        ray = np.stack([view.x - np.float32(self.centre[0]), view.y - np.float32(self.centre[1])]).reshape(2, -1)
        ray = ray / np.float32(self.radius)
        seen = np.zeros((7, ray.shape[1]), np.float32)
        inside = ((ray * ray).sum(0) < 1.3**2).nonzero()[0]
        for start in range(0, inside.size, CHUNK):
            part = inside[start : start + CHUNK]
            seen[:, part] = self._trace(ray[:, part], pixel, towards)
        cover, open_, slope_x, slope_y, *away = seen.reshape(7, *view.x.shape)
        albedo, relief, shine = self._surface(noise, np.stack(away), pixel, site)
        fine_x, fine_y = view.slopes(relief * np.float32(self.radius))
        slopes = np.clip(slope_x + fine_x, -6, 6), np.clip(slope_y + fine_y, -6, 6)
        canvas.lay(cover, albedo, slopes, shine=shine, gloss=4.6, soft=1.0, open=open_)

    def _trace(self, ray: Array, pixel: float, towards: Array) -> Array:
        """Of rays (2, n): cover, share of the lamp, slopes, and direction from the centre in head axes, as (7, n)."""
        z, miss = self._march(ray)
        cover = np.clip(1.1 - miss / np.float32(pixel), 0, 1)
        local = self._local(ray, z)
        away = local / np.maximum(np.sqrt((local * local).sum(0)), 1e-6)
        rest = np.zeros((3, z.size), np.float32)
        hit = cover.nonzero()[0]
        if hit.size:
            d, point = away[:, hit], local[:, hit]
            surface = self._radius(d)
            hollow = smoothstep(-0.005, -0.06, surface - self._radius(d, bumps=False))
            rest[0, hit] = self._lit(point, towards) * (1 - 0.55 * hollow)
            rest[1:, hit] = self._slopes(point, surface)
        return np.stack([cover, *rest, *away])

    def _local(self, ray: Array, z: Array) -> Array:
        """Points of the scene, in head axes."""
        t = self.turn
        return np.stack([t[0, k] * ray[0] + t[1, k] * ray[1] + t[2, k] * z for k in range(3)])

    def _radius(self, d: Array, *, bumps: bool = True) -> Array:
        """Distance from the centre to the surface in direction d, head units."""
        x, y, z = d
        low = np.clip(-y, 0, 1)
        narrow = 1 + np.float32(self.jaw) * low * low
        r = 1 / np.sqrt((x / 0.74 * narrow) ** 2 + (y / 1.06) ** 2 + (z / np.where(z > 0, 0.94, 1.0)) ** 2)
        r = r * (1 - np.float32(0.20) * smoothstep(0.25, -0.45, z) * smoothstep(-0.15, -0.65, y))  # under the jaw
        if not bumps:
            return r
        front = smoothstep(0.0, 0.35, z)
        total = np.zeros_like(r)
        side = np.abs(x)
        for bump, factor in zip(FACE, self.shape[:11], strict=True):
            total += factor * bump[0] * np.exp(-((x - bump[1]) / bump[3]) ** 2 - ((y - bump[2]) / bump[4]) ** 2)
        for bump, factor in zip(PAIRS, self.shape[11:], strict=True):
            total += factor * bump[0] * np.exp(-((side - bump[1]) / bump[3]) ** 2 - ((y - bump[2]) / bump[4]) ** 2)
        flank, lean = smoothstep(0.6, 0.8, side), (z + 0.02 + 0.25 * y) ** 2
        ear = np.exp(-((y + 0.03) / 0.17) ** 2 - lean / np.float32(0.12**2))
        bowl = np.exp(-((y + 0.02) / 0.09) ** 2 - lean / np.float32(0.05**2))
        return r + front * total + 0.19 * flank * (ear - 0.6 * bowl)

    def _march(self, ray: Array, far: int = 5, near: int = 9) -> tuple[Array, Array]:
        """Where rays along -z meet the surface, and how close to it they come."""
        z = np.sqrt(np.clip(1.30**2 - (ray * ray).sum(0), 0, None))
        nearest = np.full(z.shape, 9, np.float32)
        for step in range(far + near):  # first down to a smooth hull, which is cheap
            local = self._local(ray, z)
            size = np.maximum(np.sqrt((local * local).sum(0)), 1e-6)
            if step < far:
                z = z - np.clip(size - self._radius(local / size, bumps=False) - 0.14, 0, 0.4)
                continue
            gap = size - self._radius(local / size)
            nearest = np.minimum(nearest, gap)
            move = 0.8 * np.clip(gap / np.clip(z / size, 0.4, 1), -0.2, 0.3)  # further where rays graze
            z = z - np.where(gap > 0.006, np.maximum(move, 0.045), move)  # rays that pass an ear closely must get on
        return z, nearest

    def _lit(self, local: Array, towards: Array, steps: int = 4) -> Array:
        """Share of the lamp that the head itself lets through."""
        lit = np.ones(local.shape[1:], np.float32)
        for step in range(1, steps + 1):
            reach = 0.08 * step
            point = local + towards[:, None] * np.float32(reach)
            size = np.sqrt((point * point).sum(0))
            lit = np.minimum(lit, np.clip(1 + (size - self._radius(point / size)) * np.float32(14 / step**0.5), 0.25, 1))
        return lit

    def _slopes(self, local: Array, surface: Array, step: float = 0.012) -> tuple[Array, Array]:
        """Gradient of the height along scene x and y at points where the surface is `surface` from the centre."""
        gradient = []
        for axis in range(3):
            moved = local.copy()
            moved[axis] += step
            size = np.sqrt((moved * moved).sum(0))
            gradient.append(size - self._radius(moved / size))
        size = np.sqrt((local * local).sum(0))
        here = size - surface
        g = np.stack([(part - here) / np.float32(step) for part in gradient])
        nx, ny, nz = (sum(self.turn[row, k] * g[k] for k in range(3)) for row in range(3))
        nz = np.maximum(nz, 0.12)
        return -nx / nz, -ny / nz

    def _surface(self, noise: SmoothNoise, d: Array, pixel: float, site: Placed | None) -> tuple[Array, Array, Array]:
        """Colour, fine relief and shine of what the directions d meet."""
        x, y, z = d
        skin = self.skin
        flat_x, flat_y = 0.6 * x + 0.35 * z, 0.6 * y - 0.2 * z  # a slanted projection: it folds where nobody looks
        colour = skin.albedo(noise, flat_x, flat_y, 0.6 * pixel)
        relief = skin.pores(noise, flat_x, flat_y, 0.6 * pixel)
        colour, lip = self._mouth(colour, d)
        colour = self._eyes(noise, colour, d, pixel)
        beard = smoothstep(-0.30, -0.45, y) * smoothstep(0.1, 0.3, z + 0.5 * np.abs(x)) * (1 - lip)
        rough = np.clip(0.6 + 0.5 * noise(flat_x, flat_y, 110.0, self.key + 1, octaves=1, pixel=pixel), 0, 1)
        colour = mix(colour, self.hair_colour + 0.3 * skin.tone, np.float32(0.7 * self.stubble) * beard * rough)
        shine = np.full(x.shape, skin.oil, np.float32) * (1 + 0.8 * np.exp(-(x / 0.2) ** 2)) + 0.12 * lip
        if site is not None:
            c, s = np.float32(np.cos(site.angle)), np.float32(np.sin(site.angle))
            u, v = c * (x - site.x) + s * (y - site.y), c * (y - site.y) - s * (x - site.x)
            colour, bump, wet = site.site.paint(noise, colour, u, v + 5 * (z < -0.05), pixel)
            relief, shine = relief + bump, shine + wet
        return self._crown(noise, colour, relief, shine, d, pixel)

    def _mouth(self, colour: Array, d: Array) -> tuple[Array, Array]:
        """Skin with warm cheeks and nose, nostrils and lips; and where the lips are."""
        x, y, z = d
        side, front = np.abs(x), smoothstep(0.05, 0.3, z)
        warm = np.exp(-((side - 0.42) / 0.2) ** 2 - ((y + 0.2) / 0.16) ** 2) + np.exp(-(x / 0.1) ** 2 - ((y + 0.18) / 0.09) ** 2)
        colour = colour * (1 - 0.35 * np.clip(warm, 0, 1) * front * (1 - linear(1.0, 0.78, 0.74)))
        full = 0.035 * np.sqrt(np.clip(1 - (x / 0.19) ** 2, 0, 1))
        lip = smoothstep(0.03, 0.015, np.abs(y + 0.45 + 0.02 * np.cos(9 * x)) - full) * (side < 0.19) * front
        colour = mix(colour, self.skin.tone * linear(0.95, 0.58, 0.58), np.float32(0.85 * self.lips) * lip)
        mouth = np.exp(-((y + 0.447 - 0.03 * x * x) / 0.009) ** 2) * smoothstep(0.19, 0.15, side) * front
        nostril = np.exp(-((side - 0.065) / 0.028) ** 2 - ((y + 0.235) / 0.016) ** 2) * front
        return colour * (1 - 0.75 * mouth) * (1 - 0.8 * nostril), lip

    def _eyes(self, noise: SmoothNoise, colour: Array, d: Array, pixel: float) -> Array:
        """Skin with closed eyes and brows."""
        x, y, z = d
        side, front = np.abs(x), smoothstep(0.05, 0.3, z)
        eye = side - 0.30
        lash = np.exp(-((y - 0.035 - 1.6 * eye * eye) / 0.011) ** 2) * smoothstep(0.115, 0.095, np.abs(eye)) * front
        lid = np.exp(-((y - 0.125 + 2.0 * eye * eye) / 0.010) ** 2) * smoothstep(0.13, 0.09, np.abs(eye)) * front
        strands = noise(0.6 * side + 0.4 * y, 0.15 * y, 60.0, self.key, octaves=2, pixel=0.3 * pixel)
        arch = np.abs(y - 0.245 + 1.0 * (side - 0.24) ** 2 + 0.05 * eye)
        brow = smoothstep(0.045, 0.015, arch) * smoothstep(0.22, 0.16, np.abs(side - 0.28)) * front
        dark = np.clip(0.85 * lash + 0.75 * brow * np.clip(0.75 + 0.5 * strands, 0, 1.3), 0, 0.95)
        return mix(colour * (1 - 0.3 * lid), self.hair_colour, dark)

    def _crown(self, noise: SmoothNoise, colour: Array, relief: Array, shine: Array, d: Array,
               pixel: float) -> tuple[Array, Array, Array]:
        """Hair or a cap over the skin."""
        x, y, z = d
        if self.hair == "bald":
            return colour, relief, shine
        waves = noise(x, z, 3.0, self.key + 2, octaves=2)
        temple = (1.1 if self.hair == "hair" else 0.55) * np.clip(np.abs(x) - 0.45, 0, 1)
        line = np.float32(self.hairline) + 0.03 * waves - temple + 1.4 * np.minimum(z + 0.2, 0)
        over = np.minimum(y - line, y + 0.05)
        if self.hair == "cap":
            cover = smoothstep(-0.006, 0.006, over)
            pleats = noise(np.arctan2(x, z + 0.4) * 1.2, 0.35 * y, 7.0, self.key + 3, octaves=3, pixel=pixel)
            band = np.exp(-((over - 0.035) / 0.022) ** 2)
            cloth = self.cap_colour * (1 + 0.07 * pleats - 0.15 * band)
            bump = 0.028 * np.sqrt(pleats * pleats + 0.05) * (1 - 0.8 * band) + 0.02 * smoothstep(0, 0.05, over)
            return mix(colour, cloth, cover), mix(relief, bump, cover), mix(shine, np.float32(0.05), cover)
        fall = np.arctan2(x, y + 0.2) * 1.4 + 0.25 * noise(x, y, 1.5, self.key + 4)
        strand = noise(fall, 0.12 * (y + z), 26.0, self.key + 5, octaves=3, pixel=0.7 * pixel)
        cover = smoothstep(-0.03, 0.05, over + 0.02 * strand)
        hair = self.hair_colour * np.clip(1 + 0.45 * strand, 0.2, 3)
        return mix(colour, hair, cover), relief + cover * 0.012 * strand, mix(shine, 0.08 * np.clip(1 + strand, 0, 2), cover)
