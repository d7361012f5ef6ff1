"""HTML reports parsed for tests."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from medrestore.report.html import write_report

VOID = {"meta", "link", "img", "input", "br", "path", "circle", "use", "rect"}


class Page(HTMLParser):
    """The elements of a page, in order, and whether each was closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def image(self, alt: str) -> np.ndarray:
        """The pixels of the one image so described; indices where it has a palette."""
        from PIL import Image

        (source,) = [attributes["src"] for attributes in self.all("img") if attributes.get("alt") == alt]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))))


def head(rng: np.random.RandomState, size: tuple[int, ...] = (32, 40)) -> np.ndarray:
    return np.abs(rng.standard_normal(size)).astype(np.float32)


def written(path: Path, **parts) -> str:
    write_report(path, **{"title": "A study", "summary": "It went well.", **parts})
    return path.read_text(encoding="utf-8")
