"""Many inputs one after the other, whatever happens to any of them.

`in_turn` does them in a process of their own: where one ends that process, another goes on behind it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeVar

from ..errors import InputError
from ..files import Busy
from .processes import Call, ProcessDied, over

Item = TypeVar("Item")
Message = tuple[Any, ...]


@dataclass(frozen=True)
class ItemBatch(Generic[Item]):
    """What one process is to do.

    Args:
        items: by name, in order.
        again: whether another process has died on the item before these.
    """

    items: Mapping[str, Item]
    again: bool = False


@dataclass(frozen=True)
class Reports:
    """In that process: what it tells the one that started it.

    Args:
        send: the third argument of the call, see `over`.
    """

    send: Callable[[Message], None]
    _bars: Iterator[int] = field(default_factory=count)

    def say(self, line: str) -> None:
        """A line for people."""
        self.send(("line", line))

    def progress(self, label: str, total: int) -> Callable[[], None]:
        """A progress bar."""
        number = next(self._bars)
        self.send(("bar", number, label, total))
        return lambda: self.send(("step", number))

    def begun(self, name: str) -> None:
        """An item is begun: if the process ends before the next one is, this one has ended it."""
        self.send(("begun", name))

    def failed(self, name: str, why: str) -> None:
        """An item has failed."""
        self.send(("failed", name, why))


@dataclass
class _Parent:
    """What was reported."""

    say: Callable[[str], None]
    progress: Callable[[str, int], Callable[[], None]]
    failed: dict[str, str] = field(default_factory=dict)
    begun: str | None = None
    bars: dict[int, Callable[[], None]] = field(default_factory=dict)

    def __call__(self, batch: ItemBatch[Any], message: Message) -> None:
        kind, *words = message
        if kind == "line":
            self.say(words[0])
        elif kind == "bar":
            self.bars[words[0]] = self.progress(*words[1:])
        elif kind == "step":
            self.bars[words[0]]()
        elif kind == "begun":
            self.begun = words[0]
        else:
            self.failed[words[0]] = words[1]


def one_by_one(items: Mapping[str, Item], work: Callable[[Item], object], say: Callable[[str], None],
               begun: Callable[[str], None] = lambda name: None,
               ended: Callable[[], None] = lambda: None) -> Iterator[tuple[str, str]]:
    """Does the items in this process; those that fail, by name with the reason, which is also said.

    One that another run is at is left alone.

    Args:
        items: by name, in order.
        work: does one; whatever it raises, the other items are not to blame.
        say: called with one line per event.
        begun: called with the name of an item before it is done.
        ended: called after each, done or not.
    """
    for name, item in items.items():
        begun(name)
        try:
            work(item)
            continue
        except Busy as busy:
            say(f"left alone: {busy}")
            continue
        except InputError as error:
            why = str(error)
        except Exception as error:
            why = f"{type(error).__name__}: {error}; do it alone to see more"
        finally:
            ended()
        say(f"failed: {name}: {why}")
        yield name, why


def in_turn(items: Mapping[str, Item], call: Call[ItemBatch[Item]], *, where: str, died: Callable[[str, ProcessDied], str],
            say: Callable[[str], None], progress: Callable[[str, int], Callable[[], None]]) -> dict[str, str]:
    """Does the items; those that failed, name to sentence.

    Args:
        items: by name, in order.
        call: does a `ItemBatch` of them, and reports by `Reports`; an error ends all. See `over`.
        where: what they are of, for messages.
        died: the sentence on an item that has ended the process.
        say, progress: called in this process with what is reported.

    Raises:
        InputError: of `call`, or a process cannot be started, or ends before it begins an item.
    """
    parent = _Parent(say, progress)

    def ended(batch: ItemBatch[Item], error: Exception | None) -> list[ItemBatch[Item]]:
        if not isinstance(error, ProcessDied):
            if error is not None:
                raise error
            return []
        if parent.begun is None:
            raise InputError(f"{where}: {error} before it could begin; see whether memory is short")
        name, parent.begun = parent.begun, None
        parent.failed[name] = died(name, error)
        say(f"failed: {parent.failed[name]}")
        names = list(batch.items)
        left = names[names.index(name) + 1 :]
        return [ItemBatch({one: batch.items[one] for one in left}, again=True)] if left else []

    over([ItemBatch(items)], call, workers=1, heard=parent, ended=ended)
    return parent.failed
