"""Files that a worker has open, by the numbers of whoever asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

Reply = tuple[Any, list[np.ndarray]]
Opened = TypeVar("Opened")


class OpenFiles(ABC, Generic[Opened]):
    """Open files of one kind."""

    def __init__(self) -> None:
        self._files: dict[int, Opened] = {}

    def answer(self, request: dict[str, Any]) -> Reply:
        """The value and the arrays that answer a request."""
        number = request["file"]
        if request["question"] == "close":
            return None, []
        if number not in self._files:
            self._files[number] = self._open(request["path"], locking=request["locking"])
        return self._questions()[request["question"]](number, **request["arguments"])

    def close(self, number: int) -> None:
        """Closes a file, if it is open."""
        if (file := self._files.pop(number, None)) is not None:
            self._close(file)

    @abstractmethod
    def _open(self, path: str, *, locking: bool) -> Opened:
        """Opens a file."""

    def _close(self, file: Opened) -> None:
        """Closes a file, of a kind that stays open between questions."""

    @abstractmethod
    def _questions(self) -> Mapping[str, Callable[..., Reply]]:
        """What can be asked, by name: called with the number of the file and the arguments."""
