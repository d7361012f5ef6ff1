"""Rendered scenes for tests."""

from medrestore.datasets.rendering.theatre import Theatre

SIZE = (54, 96)


def theatres(count: int) -> list[Theatre]:
    return [Theatre(0, number) for number in range(count)]
