"""Rooms import only from lower floors, third parties stay in their rooms, and randomness is asked for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "medrestore"

LAYERS = (
    {"noise", "fft", "levels", "errors", "allocator"},
    {"operators", "solvers", "metrics", "settings", "files"},
    {"codecs", "io", "mri", "tasks"},
    {"problem"},
    {"consistency", "priors", "datasets"},
    {"methods", "baselines"},
    {"restoration", "training"},
    {"tiling", "evaluation", "report"},
    {"recon", "inpainting"},
    {"study"},
    {"cli"},
)
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
SHIPPED = {"configs", "data"}  # files that come with the package; no code

HOMES = {  # the only rooms that may import a third party
    "sigpy": {"mri", "baselines"},
    "h5py": {"io"}, "nibabel": {"io"}, "pydicom": {"io"}, "SimpleITK": {"io"}, "av": {"io"}, "ismrmrd": {"io"},
    "twixtools": {"io"}, "scipy.io": {"io"},
    "diffusers": {"priors", "baselines"}, "monai": {"priors", "baselines", "datasets"},
    "accelerate": {"training"}, "dask": {"tasks"}, "distributed": {"tasks"}, "skimage": {"metrics", "study"},
    "jsonargparse": {"cli"}, "matplotlib": {"report"},
}
DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson",
         "rand_like", "randn_like", "randint_like"}
FILLS = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "cauchy_", "geometric_", "log_normal_"}
STREAMS = {"RandomState", "Generator", "default_rng", "SeedSequence", "PCG64"}  # of numpy: made from a seed, then passed on


def dotted(node: ast.expr) -> str:
    """`a.b.c` as a string; what is no plain name is left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[str]:
    """Every imported name in full, wherever in the file; `package` is where relative imports start from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*base, node.module) if node.module else base)
            yield from (f"{start}.{alias.name}" for alias in node.names)


def climbs(tree: ast.Module, package: tuple[str, ...], room: str) -> list[str]:
    """Imports of the library that do not lead to a lower floor."""
    wrong = []
    for name in imports(tree, package):
        parts = name.split(".")
        if parts[0] != "medrestore" or (len(parts) > 1 and parts[1] in SHIPPED | {room}):
            continue
        target = parts[1] if len(parts) > 1 else ""
        if target.startswith("__"):  # the version
            continue
        if target not in LAYER_OF or LAYER_OF[target] >= LAYER_OF[room]:
            wrong.append(f"{room} imports {name}")
    return wrong


def strays(tree: ast.Module, room: str) -> list[str]:
    """Third parties outside their rooms."""
    return [
        f"{room} imports {name}" for name in imports(tree, ()) for party, rooms in HOMES.items()
        if f"{name}.".startswith(f"{party}.") and room not in rooms
    ]


def hidden_draws(tree: ast.Module) -> list[str]:
    """Random numbers that come from no explicit generator, and seeds of global ones."""
    wrong = [name for name in imports(tree, ()) if name.split(".")[0] == "random" or name.startswith("numpy.random")]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, attribute = dotted(node.func), node.func.attr
        given = any(keyword.arg == "generator" for keyword in node.keywords)
        owner = name.rpartition(".")[0]
        if owner in ("np.random", "numpy.random"):
            bad = attribute not in STREAMS or not (node.args or node.keywords)
        elif attribute.startswith(("manual_seed", "seed")):
            bad = owner.split(".")[0] == "torch"
        else:
            bad = not given and (attribute in FILLS or (owner == "torch" and attribute in DRAWS))
        if bad:
            wrong.append(f"line {node.lineno}: {ast.unparse(node)}")
    return wrong


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_file(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = path.relative_to(PACKAGE)
    room = inside.parts[0].removesuffix(".py")
    assert room in LAYER_OF, f"{room} is on no floor"
    assert not climbs(tree, ("medrestore", *inside.parent.parts), room)
    assert not strays(tree, room)
    assert not hidden_draws(tree)


def test_there_are_files() -> None:
    assert {"operators", "methods", "restoration"} <= {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}


@pytest.mark.parametrize(("source", "room", "wrong"), [
    ("from ..problem import Problem", "operators", True),
    ("from ..fft import fft2c", "operators", False),
    ("from .. import restore", "methods", True),
    ("from .. import consistency", "methods", False),
    ("from . import image", "operators", False),
    ("from ..mri import espirit", "io", True),
    ("import medrestore.cli.main", "recon", True),
    ("import medrestore", "recon", True),
    ("def f():\n    from medrestore.methods import DDS", "priors", True),
    ("from ..unheard_of import x", "cli", True),
])
def test_floors_are_watched(source: str, room: str, wrong: bool) -> None:
    assert bool(climbs(ast.parse(source), ("medrestore", room), room)) == wrong


@pytest.mark.parametrize(("source", "room", "wrong"), [
    ("import sigpy.mri", "io", True),
    ("def f():\n    import sigpy as sp", "mri", False),
    ("from scipy import io", "mri", True),
    ("from scipy.io import loadmat", "io", False),
    ("from scipy.ndimage import zoom", "mri", False),
    ("import matplotlib.pyplot as plt", "cli", True),
    ("import h5pyx", "mri", False),
])
def test_third_parties_are_watched(source: str, room: str, wrong: bool) -> None:
    assert bool(strays(ast.parse(source), room)) == wrong


@pytest.mark.parametrize(("source", "wrong"), [
    ("np.random.randn(3)", True),
    ("np.random.seed(0)", True),
    ("np.random.default_rng()", True),
    ("np.random.default_rng(seed)", False),
    ("import random", True),
    ("from numpy.random import randn", True),
    ("torch.randn(3)", True),
    ("torch.randn_like(x)", True),
    ("torch.randn(3, generator=g)", False),
    ("x.normal_()", True),
    ("x.normal_(generator=g)", False),
    ("torch.manual_seed(0)", True),
    ("torch.cuda.manual_seed_all(0)", True),
    ("torch.Generator().manual_seed(0)", False),
])
def test_randomness_is_watched(source: str, wrong: bool) -> None:
    assert bool(hidden_draws(ast.parse(source))) == wrong
