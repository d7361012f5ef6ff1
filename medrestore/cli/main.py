"""`medrestore`: parses, runs, and reports what went wrong in one sentence."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from ..allocator import is_out_of_memory, keep_freed_memory
from ..errors import InputError
from ..plugins import GROUPS, installed
from ..settings import suggested
from . import (
    compare,
    completion,
    convert,
    degrade,
    demo,
    doctor,
    evaluate,
    generate,
    inpaint,
    inspect,
    recon,
    restore,
    serve,
    train,
)
from .command import Command
from .signals import exit_code, stoppable
from .terminal import NOTICE, complain, settle_lines, settle_streams

VERBOSE, QUIET = ("-v", "--verbose"), ("-q", "--quiet")
COMMANDS: dict[str, Command[Any]] = {module.COMMAND.name: module.COMMAND for module in (
    recon, inpaint, restore, degrade, generate, evaluate, compare, train, convert, inspect, doctor, demo, serve, completion)}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1 when part of a folder failed, 2 for bad input."""
    settle_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    debug, words = "--debug" in words, [word for word in words if word != "--debug"]
    settle_lines(_detail(words))
    words = [word for word in words if word not in (*VERBOSE, *QUIET)]
    command = COMMANDS.get(words[0]) if words else None
    try:
        if command is None:
            return _without_command(words)
        options = command.parse(words[1:])
        keep_freed_memory()
        with stoppable():
            return command.run(options)
    except KeyboardInterrupt as stop:
        complain("stopped")
        return exit_code(stop)
    except BrokenPipeError:  # whoever read our lines has gone: no more of them, also at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        sentence = _sentence(error, command)
        if sentence is None:  # a mistake in the program, not in its input
            raise
        if debug:
            sys.excepthook(type(error), error, error.__traceback__)
        complain(f"{'medrestore' if command is None else f'medrestore {command.name}'}: error: {sentence}")
        return 2
    finally:
        settle_lines()


def _detail(words: Sequence[str]) -> str:
    """How much is said: of two that exclude each other the last one counts, as with other programs."""
    given = [word for word in words if word in (*VERBOSE, *QUIET)]
    return "normal" if not given else "verbose" if given[-1] in VERBOSE else "quiet"


def _without_command(words: Sequence[str]) -> int:
    """Help and the version; anything else is refused."""
    if words and words[0] in ("-h", "--help"):
        print(help_text())
        return 0
    if words and words[0] == "--version":
        print(f"medrestore {version('medrestore')}")
        return 0
    if not words:
        raise InputError(f"give a command, one of {', '.join(COMMANDS)}; see medrestore --help")
    raise InputError(f"there is no command {words[0]!r}; {suggested('', words[0], COMMANDS)}")


def help_text() -> str:
    """The help of the whole command line."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}s}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join([
        "usage: medrestore COMMAND [options]", "", f"Incomplete measurements in, images out. {NOTICE}", "",
        "commands:", *lines, *_plugin_lines(), "", "options:",
        "  -h, --help   show this help, or after a command the help of that",
        "  --version    show the version", "  --debug      show the traceback of an error; anywhere in the line",
        "  -v, --verbose  also say what the library does by the way; anywhere in the line",
        "  -q, --quiet  say only results that were asked for, warnings and errors; anywhere in the line"])


def _plugin_lines() -> list[str]:
    """What other packages add to the commands."""
    found = [one for group in GROUPS for one in installed(group).values()]
    lines = [f"  {one.name:12s}  {one.kind.removesuffix('s')} of {one.package}" for one in found]
    return ["", "plugins:", *lines] if lines else []


def _sentence(error: Exception, command: Command[Any] | None) -> str | None:
    """What to tell people; None for a mistake of the program."""
    if isinstance(error, InputError):
        error = error if command is None else command.translate(error)
        return " ".join(str(error).split())
    text = " ".join(str(error).split())
    if is_out_of_memory(error):
        return "the memory is too small for this; draw fewer samples in a batch (--batch-size 1) or use another --device"
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or text}; check that it can be read and written"
    return None
