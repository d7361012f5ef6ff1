"""Files that get their name when they are whole, and leave nothing when they are not."""

from abc import ABC, abstractmethod
from typing import Self


class Unfinished(ABC):
    """A writer to be used as a context manager: closed at the end of the block, discarded when the block fails."""

    @abstractmethod
    def close(self) -> None:
        """Ends the file and gives it its name."""

    @abstractmethod
    def discard(self) -> None:
        """Closes and removes what was written so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()
