"""What the pickle of a checkpoint would do, followed opcode by opcode before anything of it is done.

torch's reader of weights calls no code of strangers, but a few hundred bytes still ask it for gigabytes (`bytearray(2 * 10**9)`,
`torch.FloatStorage(10**9)`) or for hours (a tuple of tuples of tuples as a key, whose hash doubles with every level).
Format: `pickletools` of the standard library. Only what torch's reader knows is followed; the rest it refuses itself.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

LARGEST = 64 * 2**20  # bytes of a pickle without its tensors; real ones have a few megabytes
MOST_STEPS = 4_000_000  # opcodes; a tensor takes some 25
MOST_PARTS = 1_000_000  # of a tuple, with all that lies in it
MAKERS = {  # what may be called: rebuilds tensors of stored bytes, or holds what is handed to it
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage", "torch._tensor._rebuild_from_type_v2", "torch.Size", "torch.device",
    "torch.serialization._get_layout", "collections.OrderedDict", "collections.Counter",
    "argparse.Namespace", "_codecs.encode", "builtins.set", "builtins.complex", "builtins.bytearray", "__builtin__.set",
    "__builtin__.complex", "__builtin__.bytearray",
}
INDIRECT = "torch._tensor._rebuild_from_type_v2"  # calls its first argument
WHOLE = {"BININT", "BININT1", "BININT2", "LONG1"}
PUT, GET = {"BINPUT", "LONG_BINPUT", "PUT"}, {"BINGET", "LONG_BINGET", "GET"}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
ATOMS = {"NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"}
POPS = {"APPEND": 1, "SETITEM": 2, "BUILD": 1}  # and leave what they change
TO_MARK = {"APPENDS", "SETITEMS"}


class RefusedPickle(Exception):
    """A pickle that asks for what no file of weights needs, or is none."""


class Code(RefusedPickle):
    """A pickle that would call what is no maker of tensors or of plain data."""


@dataclass(frozen=True)
class _Value:
    """What stands on the stack: a name of a callable, a whole number, or a tuple of others."""

    name: str = ""
    number: int | None = None
    parts: tuple[_Value, ...] = ()
    size: int = 1


ATOM = _Value()


def check_pickle(file: IO[bytes], *, bytes_stored: int) -> None:
    """Follows one pickle from where `file` stands to its end.

    Args:
        bytes_stored: of the whole checkpoint; no storage may declare more numbers than that.

    Raises:
        Code: it calls what is not in `MAKERS`.
        Refused: it is damaged, too long, or would take time or memory that nothing in the file stands for.
    """
    try:
        _follow(_pickle_steps(file), bytes_stored)
    except (ValueError, IndexError, KeyError, UnicodeError, OverflowError) as error:
        raise RefusedPickle(f"its pickle is damaged ({error})") from error


def _pickle_steps(file: IO[bytes]) -> Iterator[tuple[str, object]]:
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count >= MOST_STEPS:
            raise RefusedPickle(f"it takes more than {MOST_STEPS} steps to read, more than any known checkpoint")
        yield opcode.name, argument


def _follow(steps: Iterator[tuple[str, object]], bytes_stored: int) -> None:
    stack: list[_Value] = []
    below: list[list[_Value]] = []  # the stacks under each mark
    memo: dict[object, _Value] = {}
    for name, argument in steps:
        if name == "MARK":
            below.append(stack)
            stack = []
        elif name in TO_MARK or name == "TUPLE":
            inside, stack = stack, below.pop()
            if name == "TUPLE":
                stack.append(_tuple_of(inside))
        elif name in TUPLES:
            count = TUPLES[name]
            inside = [stack.pop() for _ in range(count)][::-1]
            stack.append(_tuple_of(inside))
        elif name in PUT:
            memo[argument] = stack[-1]
        elif name in GET:
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_Value(name=str(argument).replace(" ", ".", 1)))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, called = stack.pop(), stack.pop()
            _check_call(called, arguments)
            stack.append(ATOM)
        elif name == "BINPERSID":
            _check_storage(stack.pop(), bytes_stored)
            stack.append(ATOM)
        elif name in POPS:
            del stack[len(stack) - POPS[name]:]
        elif name in ATOMS:
            stack.append(ATOM)
        elif name in WHOLE and isinstance(argument, int):
            stack.append(_Value(number=argument))
        elif name not in ("PROTO", "STOP"):
            return  # torch's reader stops here with an error


def _tuple_of(inside: list[_Value]) -> _Value:
    size = 1 + sum(value.size for value in inside)
    if size > MOST_PARTS:
        raise RefusedPickle(f"it nests tuples of more than {MOST_PARTS} parts, which no known checkpoint does")
    return _Value(parts=tuple(inside), size=size)


def _check_call(called: _Value, arguments: _Value) -> None:
    """Refuses callables that are no makers, also one layer down, and those that are asked for empty bytes by number."""
    if called.name not in MAKERS:
        raise Code(called.name or "something")
    first = arguments.parts[0] if arguments.parts else ATOM
    if called.name == INDIRECT and first.name not in MAKERS - {INDIRECT}:
        raise Code(first.name or "something")
    made = first.name if called.name == INDIRECT else called.name
    if made.endswith("bytearray") and (first.number is not None or called.name == INDIRECT):
        raise RefusedPickle(f"it asks for {first.number or 'some'} empty bytes that nothing in it fills")


def _check_storage(place: _Value, bytes_stored: int) -> None:
    """Refuses a storage of more numbers than the file has bytes: ("storage", kind, key, device, numbers, ...)."""
    numbers = place.parts[4].number if len(place.parts) > 4 else None
    if numbers is not None and not 0 <= numbers <= bytes_stored:
        raise RefusedPickle(f"it declares a tensor of {numbers} numbers in {bytes_stored} bytes")
