"""What the configuration of a MONAI bundle says of its diffusion network, read as data.

A bundle is a folder with `configs/*.json|yaml` and `models/*.pt`. Its configuration is meant to be executed; here references to
plain values (`@image_channels`) are looked up, and an expression (`$...`) that would be needed is refused.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...files import files_in

LARGEST = 1 << 20  # bytes of a configuration
DEEPEST = 16  # references that lead to references, and values inside values
LONGEST = 64  # entries of a list that is an argument
NETWORK = re.compile(r"(?:[\w.]+\.)?DiffusionModelUNet")
SCHEDULER = re.compile(r"(?:[\w.]+\.)?(?:DDPM|DDIM|PNDM)Scheduler")
RANGES = re.compile(r"(?:[\w.]+\.)?ScaleIntensity(?:Range)?d?")
SCHEDULING = ("schedule", "num_train_timesteps", "prediction_type", "beta_start", "beta_end", "sig_range", "s")
DEFAULTS = {"num_train_timesteps": 1000, "schedule": "linear_beta", "prediction_type": "epsilon"}  # of MONAI's schedulers
RENAMED = {"num_channels": "channels", "beta_schedule": "schedule"}  # arguments of MONAI Generative


def bundle_facts(folder: Path) -> dict[str, Any]:
    """Arguments of network and scheduler, and the value range of the images, from the configurations of a bundle.

    Raises:
        InputError: unreadable ones, no such network, a latent network, a needed value that is an expression.
    """
    files = files_in(folder / "configs", (".json", ".yaml", ".yml"))
    files = [path for path in files if path.stem not in ("metadata", "logging")]
    files.sort(key=lambda path: (path.stem != "inference", path.stem != "train"))
    configs = [(path, _config_file(path)) for path in files]
    networks = [(path, config, one) for path, config in configs for one in _targets(config, NETWORK)]
    if not networks:
        raise InputError(f"{folder}/configs names no DiffusionModelUNet; only bundles of that network are priors")
    path, config, described = next((one for one in networks if one[2] is one[1].get("network_def")), networks[0])
    if any("autoencoder" in key for key in config):
        raise InputError(f"{path} describes a latent diffusion network beside its autoencoder, and only networks of images are "
                         "priors; give a bundle without an autoencoder")
    facts = {"num_head_channels": 8} | _arguments(described, config, path)  # 8 is the network's own default
    schedulers = [(path, config, one) for path, config in configs for one in _targets(config, SCHEDULER)]
    if schedulers:
        path, config, described = schedulers[0]
        facts |= DEFAULTS | _arguments({key: value for key, value in described.items() if RENAMED.get(key, key) in SCHEDULING},
                                                  config, path)
    return facts | _value_range(configs)


def _arguments(described: Mapping[str, Any], config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The arguments of a definition by today's names, as plain values."""
    plain = {RENAMED.get(key, key): value for key, value in described.items() if not str(key).startswith("_")}
    return {key: _resolve(value, config, path) for key, value in plain.items()}


def _config_file(path: Path) -> dict[str, Any]:
    """A configuration of a bundle as plain data."""
    import yaml

    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than 1 MiB, which no configuration is; take the bundle from its source again")
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not readable JSON or YAML; take the bundle from its source again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no configuration; take the bundle from its source again")
    return {str(key): value for key, value in values.items()}


def _targets(tree: Any, name: re.Pattern[str], seen: set[int] | None = None, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The definitions of a configuration whose class has that name; each once, though YAML may repeat them by reference."""
    seen = set() if seen is None else seen
    if depth > DEEPEST or id(tree) in seen or not isinstance(tree, dict | list):
        return
    seen.add(id(tree))
    if isinstance(tree, dict) and isinstance(target := tree.get("_target_"), str) and name.fullmatch(target):
        yield tree
    for value in tree.values() if isinstance(tree, dict) else tree:
        yield from _targets(value, name, seen, depth + 1)


def _resolve(value: Any, config: Mapping[str, Any], path: Path, depth: int = 0, *, listed: bool = False) -> Any:
    """A plain value or a list of such, references looked up.

    Args:
        listed: it is an entry of a list, and no list itself: lists of references to lists of references would take for ever.

    Raises:
        InputError: an expression, a macro, or a reference that leads nowhere or in circles.
    """
    if isinstance(value, list) and not listed and len(value) <= LONGEST:
        return [_resolve(one, config, path, depth + 1, listed=True) for one in value]
    if isinstance(value, str) and value.startswith("@") and depth < DEEPEST:
        here: Any = config
        for part in re.split(r"::|#", value[1:]):
            if isinstance(here, dict) and part in here:
                here = here[part]
            elif isinstance(here, list) and part.isdecimal() and int(part[:9]) < len(here):
                here = here[int(part[:9])]
            else:
                raise InputError(f"{path} refers to {value}, which it does not hold; write the value in its place")
        return _resolve(here, config, path, depth + 1, listed=listed)
    if not isinstance(value, str | int | float | bool | None) or (isinstance(value, str) and value[:1] in ("$", "%", "@")):
        raise InputError(f"{path} gives {str(value)[:80]!r} where a plain value is needed, and configurations are read, never "
                         "run; write the value in its place")
    return value


def _value_range(configs: list[tuple[Path, dict[str, Any]]]) -> dict[str, float]:
    """The image values that are -1 and 1 to the network, images being in [0, 1], where all transforms agree on a range."""
    found: set[tuple[float, float]] = set()
    for _, config in configs:
        for one in _targets(config, RANGES):
            low, high = one.get("minv", 0.0), one.get("maxv", 1.0)
            if "b_min" in one:
                low, high = one["b_min"], one.get("b_max")
            if isinstance(low, int | float) and isinstance(high, int | float):
                found.add((low, high))
    if found == {(0, 1)}:  # z = image
        return {"low": -1.0, "high": 1.0}
    return {"low": 0.0, "high": 1.0} if found == {(-1, 1)} else {}  # z = 2 image - 1
