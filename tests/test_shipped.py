"""What comes with the package is found by name, from any folder."""

import re
from pathlib import Path

import pytest

from medrestore import shipped
from medrestore.cli.main import main
from medrestore.errors import InputError

ROOT = Path(__file__).parents[1]


def test_every_config_sample_and_prior_has_a_name():
    for command in ("train", "evaluate", "restore"):
        named = {path.read_bytes() for path in shipped.configs(command).values()}
        assert named == {path.read_bytes() for path in (ROOT / "configs" / command).glob("*.yaml")} != set()
    assert shipped.samples()["brain-scan"].read_bytes() == (ROOT / "data/samples/brain-scan.h5").read_bytes()
    assert set(shipped.priors()) == {path.parent.name for path in (ROOT / "data/priors").glob("*/prior.json")}


def test_a_file_of_the_user_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped.config("quick", "train").parts[-2:] == ("train", "quick.yaml")
    Path("quick").write_text("mine")
    assert shipped.config("quick", "train") == Path("quick")
    assert shipped.scan("scan.h5") == Path("scan.h5")
    Path("sample:brain-scan").write_text("mine")
    assert shipped.scan("sample:brain-scan") == Path("sample:brain-scan")


def test_names_that_are_none():
    with pytest.raises(InputError, match=r"^fast does not exist; .* the package: .*quick") as error:
        shipped.config("fast", "train")
    for name in re.search(r"package: (.*)", str(error.value)).group(1).split(", "):  # the way out that it names works
        assert shipped.config(name, "train").is_file()
    with pytest.raises(InputError, match="there is no 'sample:knee'; the samples are sample:brain-scan"):
        shipped.scan("sample:knee")


@pytest.mark.parametrize("words", ["recon sample:knee", "inspect sample:knee", "train nothing",
                                   "evaluate nothing.yaml -o out",
                                   "recon sample:brain-scan --config nothing"])
def test_commands_refuse_them(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    assert re.search(r"error: .*(samples are sample:brain-scan|comes with the package)", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_commands_find_them(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "sample:brain-scan"]) == 0
    assert "8 coils" in capsys.readouterr().out
