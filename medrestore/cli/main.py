"""`medrestore`: parses, runs, and says what went wrong in one sentence."""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from ..errors import InputError
from . import demo, doctor, inspect, recon

COMMANDS = {"recon": recon, "inspect": inspect, "doctor": doctor, "demo": demo}
NOTICE = "Research use only. Not a medical device. Not for diagnosis. Generative priors can invent anatomy."


def parser() -> ArgumentParser:
    """The whole command line."""
    top = ArgumentParser(prog="medrestore", description=f"Incomplete measurements in, images out. {NOTICE}", exit_on_error=False)
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subcommands(required=True, dest="command")
    for name, module in COMMANDS.items():
        commands.add_subcommand(name, module.parser(), help=module.__doc__.strip().splitlines()[0])
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1 when part of a folder failed, 2 for bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    command = next((word for word in arguments if word in COMMANDS), "")
    try:
        options: Namespace = parser().parse_args([word for word in arguments if word != "--debug"])
        return COMMANDS[options.command].run(options[options.command])
    except (InputError, ArgumentError) as error:
        if debug:
            raise
        print(f"medrestore {command}: error: {_one_line(str(error))}".replace("  ", " "), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
