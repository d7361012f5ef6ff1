"""What comes with the package besides code, by name: configs, samples and priors."""

from importlib.resources import files
from os import PathLike
from pathlib import Path

from .errors import InputError, meant
from .plugins import PRIORS, installed

SAMPLE = "sample:"  # what the name of a sample begins with, where a path may stand too


def _root(package: str) -> Path:
    return Path(str(files(f"medrestore.{package}")))


def configs(command: str) -> dict[str, Path]:
    """The configs of a command (train, evaluate, restore) by name."""
    return {path.stem: path for path in sorted((_root("configs") / command).glob("*.yaml"))}


def samples() -> dict[str, Path]:
    """The sample scans by name."""
    return {path.stem: path for path in sorted((_root("data") / "samples").glob("*.h5"))}


def priors() -> dict[str, Path]:
    """The folders of the priors by name."""
    return {folder.name: folder for folder in sorted((_root("data") / "priors").iterdir())
            if (folder / "prior.json").is_file()}


def prior(name: str) -> Path | None:
    """The folder of a prior that is known by name: one of the package, or of a plugin; None for others.

    Raises:
        InputError: a plugin that does not work.
    """
    known, plugins = priors(), installed(PRIORS)
    if name in known or name not in plugins:
        return known.get(name)
    place = plugins[name].load()
    if not isinstance(place, str | PathLike) or not (Path(place) / "prior.json").is_file():
        raise plugins[name].broken(f"{plugins[name].place} is no folder with a prior.json")
    return Path(place)


def prior_names() -> list[str]:
    """The names of priors: of the package, then of plugins."""
    return list(dict.fromkeys((*priors(), *installed(PRIORS))))


def config(path: str, command: str) -> Path:
    """The file of a config: a path, or the name of a shipped one.

    Raises:
        InputError: neither.
    """
    if Path(path).exists():
        return Path(path)
    known = configs(command)
    if path in known:
        return known[path]
    raise InputError(f"{path} does not exist; give a YAML file, or the name of a config that comes with the package: "
                     f"{', '.join(known)}{meant(path, known)}")


def scan(path: str | PathLike[str]) -> Path:
    """Where a scan is: a path as it stands, or `sample:NAME` for a shipped one.

    Raises:
        InputError: no sample has that name.
    """
    path = str(path)
    if not path.startswith(SAMPLE) or Path(path).exists():
        return Path(path)
    known = {SAMPLE + name: place for name, place in samples().items()}
    if path not in known:
        raise InputError(f"there is no {path!r}; the samples are {', '.join(known)}{meant(path, known)}")
    return known[path]
