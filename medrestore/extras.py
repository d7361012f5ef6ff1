"""Third parties that only some jobs need: the optional dependencies of the package ("extras")."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from .errors import InputError


def install_line(extra: str) -> str:
    """The command that adds an extra to an installation."""
    return f"pip install 'medrestore[{extra}]'"


@contextmanager
def extra(name: str, what: str) -> Iterator[None]:
    """A block of imports that need an extra.

    Args:
        name: of the extra in `pyproject.toml`.
        what: needs it, as the first words of the message: "training", "scan.dat is a Siemens twix file, which".

    Raises:
        InputError: one of the packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or str(error)).split(".")[0]
        if missing == __package__:
            raise
        raise _missing(name, missing, what) from error


def check_extra(name: str, package: str, what: str) -> None:
    """Refuses a missing package of an extra, without importing it; see `extra`."""
    if find_spec(package) is None:
        raise _missing(name, package, what)


def _missing(name: str, package: str, what: str) -> InputError:
    return InputError(f"{what} needs {package}, which is not installed; run: {install_line(name)}")
