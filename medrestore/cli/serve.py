"""A page for a browser on this machine: drop a scan, an image or a frame, look at what is made of it, and save it.

Examples:
  medrestore serve
  medrestore serve --port 9000 --open
  medrestore serve --priors priors/knee --priors priors/theatre
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from .. import shipped
from ..errors import InputError
from ..extras import check_extra
from ..settings import Bounds
from . import inpaint, recon, restore
from .command import Command
from .terminal import NOTICE, say

if TYPE_CHECKING:
    import socket

COMMANDS: Mapping[str, Command[Any]] = {one.COMMAND.name: one.COMMAND for one in (recon, restore, inpaint)}
CHANNELS = {"recon": (1, 2), "restore": (1, 2, 3), "inpaint": (3,)}  # of the priors that serve each job


@dataclass(frozen=True)
class Options:
    """The options of `serve`.

    Args:
        port: that the page is at, on this machine alone; 0 takes any that is free
        open: open the page in the browser
        device: cpu, cuda, cuda:1, mps, xpu; default: the accelerator that is there, else the CPU
        priors: folders of priors that the page offers beside those that are shipped
        max_upload_gb: largest file that is taken, 1e9 bytes
        keep: jobs whose results are kept; the oldest makes room
    """

    port: Annotated[int, Bounds(at_least=0, at_most=65535)] = 8765
    open: bool = False
    device: str | None = None
    priors: tuple[str, ...] = ()
    max_upload_gb: Annotated[float, Bounds(above=0)] = 4.0
    keep: Annotated[int, Bounds(at_least=1)] = 10


class Front:
    """What the page asks of the command line.

    Args:
        priors: name to folder of those that it offers.
    """

    def __init__(self, priors: Mapping[str, str]) -> None:
        self.priors = priors

    def plan(self, kind: str, given: Mapping[str, Any]) -> Any:
        """The plan of a command for options by their names in a config."""
        prior = given.get("prior")
        if prior is not None and prior not in self.priors:
            raise InputError(f"the page offers no prior {prior!r}; start it with --priors and its folder")
        chosen = {} if prior is None else {"prior": self.priors[prior]}
        return COMMANDS[kind].of({**given, **chosen}).plan

    def about(self, kind: str, name: str) -> dict[str, Any]:
        """An option for the page: choices, switch, default."""
        command = COMMANDS[kind]
        one = command.options.get(name)
        if one is None:
            return {"choices": [], "switch": True, "default": None}
        default = one.default if isinstance(one.default, str | int | float | bool | None) else None
        return {"choices": list(one.choices), "switch": one.is_switch, "default": default}

    def sentence(self, kind: str, error: InputError) -> str:
        """What the command says of an error."""
        return str(COMMANDS[kind].translate(error))

    def line(self, kind: str, text: str) -> str:
        """What the command says."""
        return COMMANDS[kind].mentions(text)


def run(options: Options) -> int:
    """Serves the page until it is stopped."""
    for package in ("fastapi", "uvicorn"):
        check_extra("serve", package, "the page")
    priors = offered(options.priors)
    if options.device is not None:
        from .device import usable_device

        usable_device(options.device)
    with _listening(options.port) as listening:
        return _serve_page(options, priors, listening)


def _serve_page(options: Options, priors: Mapping[str, tuple[str, int]], listening: "socket.socket") -> int:
    import uvicorn

    from ..serve.app import make_app
    from ..serve.guard import Guard
    from ..serve.jobs import Jobs

    front, port = Front({name: folder for name, (folder, _) in priors.items()}), listening.getsockname()[1]
    jobs = Jobs(front, device=options.device, keep=options.keep)
    try:
        app = make_app(jobs, front, priors={kind: suiting(priors, kind) for kind in COMMANDS}, notice=NOTICE,
                       max_upload_gb=options.max_upload_gb)
        guard = Guard(app, port)
        say(f"open {guard.address}")
        say("this address is a key to the page: keep it to yourself. Ctrl-C ends it, and removes all uploads and results")
        if options.open:
            import webbrowser

            if not webbrowser.open(guard.address):
                say("no browser could be opened; copy the address into one")
        config = uvicorn.Config(guard, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3)
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # how the server ends, except where it was started with the signal ignored
        pass
    finally:
        jobs.close()
    say("ended; uploads and results are removed")
    return 0


def offered(folders: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Name to folder and channels of the shipped priors and of others.

    Raises:
        InputError: a folder is no prior, or two have one name.
    """
    from ..priors.store import describe

    found = {name: (name, int(describe(name)["channels"])) for name in shipped.priors()}
    for folder in folders:
        about, name = describe(folder), Path(folder).resolve().name
        if name in found:
            raise InputError(f"two priors are called {name}; name the folder {folder} otherwise")
        found[name] = (str(Path(folder).resolve()), int(about["channels"]))
    return found


def suiting(priors: Mapping[str, tuple[str, int]], kind: str) -> tuple[str, ...]:
    """The names of the priors for a job, that of its default first."""
    default = COMMANDS[kind].options["prior"].default
    names = [name for name, (_, channels) in priors.items() if channels in CHANNELS[kind]]
    return tuple(sorted(names, key=lambda name: name != default))


def _listening(port: int) -> "socket.socket":
    """A socket on the loopback, so that no other machine reaches the page."""
    import socket

    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(128)  # a browser that is quicker than the server waits
    except OSError as error:
        listening.close()
        raise InputError(f"the port {port} is not free ({error.strerror}); give another --port, or 0 for any") from error
    return listening


COMMAND = Command("serve", Options, run, __doc__)
