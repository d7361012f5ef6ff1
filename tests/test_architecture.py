"""The rules of the architecture.

Packages import from lower layers only and without cycles; third parties, publication of files, names of options and
random numbers stay in their places; operators and priors are asked by type, never probed; every module has its tests.
"""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "medrestore"
TESTS = Path(__file__).parent

LAYERS = (
    {"devices"},
    {"noise", "fft", "errors", "allocator"},
    {"extras", "plugins"},
    {"operators", "solvers", "metrics", "settings", "files", "child", "shipped"},
    {"codecs", "io", "mri", "tasks", "levels", "conditions", "machine"},
    {"problem"},
    {"consistency", "priors", "datasets"},
    {"inversion"},
    {"methods", "baselines"},
    {"sampling"},
    {"restoration", "training", "jobs"},
    {"tiling", "evaluation", "report", "volumes"},
    {"recon", "inpainting", "images"},
    {"study"},
    {"serve"},
    {"cli"},
    {"__main__"},
)
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
SHIPPED = {"configs", "data"}  # files that come with the package; no code

HOMES = {  # the only packages that may import a third party
    "sigpy": set(), "pywt": {"baselines"},
    "h5py": {"io", "child"}, "nibabel": {"io"}, "tifffile": {"io", "child"},
    "pydicom": {"io", "child"}, "SimpleITK": {"io"}, "av": {"io", "child"}, "ismrmrd": {"io"},
    "twixtools": {"io"}, "scipy.io": {"io"},
    "diffusers": {"priors"}, "monai": {"priors", "baselines", "datasets"},
    "accelerate": {"training"}, "dask": {"tasks"}, "distributed": {"tasks"}, "skimage": {"metrics", "study", "images"},
    "matplotlib": {"report"},
}
PARSERS = {"dcmread", "read_file_meta_info", "pixel_array", "TiffFile", "imread", "ParquetFile", "read_table", "read_parquet",
           "loadmat", "ReadImage", "ImageFileReader"}  # of files from outside: only `child` calls them
DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson",
         "rand_like", "randn_like", "randint_like"}
FILLS = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "cauchy_", "geometric_", "log_normal_"}
STREAMS = {"RandomState", "Generator", "default_rng", "SeedSequence", "PCG64"}  # of numpy: made from a seed, then passed on


def dotted(node: ast.expr) -> str:
    """`a.b.c` as a string; what is no plain name is left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def foreign_parsers(tree: ast.Module) -> set[str]:
    """Calls of compiled parsers, and of large ones, which belong in the child."""
    return {name for node in ast.walk(tree) if isinstance(node, ast.Call)
            if (name := dotted(node.func)).rpartition(".")[2] in PARSERS or name in ("Image.open", "h5py.File", "av.open")
            if not (name in ("h5py.File", "av.open") and any(is_writing(one) for one in node.args))}


def is_writing(argument: ast.expr) -> bool:
    """Whether an argument is the mode of a file that is written."""
    return isinstance(argument, ast.Constant) and argument.value in ("w", "x")


def imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[str]:
    """Every imported name in full, wherever in the file; `package` is where relative imports start from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*base, node.module) if node.module else base)
            yield from (f"{start}.{alias.name}" for alias in node.names)


def climbs(tree: ast.Module, package: tuple[str, ...], layer: str) -> list[str]:
    """Imports of the library that do not lead to a lower layer."""
    wrong = []
    for name in imports(tree, package):
        parts = name.split(".")
        if parts[0] != "medrestore" or (len(parts) > 1 and parts[1] in SHIPPED | {layer}):
            continue
        target = parts[1] if len(parts) > 1 else ""
        if target.startswith("__"):  # the version
            continue
        if target not in LAYER_OF or LAYER_OF[target] >= LAYER_OF[layer]:
            wrong.append(f"{layer} imports {name}")
    return wrong


def strays(tree: ast.Module, layer: str) -> list[str]:
    """Third parties outside their packages."""
    return [
        f"{layer} imports {name}" for name in imports(tree, ()) for party, packages in HOMES.items()
        if f"{name}.".startswith(f"{party}.") and layer not in packages
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


# properties of a style sheet have a colon or a bracket
OPTION = re.compile(r"(?<![\w(-])--[a-z][a-z-]+(?![\w:-])|(?<![\w-])-o\b")
PUBLISHING = {"os.replace", "os.rename", "os.link", "fcntl.flock", "fcntl.lockf", "shutil.move"}
PROBED = {"operators", "problem", "consistency", "codecs", "methods", "restoration", "sampling", "tiling"}  # which ask by type
PROBED_FILES = {"priors/base.py", "priors/gaussian.py", "priors/network.py", "priors/parametrisations.py",
                "priors/conditional.py", "priors/latent.py", "priors/classifier.py", "priors/guidance.py"}


def publishes(tree: ast.Module) -> list[str]:
    """Calls that give a file its name or lock one, and names of temporary files."""
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = dotted(node.func)
            if name in PUBLISHING or node.func.attr == "rename":
                wrong.append(f"line {node.lineno}: {name}")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in (".part", ".old", ".tmp"):
            wrong.append(f"line {node.lineno}: {node.value}")
        if isinstance(node, ast.Import | ast.ImportFrom) and "fcntl" in ast.unparse(node):
            wrong.append(f"line {node.lineno}: fcntl")
    return wrong


def option_names(tree: ast.Module) -> list[str]:
    """Options of the command line in texts, docstrings among them."""
    return [f"line {node.lineno}: {found.group()}" for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            for found in OPTION.finditer(node.value.replace("dask scheduler --", "dask scheduler "))]  # another program's


def probes(tree: ast.Module) -> list[str]:
    """`hasattr` and `getattr` by a fixed name: what an object can do is its type."""
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr")
            and len(node.args) > 1 and isinstance(node.args[1], ast.Constant)]


def loaded(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, those for type checkers left out."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.If | ast.Try | ast.With):
            waiting += [inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)]
        else:
            yield node


def module_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def graph(trees: dict[Path, ast.Module]) -> dict[str, set[str]]:
    """Module to the modules that it imports when it is loaded."""
    modules = {module_of(path) for path in trees}
    found: dict[str, set[str]] = {}
    for path, tree in trees.items():
        top = ast.Module([node for node in loaded(tree) if isinstance(node, ast.Import | ast.ImportFrom)], [])
        package = path.relative_to(PACKAGE.parent).parent.parts
        here = module_of(path)
        names = {name if name in modules else name.rpartition(".")[0] for name in imports(top, package)}
        found[here] = {name for name in names if name in modules and name != here and not here.startswith(f"{name}.")}
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_file(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = path.relative_to(PACKAGE)
    package = inside.parts[0].removesuffix(".py")
    assert package in LAYER_OF, f"{package} is on no layer"
    assert not climbs(tree, ("medrestore", *inside.parent.parts), package)
    assert not strays(tree, package)
    assert not hidden_draws(tree)
    assert package == "files" or not publishes(tree)
    assert package == "child" or not foreign_parsers(tree)
    assert package == "cli" or inside.as_posix() in ("report/page.py", "report/palettes.py") or not option_names(tree)
    assert (package not in PROBED and inside.as_posix() not in PROBED_FILES) or not probes(tree)


def test_no_module_imports_itself_in_a_circle() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    try:
        TopologicalSorter(graph(trees)).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "__init__.py"],
                         ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_has_tests_of_its_name(path: Path) -> None:
    inside = path.relative_to(PACKAGE)
    tests = TESTS / inside.parent / f"test_{inside.name}"
    assert tests.is_file(), f"{tests.relative_to(TESTS.parent)} is missing"
    assert re.search(r"^\s*def test_", tests.read_text(encoding="utf-8"), re.MULTILINE)


PROTOCOLS = {  # names that several modules define on purpose, and why
    "run": "what a command, a list of tasks and a training run do", "Options": "the options of a command",
    "recognises": "of a file format: whether a file is one", "read": "of a file format or a config: what it holds",
    "load": "of a store: the object of a folder", "save": "of a store: writes a folder",
    "describe": "of a store: what a folder says",
    "Plan": "of a job on scans, frames or images: what decides its output", "Machine": "of a job: where it is done",
    "Reading": "of a job: what may be read", "Writing": "of a job: what is written", "Job": "of a job: the plan with its prior",
    "Result": "of a job: what came of it", "read_result": "of a job: the result in an output",
    "prepare": "of a job: all that precedes sampling", "restore_slice": "of a job: one slice restored",
    "record_place": "of an output: where its record lies", "read_record": "of an output: its record",
    "damaged": "of an output: its files that are not as they were written", "is_done": "of an output: whether it is current",
    "check_output": "of an output: refuses a name",
    "Config": "the tree of a study and of a training run", "Baseline": "the method, and its entry in a study",
    "Acquisition": "how scans are simulated, in a study and in a training run", "Bicubic": "the step and the baseline",
    "Frames": "a kind of `data`, and what it reads", "Phantoms": "a kind of `data`, of training and of studies",
    "Pictures": "a kind of `data`, of training and of studies", "Scenes": "a kind of `data`, of training and of studies",
    "Summary": "at the start of a run, and of scores",
    "check": "the laws of an operator, the bounds of a field",
    "stack": "operators, problems", "sampled": "a law by the name of what it tests", "__dir__": "Python asks for it",
}


def repeated(trees: dict[Path, ast.Module]) -> dict[str, list[str]]:
    """Names of functions and classes at the top of several modules, with those modules."""
    homes: dict[str, list[str]] = {}
    for path, tree in trees.items():
        for name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}:
            homes.setdefault(name, []).append(path.as_posix())
    return {name: places for name, places in homes.items() if len(places) > 1}


def test_a_name_stands_for_one_thing() -> None:
    """A name of several modules is a protocol: the same part of things of one kind. Any other gets a name of its own."""
    found = repeated({path.relative_to(PACKAGE): ast.parse(path.read_text(encoding="utf-8")) for path in FILES})
    assert {name: places for name, places in found.items() if name not in PROTOCOLS} == {}
    assert set(PROTOCOLS) - set(found) == {"__dir__"}, "no longer of several modules; take it off the list"


def test_repeated_names_are_found() -> None:
    trees = {Path("a.py"): ast.parse("def _check(): ...\ndef f(): ...\nclass A:\n    def g(self): ..."),
             Path("b.py"): ast.parse("def _check(): ...\nclass B:\n    def g(self): ...\n    def f(self): ...")}
    assert repeated(trees) == {"_check": ["a.py", "b.py"]}


def test_there_are_files() -> None:
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert {"operators", "methods", "sampling", "restoration"} <= found


@pytest.mark.parametrize(("source", "package", "wrong"), [
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
def test_layers_are_enforced(source: str, package: str, wrong: bool) -> None:
    assert bool(climbs(ast.parse(source), ("medrestore", package), package)) == wrong


@pytest.mark.parametrize(("source", "package", "wrong"), [
    ("import sigpy.mri", "io", True),
    ("def f():\n    import pywt", "baselines", False),
    ("from scipy import io", "mri", True),
    ("from scipy.io import loadmat", "io", False),
    ("from scipy.ndimage import zoom", "mri", False),
    ("import matplotlib.pyplot as plt", "cli", True),
    ("import h5pyx", "mri", False),
])
def test_third_parties_are_confined(source: str, package: str, wrong: bool) -> None:
    assert bool(strays(ast.parse(source), package)) == wrong


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
def test_randomness_is_confined(source: str, wrong: bool) -> None:
    assert bool(hidden_draws(ast.parse(source))) == wrong


@pytest.mark.parametrize(("source", "wrong"), [
    ("os.replace(a, b)", True),
    ("path.rename(b)", True),
    ("text.replace('a', 'b')", False),
    ("fcntl.flock(f, 1)", True),
    ("import fcntl", True),
    ("part = name + '.part'", True),
])
def test_publication_is_confined(source: str, wrong: bool) -> None:
    assert bool(publishes(ast.parse(source))) == wrong


@pytest.mark.parametrize(("source", "wrong"), [
    ("raise InputError('give --maps')", True),
    ("f'{x} exists; give another -o'", True),
    ("'a -- b'", False),
    ("'x-o'", False),
    ("'maps='", False),
])
def test_names_of_options_are_confined(source: str, wrong: bool) -> None:
    assert bool(option_names(ast.parse(source))) == wrong


@pytest.mark.parametrize(("source", "wrong"), [
    ("hasattr(A, 'maps')", True),
    ("getattr(A, 'maps', None)", True),
    ("getattr(A, name)", False),
    ("A.maps", False),
])
def test_probing_is_seen(source: str, wrong: bool) -> None:
    assert bool(probes(ast.parse(source))) == wrong


def test_circles_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "medrestore")
    trees = {tmp_path / "medrestore" / "a.py": ast.parse("from . import b"),
             tmp_path / "medrestore" / "b.py": ast.parse("if TYPE_CHECKING:\n    from .a import x\nfrom .a import y"),
             tmp_path / "medrestore" / "c.py": ast.parse("def f():\n    from .a import y")}
    assert graph(trees) == {"medrestore.a": {"medrestore.b"}, "medrestore.b": {"medrestore.a"}, "medrestore.c": set()}
    with pytest.raises(CycleError):
        TopologicalSorter(graph(trees)).prepare()


@pytest.mark.parametrize(("source", "wrong"), [
    ("pydicom.dcmread(path)", True), ("with tifffile.TiffFile(path) as file: pass", True), ("Image.open(path)", True),
    ("h5py.File(path)", True), ("h5py.File(path, 'r')", True), ("h5py.File(path, 'w')", False), ("av.open(path, 'w')", False),
    ("av.open(path)", True), ("path.open('rb')", False), ("picture.save(path)", False)])  # fmt: skip
def test_calls_of_foreign_parsers_are_found(source: str, wrong: bool) -> None:
    assert bool(foreign_parsers(ast.parse(source))) == wrong
