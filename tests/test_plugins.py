"""Objects of other packages: found, named, used, and harmless where they are broken."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch

from medrestore import plugins, shipped
from medrestore.cli.main import help_text, main
from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.operators import DegradationFiles, operator_of
from medrestore.images.steps import Plugged
from medrestore.io import read_kspace
from medrestore.io.kspace.open import suffixes
from medrestore.io.scenes.open import open_frames
from medrestore.methods import FRAMES, GENERATION, METHODS, SCANS, serving
from medrestore.operators import Identity, Mask
from medrestore.priors.store import find
from medrestore.recon.plan import Plan

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "plugin"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs packages of one module: `installed(text, group=...)` with entries of name=attribute."""
    def install(name: str, text: str, **groups: dict[str, str]) -> None:
        folder = tmp_path / "site"
        about = folder / f"{name}-1.2.dist-info"
        about.mkdir(parents=True)
        (folder / f"{name}.py").write_text(text)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [line for group, entries in groups.items()
                 for line in (f"[medrestore.{group}]", *(f"{key} = {name}:{value}" for key, value in entries.items()))]
        (about / "entry_points.txt").write_text("\n".join(lines))
        plugins.installed.cache_clear()

    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    before = set(sys.modules)
    yield install
    for module in set(sys.modules) - before:
        if (tmp_path / "site" / f"{module}.py").exists():
            del sys.modules[module]
    plugins.installed.cache_clear()


def example(install) -> None:
    install("medrestore_example", (EXAMPLE / "medrestore_example.py").read_text(), methods={"halfway": "Halfway"},
            operators={"every-second-row": "every_second_row"}, readers={"raw-lines": "RAW"})


def test_a_method_is_one_of_those_that_are_offered(installed) -> None:
    assert "halfway" not in METHODS and "halfway" not in list(METHODS)
    example(installed)
    assert "medrestore_example" not in sys.modules  # its name is known without it
    assert "halfway" in METHODS and "halfway" in list(METHODS.offered(SCANS)) and "halfway" in METHODS.offered(FRAMES)
    assert "halfway" not in METHODS.offered(GENERATION) and len(METHODS) == len(METHODS.places) + 1
    plan = Plan("halfway", options={"lam": 0.5}, steps=4)
    assert type(plan.sampler).__name__ == "Halfway" and plan.sampler.lam == 0.5
    assert Plan(plan.sampler, steps=4) == plan  # an object is known by the same name
    assert "halfway" in serving(Identity())
    with pytest.raises(InputError, match="halfwya"):
        Plan("halfwya")


def test_an_operator_is_a_step_of_a_degradation(installed) -> None:
    example(installed)
    done = Degradation(operators=(Plugged("every-second-row", {"first": 1}),))
    operator = operator_of(done, (6, 4), 3, DegradationFiles({}, {}))
    assert isinstance(operator, Mask) and operator.keep[:, 0].tolist() == [0, 1, 0, 1, 0, 1] and done.linear
    assert not Degradation(operators=(Plugged("every-second-row", linear=False),)).linear
    with pytest.raises(InputError, match=r"the plugin 'every-second-row' of medrestore_example 1.2 does not work .*unexpected"):
        operator_of(Degradation(operators=(Plugged("every-second-row", {"second": 1}),)), (6, 4), 3, DegradationFiles({}, {}))
    with pytest.raises(InputError, match="every-third-row"):
        Plugged("every-third-row")


def raw(path: Path, kspace: np.ndarray) -> Path:
    path.write_bytes(b"RAWLINES" + np.array(kspace.shape, np.int32).tobytes() + kspace.tobytes())
    return path


def kspace() -> np.ndarray:
    real = torch.randn(2, 2, 16, 12, generator=torch.Generator().manual_seed(0))
    return torch.complex(*real).numpy()


def test_a_reader_opens_its_files(installed, tmp_path) -> None:
    path = raw(tmp_path / "a.lines", kspace())
    with pytest.raises(InputError, match=r"a\.lines is of no known k-space format"):
        read_kspace(path)
    example(installed)
    with read_kspace(path, implausible=True) as file:
        assert file.kind == "raw lines" and np.array_equal(file[0].kspace[0].numpy(), kspace())
    assert ".lines" in suffixes()
    path.write_bytes(b"RAWLINES")
    with pytest.raises(InputError, match=r"a\.lines: the plugin 'raw-lines' of medrestore_example 1\.2 does not work \(Val"):
        read_kspace(path)


FRAME_READER = """
import numpy as np
from medrestore.io.frames import FrameFormat, Frames
class Dots(Frames):
    where, size, channels, lossless = 'dots', (4, 6), 3, True
    def __len__(self): return 2
    def _read(self, index): return np.full((4, 6, 3), index, np.uint8)
DOTS = FrameFormat('dots', ('.dots',), lambda path: Dots())
"""


def test_frames_may_be_of_another_format(installed, tmp_path) -> None:
    (tmp_path / "a.dots").touch()
    installed("dots", FRAME_READER, readers={"dots": "DOTS"})
    assert len(open_frames(tmp_path / "a.dots")) == 2
    with pytest.raises(InputError, match=r"a\.spots is of no kind that is read: .*\.dots, or a folder"):
        (tmp_path / "a.spots").touch()
        open_frames(tmp_path / "a.spots")


def test_a_prior_is_a_folder_by_name(installed) -> None:
    place = shipped.priors()["brain-mr-starter"]
    installed("heads", f"from pathlib import Path\nHEAD = Path({str(place)!r})\nNONE = '/nowhere'", priors={"head": "HEAD",
                                                                                                           "none": "NONE"})
    assert find("head") == place and "head" in shipped.prior_names()
    with pytest.raises(InputError, match=r"the plugin 'none' of heads 1\.2 does not work \(heads:NONE is no folder"):
        find("none")


def test_names_of_the_package_cannot_be_taken(installed, bench) -> None:
    installed("thief", "class A: pass", methods={"hqs": "A"}, priors={"brain-mr-starter": "A"})
    assert METHODS["hqs"].__module__ == "medrestore.methods.hqs" and METHODS.plugins == {}
    assert list(METHODS).count("hqs") == 1 and find("brain-mr-starter") == shipped.priors()["brain-mr-starter"]


def test_two_packages_with_one_name_are_passed_over(installed) -> None:
    for name in ("one", "two"):
        installed(name, "class A: pass", methods={"both": "A", f"Of {name}": "A"})
    assert "both" not in METHODS
    told = plugins.passed_over(plugins.METHODS)
    assert told["both of one 1.2"] == "several packages offer this name"
    assert told["Of two of two 1.2"] == "its name is not of small letters, digits, - and +"


BROKEN = {
    "raises": "raise RuntimeError('two\\nlines')", "exits": "import sys; sys.exit('bye')", "has none": "x = 1",
    "is no method": "A = 3", "is no dataclass": "from medrestore.methods import Method\nclass A(Method): pass",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_one_sentence_and_never_the_end(installed, text, tmp_path, capsys) -> None:
    installed("broken", text, methods={"bad": "A"}, readers={"bad-reader": "A"}, operators={"bad-operator": "A"})
    with pytest.raises(InputError, match=r"^the plugin 'bad' of broken 1\.2 does not work \(.*\); mend it or uninstall") as error:
        METHODS["bad"]
    assert "\n" not in str(error.value)
    assert "bad" not in serving(Identity()) and "hqs" in serving(Identity())
    assert main(["recon", "sample:brain-scan", "-o", str(tmp_path / "a.h5"), "--method", "bad"]) == 2
    assert capsys.readouterr().err.count("the plugin 'bad' of broken 1.2 does not work") == 1
    assert read_kspace("sample:brain-scan").shape[0] == 1
    (tmp_path / "a.h6").write_bytes(b"nothing")
    with pytest.raises(InputError, match="known k-space format"):
        read_kspace(tmp_path / "a.h6")
    with pytest.raises(InputError, match="does not work"):
        operator_of(Degradation(operators=(Plugged("bad-operator"),)), (4, 4), 1, DegradationFiles({}, {}))
    assert "bad " in help_text()


@pytest.mark.slow
def test_an_installed_plugin_appears_everywhere(tmp_path) -> None:
    """Installed by pip into a folder, as a user would: help, reference, doctor's list, a restoration and a study."""
    site = tmp_path / "site"
    shutil.copytree(EXAMPLE, tmp_path / "plugin")
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), "./plugin"],
                          capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(site), str(ROOT)))}
    raw(tmp_path / "a.lines", kspace())

    def called(*words: str) -> str:
        made = subprocess.run([sys.executable, "-m", "medrestore", *words], capture_output=True, text=True, cwd=tmp_path,
                              env=environment)
        assert made.returncode == 0, made.stderr
        return made.stdout

    for name in ("halfway", "every-second-row", "raw-lines"):
        assert f"{name} " in called("--help")
    assert "halfway" in called("recon", "--help") and "halfway" in called("restore", "--help")
    assert "raw lines" in called("inspect", "a.lines")
    page = subprocess.run([sys.executable, "-c", "from medrestore.cli.reference import page; print(page())"], cwd=tmp_path,
                          capture_output=True, text=True, env=environment)
    assert "| `halfway` | method | medrestore-example-plugin 0.1 |" in page.stdout, page.stderr
    from PIL import Image

    Image.fromarray(np.linspace(0, 255, 32 * 32).reshape(32, 32).astype(np.uint8)).save(tmp_path / "clean.png")
    steps = '[{"kind": "plugin", "operator": "every-second-row"}]'
    called("degrade", "clean.png", "--operators", steps, "-o", "half.png")
    assert np.asarray(Image.open(tmp_path / "half.png"))[1::2].max() == 0
    called("restore", "half.png", "--method", "halfway", "--steps", "2", "-o", "whole.png")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (32, 32), (200, 90, 30)).save(tmp_path / "pictures" / "a.png")
    study = {"name": "s", "protocol": "natural", "data": {"kind": "pictures", "folder": "pictures"},
             "settings": [{"kind": "plugin", "operator": "every-second-row", "options": {"first": 1}}],
             "methods": {"half": {"method": "halfway", "steps": 2, "prior": "surgical-starter"}}}
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    called("evaluate", "study.yaml", "-o", "study")
    table = (tmp_path / "study" / "results.csv").read_text()
    assert "plugin every-second-row" in table and "half" in table


def test_entries_are_told_apart() -> None:
    one = plugins.Plugin("methods", "a", "p 1", EntryPoint("a", "m:B", plugins.METHODS))
    assert one.place == "m:B" and plugins.NAME.fullmatch("ddnm+") and not plugins.NAME.fullmatch("../x")
