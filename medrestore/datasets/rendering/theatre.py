"""One scene of an operating room: what was drawn for it, where the camera is, and what it sees without instruments."""

import numpy as np

from .cloth import CLOTHS, Cloth
from .obstructions import draw_obstructions
from .patient import PatientHead, Placed, Site, Skin
from .tools import Array, Canvas, Light, SceneView, SmoothNoise, ellipse, linear, mix, rounded_box, smoothstep

FRAME_RATE = 25.0  # frames per second
FLOORS = ((0.30, 0.36, 0.36), (0.22, 0.30, 0.33), (0.38, 0.37, 0.33), (0.16, 0.20, 0.24))
TUBES = ((0.75, 0.78, 0.74), (0.12, 0.12, 0.13), (0.55, 0.68, 0.62), (0.70, 0.70, 0.60))
MARGIN = 0.02  # scene units that a hole reaches beyond what hides: the contact shadow lies there


class Theatre:
    """A scene, a pure function of (seed, number).

    Attributes:
        moving: whether the camera moves.
        focus: where in the scene the work is done, (x, y).
    """

    def __init__(self, seed: int, number: int) -> None:
        rng = np.random.default_rng((seed, number))
        self.noise = SmoothNoise(np.random.default_rng((seed, number, 1)))
        self.view_of_head = bool(rng.uniform() < 0.68)
        self.feet = float(rng.choice([np.pi / 2, np.pi / 2, 0.0, np.pi]) + rng.uniform(-0.35, 0.35))
        self.moving = bool(rng.uniform() < 0.5)
        self._camera = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.25, 0.7, 4), rng.uniform(0.01, 0.06, 4)
        self._pose = rng.uniform(-0.12, 0.12, 2), rng.uniform(0.88, 1.25), rng.uniform(-0.15, 0.15), rng.uniform(-0.10, 0.16)
        self.exposure, self.vignette = rng.uniform(1.4, 2.1), rng.uniform(0.2, 0.6)
        self._draw_light(rng)
        self._floor = linear(*FLOORS[rng.integers(len(FLOORS))])
        self._table_width = rng.uniform(0.95, 1.7)
        self._rail = rng.uniform(0.035, 0.06)
        self._things = [(tuple(rng.uniform(-2, 2, 2)), rng.uniform(0.12, 0.45), linear(*rng.uniform(0.05, 0.75, 3)))
                        for _ in range(7)]
        self._draw_drapes(rng)
        if self.view_of_head:
            self._draw_head(rng)
        else:
            self._draw_torso(rng)
        self._obstructions = draw_obstructions(np.random.default_rng((seed, number, 2)), self.focus, float(self._pose[1]))

    def _draw_light(self, rng: np.random.Generator) -> None:
        azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.15)
        towards = (float(np.cos(azimuth) * np.cos(height)), float(np.sin(azimuth) * np.cos(height)), float(np.sin(height)))
        warmth = rng.uniform(-0.06, 0.09)
        colour = (np.array([1 + warmth, 1.0, 1 - 1.3 * warmth]) * rng.uniform(0.9, 1.25)).astype(np.float32).reshape(3, 1, 1)
        self.light = Light(towards, tuple(rng.uniform(-0.35, 0.35, 2)), rng.uniform(0.6, 1.2), colour, rng.uniform(0.14, 0.30),
                           rng.uniform(0.10, 0.40))

    def _draw_drapes(self, rng: np.random.Generator) -> None:
        main = CLOTHS[rng.integers(len(CLOTHS))]
        other = CLOTHS[rng.integers(len(CLOTHS))] if rng.uniform() < 0.4 else main
        self._sheet = Cloth.drawn(rng, other if rng.uniform() < 0.5 else (0.78, 0.80, 0.80), depth=(0.02, 0.06))
        self._drapes = [Cloth.drawn(rng, main if k < 2 else other) for k in range(4)]
        self._swabs = [(rng.uniform(-1, 1, 2), rng.uniform(0.10, 0.22, 2), rng.uniform(0, np.pi),
                        Cloth.drawn(rng, (0.88, 0.87, 0.83), depth=(0.01, 0.03))) for _ in range(rng.integers(4))]
        self._tubes = [(rng.uniform(-0.5, 0.5), rng.uniform(0.05, 0.3), rng.uniform(0.8, 2.0), rng.uniform(0, 6),
                        rng.uniform(0.012, 0.035), linear(*TUBES[rng.integers(len(TUBES))])) for _ in range(rng.integers(3))]
        self._edges = [(rng.uniform(-0.15, 0.15), int(rng.integers(1000))) for _ in range(4)]

    def _draw_head(self, rng: np.random.Generator) -> None:
        radius = rng.uniform(0.55, 0.95)
        back = rng.uniform(0.0, 0.3)
        x, y = rng.uniform(-0.3, 0.3) - back * np.cos(self.feet), rng.uniform(-0.12, 0.12) - back * np.sin(self.feet)
        centre = float(x), float(y)
        self.head = PatientHead.drawn(rng, centre, radius, self.feet)
        self._body_side = radius * 1.1
        colour = CLOTHS[rng.integers(len(CLOTHS))] if rng.uniform() < 0.5 else (0.80, 0.82, 0.82)
        self._pillow = Cloth.drawn(rng, colour, depth=(0.015, 0.04))
        self._ring = bool(rng.uniform() < 0.3)
        self._collar = radius * rng.uniform(1.0, 1.35)
        self._turban = radius * rng.uniform(0.35, 0.75) if rng.uniform() < 0.45 else None
        self._flanks = [side for side in (-1, 1) if rng.uniform() < 0.3]
        self._flank = radius * rng.uniform(0.55, 0.9)
        x, y, angle = rng.uniform(-0.5, 0.5), rng.uniform(-0.65, 0.35), rng.uniform(0, np.pi)
        site = Placed(Site.drawn(rng, rng.uniform(0.14, 0.30)), float(x), float(y), float(angle))
        self._cut = site if rng.uniform() < 0.5 else None
        self.focus = (centre[0] + 0.3 * radius * float(rng.uniform(-1, 1)), centre[1] + 0.3 * radius * float(rng.uniform(-1, 1)))

    def _draw_torso(self, rng: np.random.Generator) -> None:
        self._skin = Skin.drawn(rng)
        self.focus = (float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.2, 0.2)))
        self._open = rng.uniform(0.55, 1.05), rng.uniform(0.40, 0.70)
        self._body_side = max(self._open)
        self._turned = float(self.feet + rng.uniform(-0.3, 0.3))
        self._round = bool(rng.uniform() < 0.4)
        self._belly = rng.uniform(0.25, 0.6), rng.uniform(0.9, 1.5)
        self._navel = (float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.15, 0.15))) if rng.uniform() < 0.6 else None
        self._site = Site.drawn(rng, rng.uniform(0.25, 0.5))
        self._patch = bool(rng.uniform() < 0.5)

    def view(self, frame: int, size: tuple[int, int]) -> SceneView:
        """What the camera looks at in a frame of `size` (height, width)."""
        (x, y), zoom, angle, tilt = self._pose
        if self.moving:
            phase, rate, reach = self._camera
            sway = reach * np.sin(phase + rate * frame / FRAME_RATE)
            x, y, zoom, angle = x + sway[0], y + sway[1], zoom * (1 + sway[2]), angle + sway[3]
        return SceneView.through(size, centre=(float(x), float(y)), zoom=float(zoom), angle=float(angle), tilt=float(tilt))

    def patient(self, view: SceneView) -> Canvas:
        """The view with nothing in front of the patient."""
        canvas = Canvas.blank(view, self.light)
        self._lay_room(canvas)
        (self._lay_head if self.view_of_head else self._lay_torso)(canvas)
        self._lay_loose(canvas)
        return canvas

    def obstruct(self, patient: Canvas, frame: int) -> tuple[Canvas, Array]:
        """The view with hands and instruments in front, and where they and MARGIN around them hide it, (height, width) bool."""
        canvas, hidden = patient.copy(), np.zeros(patient.view.x.shape, bool)
        margin = max(MARGIN, 2 * patient.view.pixel)
        for obstruction in self._obstructions:
            hidden |= obstruction.lay(canvas, self.noise, frame / FRAME_RATE, margin) < margin
        return canvas, hidden

    def picture(self, canvas: Canvas) -> Array:
        """What this scene's camera makes of a canvas: display values, (3, height, width) in [0, 1]."""
        return canvas.picture(exposure=self.exposure, vignette=self.vignette)

    def _lay_room(self, canvas: Canvas) -> None:
        """Floor and equipment out of focus, the table's rail, its sheet."""
        view = canvas.view
        blur = self.noise(view.x, view.y, 1.1, 90, octaves=2)
        floor = self._floor * (0.35 + 0.08 * blur)
        for (x, y), radius, colour in self._things:
            away = rounded_box(view.x - x, view.y - y, radius, 0.7 * radius, 0.1)
            floor = mix(floor, 0.5 * colour, smoothstep(0.12, -0.12, away))
        flat = np.zeros_like(view.x)
        canvas.lay(np.ones_like(flat), floor, (flat, flat))
        along, across = view.local((0, 0), self.feet)
        edge = np.abs(across) - np.float32(self._table_width)
        rail = np.abs(edge - np.float32(0.03 + self._rail)) - np.float32(self._rail)
        bulge = np.sqrt(np.clip(1 - ((edge - 0.03 - self._rail) / self._rail) ** 2, 0.02, 1)) * np.float32(self._rail)
        canvas.shadow(edge - 0.06 - 2 * self._rail, 0.15, 0.6)
        brushed = 1 + 0.06 * self.noise(0.1 * along, across, 60.0, 91, pixel=view.pixel)
        canvas.lay(view.cover(rail), linear(0.55, 0.57, 0.58) * brushed, view.slopes(bulge), shine=0.9, gloss=4.0)
        self._sheet.lay(canvas, self.noise, edge, hem=0.06)

    def _lay_loose(self, canvas: Canvas) -> None:
        """Swabs, tubes and cables on the drapes, away from where the work is done."""
        view = canvas.view
        body = self._body_side
        for (along, across), (half_u, half_v), angle, cloth in self._swabs:
            reach = body + 0.25 + 0.35 * abs(along)
            aside = self.feet + 0.9 * across
            centre = (self.focus[0] + reach * np.cos(aside), self.focus[1] + reach * np.sin(aside))
            box = view.around(centre, 0.45)
            if box is None:
                continue
            u, v = view.crop(box).local(centre, angle)
            distance = rounded_box(u, v, half_u, half_v, 0.02) + 0.01 * self.noise(u, v, 6.0, cloth.key)
            cloth.lay(canvas.crop(box), self.noise, distance, under=0.02 * smoothstep(0, -0.04, distance), hem=0.02)
        u, v = view.local(self.focus, self.feet + np.pi / 2)
        for shift, swing, rate, phase, radius, colour in self._tubes:
            slope = swing * rate * np.cos(rate * u + phase)
            away = (v + body + 0.3 + 0.5 * abs(shift) - swing * np.sin(rate * u + phase)) / np.sqrt(1 + slope * slope)
            height = np.sqrt(np.clip(radius**2 - away * away, 0.05 * radius**2, None))
            distance = np.abs(away) - np.float32(radius)
            canvas.shadow(distance - 0.01, 0.04, 0.6)
            canvas.lay(view.cover(distance), colour * np.ones_like(u), view.slopes(height), shine=0.5, gloss=5.0)

    def _fall(self, view: SceneView, number: int, centre: tuple[float, float], direction: float, away: float) -> Array:
        """Signed distance to the edge of a drape that lies `away` from a point and beyond, in a direction."""
        turn, key = self._edges[number]
        along, across = view.local(centre, direction + turn)
        wave = 0.05 * self.noise(across, 0 * across, 0.9, key) + 0.012 * self.noise(across, 0 * across, 4.0, key, octaves=2)
        return np.float32(away) - along + wave

    def _lay_head(self, canvas: Canvas) -> None:
        view, head = canvas.view, self.head
        radius, centre, lean = head.radius, head.centre, self.light.towards
        along, across = view.local(centre, self.feet)
        pillow = rounded_box(along + 0.15 * radius, across, 1.45 * radius, 1.75 * radius, 0.5 * radius)
        if self._ring:
            pillow = np.abs(ellipse(along, across, 1.12 * radius, 1.05 * radius)) - 0.28 * radius
        puff = np.float32(0.35 * radius) * (1 - np.exp(np.minimum(pillow, 0) / np.float32(0.22 * radius)))
        self._pillow.lay(canvas, self.noise, pillow, under=puff, hem=0.04)
        self._lay_neck(canvas, along, across)
        sag = view.local((centre[0] - 0.30 * radius * lean[0], centre[1] - 0.30 * radius * lean[1]), self.feet)
        canvas.shadow(ellipse(*sag, 1.12 * radius, 0.92 * radius), 0.25 * radius, 0.7)
        head.lay(canvas, self.noise, self._cut)
        body = self._mound(along - 2.1 * radius, across, 1.3 * radius, 1.6 * radius)
        for side in self._flanks:
            distance = self._fall(view, 2 + (side > 0), centre, self.feet + side * np.pi / 2, self._flank)
            self._drapes[3 if side > 0 else 2].lay(canvas, self.noise, distance, under=self._mound(along, across, radius, radius))
        self._drapes[0].lay(canvas, self.noise, self._fall(view, 0, centre, self.feet, self._collar), under=body)
        if self._turban is not None:
            distance = self._fall(view, 1, centre, self.feet + np.pi, self._turban)
            self._drapes[1].lay(canvas, self.noise, distance, under=0.8 * self._mound(along, across, 1.1 * radius, 0.95 * radius))

    def _lay_neck(self, canvas: Canvas, along: Array, across: Array) -> None:
        radius, skin, view = self.head.radius, self.head.skin, canvas.view
        wide = np.float32(radius) * (0.42 + 0.9 * smoothstep(1.05 * radius, 1.8 * radius, along))
        distance = np.abs(across) - wide
        round_ = np.sqrt(np.clip(1 - (across / wide) ** 2, 0.01, 1)) * np.float32(0.42 * radius)
        off = np.abs(across) / radius - 0.34 + 0.12 * along / radius
        cord = np.float32(0.03 * radius) * np.exp(-(off / 0.06) ** 2)
        cover = view.cover(np.maximum(distance, -along))
        canvas.shadow(distance, 0.12 * radius, 0.5)
        colour = skin.albedo(self.noise, view.x, view.y, view.pixel)
        relief = round_ + cord + skin.pores(self.noise, view.x, view.y, view.pixel)
        canvas.lay(cover, colour, view.slopes(relief), shine=skin.oil, soft=1.0)

    @staticmethod
    def _mound(u: Array, v: Array, half_u: float, half_v: float) -> Array:
        """The height of a body under cloth."""
        return np.float32(0.55 * min(half_u, half_v)) * np.exp(-((u / half_u) ** 2) - (v / half_v) ** 2)

    def _lay_torso(self, canvas: Canvas) -> None:
        view, skin = canvas.view, self._skin
        u, v = view.local(self.focus, self._turned)
        tall, wide = self._belly
        body = np.float32(tall) * np.exp(-((u / 2.2) ** 2) - (v / wide) ** 2)
        colour = skin.albedo(self.noise, view.x, view.y, view.pixel)
        ribs = 0.012 * np.sin(9 * u + 3 * np.abs(v)) * smoothstep(0.1, -0.8, u)
        relief = body + ribs + 0.03 * self.noise(view.x, view.y, 1.2, 92, octaves=2)
        relief = relief + skin.pores(self.noise, view.x, view.y, view.pixel)
        if self._navel is not None:
            away = np.hypot(u - self._navel[0], 1.3 * (v - self._navel[1]))
            relief = relief - 0.05 * np.exp(-(away / 0.05) ** 2) + 0.015 * np.exp(-((away - 0.09) / 0.03) ** 2)
            colour = colour * (1 - 0.55 * np.exp(-(away / 0.035) ** 2))
        colour, bump, wet = self._site.paint(self.noise, colour, u, v, view.pixel)
        canvas.lay(np.ones_like(u), colour, view.slopes(relief + bump), shine=skin.oil + wet, gloss=5.0, soft=1.0)
        half_u, half_v = self._open
        if self._round:
            distance = -ellipse(u, v, half_u, half_v) + 0.03 * self.noise(u, v, 2.5, self._edges[0][1], octaves=2)
            self._drapes[0].lay(canvas, self.noise, distance, under=body)
            return
        edges = ((0.0, half_u), (np.pi, half_u), (np.pi / 2, half_v), (-np.pi / 2, half_v))
        for number, (direction, reach) in enumerate(edges):
            distance = self._fall(view, number, self.focus, self._turned + direction, reach)
            self._drapes[number].lay(canvas, self.noise, distance, under=body)
