"""Ten things to draw, each in many ways: what the sample pictures show.

Try it:  python -m workshop.data.drawings gallery.png
A shape gets a pencil and a random source and draws itself into the unit square, x to the right and y down,
centred on (0.5, 0.5). Knows nothing of size in pixels, place or background.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
DARK: Colour = (30, 26, 28)
WHITE: Colour = (246, 244, 238)


class Pencil:
    """Draws on a square image in units of its side, turned by an angle about the centre."""

    def __init__(self, image: Image.Image, centre: Point, scale: float, degrees: float) -> None:
        self._draw = ImageDraw.Draw(image)
        self._side = image.width
        self._centre = centre
        self._scale = scale
        self._sine, self._cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self._draw.polygon([self._place(point) for point in points], fill=colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        pixels = max(1, round(width * self._scale * self._side))
        self._draw.line([self._place(point) for point in points], fill=colour, width=pixels, joint="curve")

    def oval(
        self, x: float, y: float, width: float, height: float, colour: Colour, degrees: float = 0.0
    ) -> None:
        """An ellipse around (x, y); width and height are its diameters."""
        sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
        points = []
        for step in range(28):
            angle = 2 * math.pi * step / 28
            across, down = width / 2 * math.cos(angle), height / 2 * math.sin(angle)
            points.append((x + across * cosine - down * sine, y + across * sine + down * cosine))
        self.polygon(points, colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def _place(self, point: Point) -> Point:
        x, y = (point[0] - 0.5) * self._scale, (point[1] - 0.5) * self._scale
        turned = x * self._cosine - y * self._sine, x * self._sine + y * self._cosine
        return (self._centre[0] + turned[0]) * self._side, (self._centre[1] + turned[1]) * self._side


def colour(random: Random, darkest: int = 40, lightest: int = 230) -> Colour:
    return (
        random.randint(darkest, lightest),
        random.randint(darkest, lightest),
        random.randint(darkest, lightest),
    )


def shade(base: Colour, factor: float) -> Colour:
    red, green, blue = (max(0, min(255, round(value * factor))) for value in base)
    return red, green, blue


def around(random: Random, base: Colour, spread: int = 35) -> Colour:
    red, green, blue = (max(0, min(255, value + random.randint(-spread, spread))) for value in base)
    return red, green, blue


def ball(pencil: Pencil, random: Random) -> None:
    first, second = colour(random), colour(random)
    pencil.oval(0.5, 0.5, 0.8, 0.8, first)
    if random.random() < 0.5:
        pencil.oval(0.5, 0.5, random.uniform(0.15, 0.35), 0.8, second)
        pencil.line([(0.1, 0.5), (0.9, 0.5)], shade(second, 0.7), 0.04)
    else:
        for angle in range(0, 360, 72):
            x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            pencil.oval(0.5 + 0.26 * x, 0.5 + 0.26 * y, 0.17, 0.17, second)
    pencil.oval(0.38, 0.34, 0.14, 0.1, WHITE, -30)


def bird(pencil: Pencil, random: Random) -> None:
    body = colour(random)
    pencil.polygon([(0.28, 0.56), (0.02, 0.42), (0.06, 0.66)], shade(body, 0.7))
    pencil.oval(0.47, 0.56, 0.5, 0.34, body)
    pencil.oval(0.72, 0.38, 0.25, 0.25, body)
    pencil.polygon([(0.82, 0.34), (0.82, 0.44), (0.98, 0.4)], around(random, (225, 150, 40)))
    pencil.oval(0.75, 0.35, 0.06, 0.06, DARK)
    lift = random.uniform(-0.28, 0.16)
    pencil.polygon([(0.34, 0.5), (0.6, 0.52), (0.36, 0.56 + lift)], shade(body, 0.55))
    for x in (0.44, 0.54):
        pencil.line([(x, 0.7), (x - 0.02, 0.9)], DARK, 0.03)


def boat(pencil: Pencil, random: Random) -> None:
    hull, sail = colour(random), around(random, WHITE, 60)
    pencil.line([(0.5, 0.08), (0.5, 0.7)], shade(hull, 0.5), 0.04)
    pencil.polygon([(0.54, 0.1), (0.54, 0.6), (random.uniform(0.75, 0.92), 0.6)], sail)
    if random.random() < 0.7:
        pencil.polygon([(0.46, 0.16), (0.46, 0.6), (random.uniform(0.12, 0.3), 0.6)], shade(sail, 0.8))
    pencil.polygon([(0.06, 0.68), (0.94, 0.68), (0.78, 0.9), (0.22, 0.9)], hull)
    pencil.line([(0.0, 0.93), (1.0, 0.93)], around(random, (60, 110, 180)), 0.07)


def car(pencil: Pencil, random: Random) -> None:
    body, roof = colour(random), random.uniform(0.2, 0.34)
    left, right = random.uniform(0.2, 0.3), random.uniform(0.66, 0.8)
    pencil.polygon([(left - 0.1, 0.5), (left + 0.04, roof), (right - 0.06, roof), (right + 0.1, 0.5)], body)
    pencil.polygon(
        [(left, 0.48), (left + 0.07, roof + 0.05), (0.48, roof + 0.05), (0.48, 0.48)], (170, 205, 225)
    )
    pencil.polygon(
        [(0.53, 0.48), (0.53, roof + 0.05), (right - 0.08, roof + 0.05), (right, 0.48)], (170, 205, 225)
    )
    pencil.box(0.03, 0.48, 0.97, 0.72, shade(body, 0.9))
    for x in (0.24, 0.76):
        pencil.oval(x, 0.74, 0.22, 0.22, DARK)
        pencil.oval(x, 0.74, 0.1, 0.1, (165, 165, 170))


_FURS: tuple[Colour, ...] = ((214, 138, 62), (96, 90, 88), (44, 40, 42), (226, 218, 206), (134, 100, 70))


def cat(pencil: Pencil, random: Random) -> None:
    fur = around(random, random.choice(_FURS), 22)
    ear, wide = random.uniform(0.02, 0.14), random.uniform(0.7, 0.84)
    left, right = 0.5 - wide / 2, 0.5 + wide / 2
    for outer, inner in ((left + 0.01, 0.44), (right - 0.01, 0.56)):
        pencil.polygon([(outer, 0.52), (outer + (0.5 - outer) * 0.12, ear), (inner, 0.28)], fur)
        middle = outer + (0.5 - outer) * 0.3
        tip = outer + (0.5 - outer) * 0.17, ear + 0.1
        pencil.polygon([(middle - 0.04, 0.36), tip, (middle + 0.08, 0.3)], (216, 150, 150))
    pencil.oval(0.5, 0.56, wide, 0.66, fur)
    if random.random() < 0.5:
        for x in (0.42, 0.5, 0.58):
            pencil.line([(x, 0.24), (0.5 + (x - 0.5) * 0.8, 0.36)], shade(fur, 0.55), 0.035)
    _cat_features(pencil, random, fur)


def _cat_features(pencil: Pencil, random: Random, fur: Colour) -> None:
    eyes, gaze = (
        around(random, random.choice(((120, 190, 70), (225, 190, 60), (90, 160, 210)))),
        random.uniform(-1, 1),
    )
    for x in (0.34, 0.66):
        pencil.oval(x, 0.5, 0.18, random.uniform(0.1, 0.17), eyes)
        pencil.oval(x + 0.02 * gaze, 0.5, 0.055, 0.14, DARK)
    pencil.oval(0.5, 0.7, 0.3, 0.2, shade(fur, 1.25))
    pencil.polygon([(0.45, 0.62), (0.55, 0.62), (0.5, 0.69)], (205, 110, 115))
    pencil.line([(0.42, 0.75), (0.5, 0.7), (0.58, 0.75)], DARK, 0.022)
    whiskers = WHITE if sum(fur) < 330 else DARK
    for side in (-1, 1):
        for drop in (-0.05, 0.02, 0.09):
            pencil.line([(0.5 + side * 0.15, 0.69), (0.5 + side * 0.47, 0.68 + drop)], whiskers, 0.016)


def fish(pencil: Pencil, random: Random) -> None:
    body, height = colour(random), random.uniform(0.3, 0.5)
    pencil.polygon([(0.3, 0.5), (0.03, 0.28), (0.03, 0.74)], shade(body, 0.75))
    pencil.polygon([(0.42, 0.5), (0.54, 0.5 - height), (0.66, 0.5)], shade(body, 0.65))
    pencil.oval(0.56, 0.5, 0.74, height, body)
    if random.random() < 0.6:
        for x in (0.45, 0.58, 0.71):
            pencil.line([(x, 0.5 - height * 0.36), (x, 0.5 + height * 0.36)], shade(body, 0.6), 0.04)
    pencil.oval(0.8, 0.46, 0.1, 0.1, WHITE)
    pencil.oval(0.81, 0.46, 0.05, 0.05, DARK)


def flower(pencil: Pencil, random: Random) -> None:
    petals, petal = random.choice((5, 6, 8)), colour(random, 90, 250)
    pencil.line([(0.5, 0.45), (0.5 + random.uniform(-0.08, 0.08), 0.99)], (60, 130, 50), 0.05)
    if random.random() < 0.7:
        pencil.oval(0.62, 0.82, 0.24, 0.1, (70, 145, 60), -30)
    for number in range(petals):
        degrees = 360 * number / petals
        x, y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        pencil.oval(0.5 + 0.21 * x, 0.38 + 0.21 * y, 0.28, 0.16, petal, degrees)
    pencil.oval(0.5, 0.38, 0.19, 0.19, around(random, (235, 195, 50)))


def house(pencil: Pencil, random: Random) -> None:
    wall, roof = around(random, (205, 180, 150), 50), colour(random, 40, 190)
    if random.random() < 0.6:
        pencil.box(0.66, 0.12, 0.78, 0.4, shade(roof, 0.6))
    pencil.box(0.16, 0.44, 0.84, 0.92, wall)
    pencil.polygon([(0.06, 0.46), (0.5, random.uniform(0.06, 0.2)), (0.94, 0.46)], roof)
    door = random.choice((0.26, 0.44, 0.6))
    pencil.box(door, 0.64, door + 0.15, 0.92, shade(roof, 0.55))
    for x in (0.24, 0.46, 0.66):
        if abs(x - door) > 0.12:
            pencil.box(x, 0.54, x + 0.13, 0.68, (150, 190, 215))


def sun(pencil: Pencil, random: Random) -> None:
    disc, rays = around(random, (245, 200, 50), 30), random.choice((8, 10, 12))
    long, wide = random.uniform(0.42, 0.5), random.uniform(6, 11)
    for number in range(rays):
        degrees = 360 * number / rays
        points = [(0.3, degrees - wide), (long, degrees), (0.3, degrees + wide)]
        pencil.polygon(
            [(0.5 + r * math.cos(math.radians(a)), 0.5 + r * math.sin(math.radians(a))) for r, a in points],
            shade(disc, 0.92),
        )
    pencil.oval(0.5, 0.5, 0.54, 0.54, disc)


def tree(pencil: Pencil, random: Random) -> None:
    leaf = around(random, (70, 140, 60), 45)
    pencil.box(0.45, 0.58, 0.55, 0.97, around(random, (110, 75, 45), 20))
    if random.random() < 0.5:
        for top, wide in ((0.34, 0.36), (0.18, 0.3), (0.03, 0.22)):
            pencil.polygon(
                [(0.5, top), (0.5 - wide, top + 0.38), (0.5 + wide, top + 0.38)], shade(leaf, 0.9 + top / 3)
            )
    else:
        for x, y in ((0.36, 0.46), (0.64, 0.46), (0.5, 0.28), (0.5, 0.5)):
            pencil.oval(x, y, 0.42, 0.42, shade(leaf, random.uniform(0.8, 1.2)))


SHAPES: dict[str, Callable[[Pencil, Random], None]] = {
    shape.__name__: shape for shape in (ball, bird, boat, car, cat, fish, flower, house, sun, tree)
}
