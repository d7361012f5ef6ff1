"""What a user installs: quick to import, complete, small, and free of whatever belongs to one machine."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest

import medrestore
from medrestore.shipped import priors as shipped_priors

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LARGEST = 16 * 10**6  # bytes of a shipped weight file
HEAVY = ("torch", "numpy", "scipy", "sigpy", "h5py", "diffusers", "matplotlib", "skimage", "nibabel")


def fresh(code: str) -> str:
    """What `code` prints in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_lazy() -> None:
    code = f"import sys, time; t = time.monotonic(); import medrestore; t = time.monotonic() - t; " \
           f"print([name for name in {HEAVY} if name in sys.modules], t < 1)"
    assert fresh(code) == "[] True"


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys; from medrestore.cli.main import COMMANDS, help_text; help_text(); " \
           "[command.parser().format_help() for command in COMMANDS.values()]; " \
           f"print([name for name in {HEAVY} if name in sys.modules])"
    assert fresh(code) == "[]"


def test_the_main_jobs_do_without_what_extras_bring() -> None:
    """A shipped prior, a classical method and simulated coils: no package of an extra, and no compiler of torch."""
    code = "import sys, torch, medrestore as mr; from medrestore.baselines import L1Wavelet; " \
           "g = torch.Generator().manual_seed(0); maps = mr.mri.simulated_maps(2, (16, 16), generator=g); " \
           "L1Wavelet(0.01, 1).reconstruct(maps, maps, torch.ones(1, 16)); mr.priors.load('brain-mr-starter'); " \
           "print([name for name in ('diffusers', 'sigpy', 'numba', 'accelerate', 'monai', 'torch._dynamo') " \
           "if name in sys.modules])"
    assert fresh(code) == "[]"


def test_public_names_resolve() -> None:
    assert set(medrestore.__all__) <= set(dir(medrestore))
    for name in medrestore.__all__:
        assert getattr(medrestore, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = medrestore.nothing_of_the_kind


@pytest.mark.parametrize("first", ["import medrestore.recon", "medrestore.restoration", "medrestore.sample",
                                   "medrestore.problem", "import medrestore.inpainting"])
def test_a_function_is_never_hidden_by_a_module_of_its_name(first: str) -> None:
    """Python sets a submodule on its package once it is loaded, whoever loads it."""
    code = f"import medrestore\ntry:\n    {first}\nexcept AttributeError:\n    pass\n" \
           "from medrestore import restore\nprint(callable(medrestore.restore), callable(restore), callable(medrestore.Problem))"
    assert fresh(code) == "True True True"


def test_configs_and_data_are_found() -> None:
    assert (files("medrestore.configs") / "train" / "brain-mr-starter.yaml").is_file()
    assert (files("medrestore.data") / "samples" / "brain-scan.h5").is_file()
    assert (files("medrestore.data") / "samples" / "NOTICE.md").is_file()
    assert (files("medrestore") / "py.typed").is_file()


def test_every_folder_of_code_is_packaged() -> None:
    """With its stub, where names are imported when they are first asked for."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    listed = set(setuptools["packages"])
    assert setuptools["package-data"]["*"] == ["*.pyi"] and "medrestore" in setuptools["package-data"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "medrestore").rglob("__init__.py")}
    assert listed == there | {"medrestore.configs", "medrestore.data"}


def test_priors_that_ship() -> None:
    priors = shipped_priors()
    assert "brain-mr-starter" in priors
    for folder in priors.values():
        assert (folder / "CARD.md").is_file()
        weights = list(folder.rglob("*.safetensors"))
        assert weights
        assert all(path.stat().st_size <= LARGEST for path in weights)


def test_the_readme_has_its_two_commands() -> None:
    readme, makefile = (ROOT / "README.md").read_text(encoding="utf-8"), (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert re.search(rf"^make {target}\b", readme, re.MULTILINE)
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_version_and_licence() -> None:
    assert version("medrestore") == medrestore.__version__
    assert PROJECT["dynamic"] == ["version"]
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")[:200]
    assert "Louis Collins" in (ROOT / "data" / "samples" / "NOTICE.md").read_text(encoding="utf-8")


def plain(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")


def test_constraints_pin_every_dependency() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.+]+", line) for line in lines)
    pinned = {plain(line) for line in lines}
    assert len(pinned) == len(lines)
    extras = [group for name, group in PROJECT["optional-dependencies"].items() if name not in ("all", "samples")]
    installed = [PROJECT["dependencies"], *extras]
    assert not {plain(one) for group in installed for one in group} - pinned


def tracked() -> list[Path]:
    """The text files under version control; without git, those that lie where they would be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        rooms = ("medrestore", "benchmarks", "configs", "data", "docs", "notebooks", "tests", "train")
        paths = [path for room in rooms for path in (ROOT / room).rglob("*")] + list(ROOT.glob("*.*"))
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096] and path != Path(__file__)]


def test_nothing_belongs_to_one_machine() -> None:
    """No absolute path of somebody's machine and no host of a package registry or mirror."""
    machine = re.compile(r"(?<![\w.~/])/(?:home|root|Users|work|mnt|opt|tmp|scratch)/\w")
    hosts = "pypi|pythonhosted|artifactory|nexus|registry|mirror|proxy"
    host = re.compile(rf"https?://[\w.-]*(?:{hosts})|--(?:extra-)?index-url", re.I)
    paths = tracked()
    assert len(paths) > 50
    found = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(ROOT)}: {hit}" for hit in (*machine.findall(text), *host.findall(text))]
    assert not found
