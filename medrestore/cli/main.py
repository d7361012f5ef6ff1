"""`medrestore`: parses, runs, and says what went wrong in one sentence."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from ..allocator import keep_freed_memory
from ..errors import InputError
from . import compare, convert, demo, doctor, evaluate, inpaint, inspect, recon, train
from .config import plain
from .terminal import Help

COMMANDS = {
    "recon": recon, "inpaint": inpaint, "evaluate": evaluate, "compare": compare, "train": train, "convert": convert,
    "inspect": inspect, "doctor": doctor, "demo": demo,
}
NOTICE = "Research use only. Not a medical device. Not for diagnosis. Generative priors can invent anatomy."


def parser() -> ArgumentParser:
    """The whole command line."""
    top = ArgumentParser(
        prog="medrestore", description=f"Incomplete measurements in, images out. {NOTICE}", exit_on_error=False,
        formatter_class=Help, version=version("medrestore"),  # its subcommands take over the formatter
    )
    top.add_argument("--debug", action="store_true", help="show the traceback of an error; anywhere in the line")
    commands = top.add_subcommands(required=True, dest="command")
    for name, module in COMMANDS.items():
        commands.add_subcommand(name, module.parser(), help=module.__doc__.strip().splitlines()[0])
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1 when part of a folder failed, 2 for bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    command = next((word for word in arguments if word in COMMANDS), None)
    try:
        options: Namespace = parser().parse_args(_config_first([word for word in arguments if word != "--debug"]))
        keep_freed_memory()
        return COMMANDS[options.command].run(options[options.command])
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our lines has gone: no more of them, also at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:  # a mistake in the program, not in its input
            raise
        if debug:
            sys.excepthook(type(error), error, error.__traceback__)
        print(f"{'medrestore ' + command if command else 'medrestore'}: error: {sentence}", file=sys.stderr)
        return 2


def _config_first(arguments: list[str]) -> list[str]:
    """The same line with --config before the other options: flags win wherever they stand."""
    for at, word in enumerate(arguments):
        if word == "--config" or word.startswith("--config="):
            length = 1 if "=" in word else 2
            rest = arguments[:at] + arguments[at + length :]
            return rest[:1] + arguments[at : at + length] + rest[1:]
    return arguments


def _sentence(error: Exception) -> str | None:
    """What to tell people; None for a mistake of the program."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text
    if isinstance(error, ArgumentError):
        return plain(text)
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text:
        return "the memory is too small for this; draw fewer samples together (--batch-size 1) or use another --device"
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or text}; check that it can be read and written"
    return None


if __name__ == "__main__":
    sys.exit(main())
