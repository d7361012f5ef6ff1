"""Files that a `with` block closes."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Something that is open, as a context manager: closed at the end of the block."""

    @abstractmethod
    def close(self) -> None:
        """Closes what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
