"""Advice of the program's sentences: names in it exist, and each way out is followed by a test or listed with the reason why not.

`tests/advice/` follows it by kind: a sentence is provoked, what it says is read out of it and done, and works. There `@follows`
names what is followed; `ELSEWHERE` names tests of the modules that do; `NOT_FOLLOWED` says of the rest why none can.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from medrestore.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "medrestore"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
PLAIN = {"null", "none", "off"}  # values, not names
PROGRAMS = {"python"} | sys.stdlib_module_names  # whose lines stand in backticks, too


def literal(node: ast.expr) -> str:
    """A string, or an f-string with {} in the place of its values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def sentences(tree: ast.Module) -> Iterator[str]:
    """All texts of a module but for its documentation, and for what objects are shown as."""
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    shown = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__repr__")
    parts |= {id(value) for function in shown for value in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            parts |= {id(node.value)}
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in parts:
            yield literal(node)


def names() -> set[str]:
    """Fields, parameters, functions and classes of the package."""
    found: set[str] = set()
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found | set(COMMANDS)


@cache
def texts(path: Path) -> tuple[str, ...]:
    """The sentences of a module, which several tests go through."""
    return tuple(sentences(TREES[path]))


def advised(pattern: str) -> set[str]:
    """Whatever a pattern finds in the sentences, outside of the command line's own texts on options."""
    return {
        match
        for path in TREES
        if path.name not in ("reference.py", "command.py")
        for sentence in texts(path)
        for match in re.findall(pattern, sentence)
    }


def distributions() -> set[str]:
    """What can be installed: the packages that this one names, and this one with each of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    plain = {re.split(r"[><=\[ ]", line)[0] for line in named}
    return plain | {f"medrestore[{extra}]" for extra in extras} | {"medrestore[{}]"}


def test_names_in_backticks_are_fields_parameters_or_functions() -> None:
    found, known = advised(r"`([^`]+)`"), names() | PLAIN
    assert len(found) > 30
    first = {text: re.split(r"[ .(=:]", text)[0] for text in found if not text.startswith(("(", "{"))}
    assert {
        text
        for text, word in first.items()
        if word not in known | PROGRAMS and not word.startswith("--") and text.rpartition(".")[2] not in known
    } == set()


def test_packages_that_are_to_be_installed_are_those_of_this_project() -> None:
    found = {name.strip("'\"") for name in advised(r"pip install ((?:-U )?['\"]?[\w\[\]{}-]+)")}
    assert found and found <= distributions(), found - distributions()


@pytest.mark.parametrize("words", sorted(advised(r"\bmedrestore ([a-z]+) (?:-|[A-Z./])")))
def test_commands_exist(words: str) -> None:
    assert words in COMMANDS


VERBS = (
    "give|take|pass|leave|set|name|write|choose|run|see|use|state|restore|score|select|call|crop|pad|load|train|convert|save|copy|"
    "correct|check|look|raise|lower|make|move|start|estimate|compute|scale|sort|add|keep|trust|install|rename|remove|wait|reload|"
    "drop|begin|cancel|draw|compose|wrap|mend|bring|weight|allow|repeat|average|split|try|reconstruct|resume|close|ask|cut|fill"
)
WAY_OUT = re.compile(rf"[;:,] (?:or |and |best |then |where [^,;]*, )?(?:{VERBS})\b")
ELSEWHERE = {  # a name or phrase, and the test that follows it
    "`adapt`": "recon/test_adaptation.py::test_a_prior_that_is_no_network_is_refused",
    "`contrasts`": "datasets/test_contrasts.py::",
    "`reference`": "datasets/test_contrasts.py::",
    "`reference_image`": "recon/test_reference.py::",
    "--reference-image": "recon/test_reference.py::",
    "`blur_std`": "cli/test_restore.py::test_every_task_goes_there_and_back",
    "`kernel_size`": "cli/test_restore.py::test_every_task_goes_there_and_back",
    "`separate`": "recon/test_frames.py::test_frames_are_images_of_their_own_on_a_fourth_axis",
    "`classifier`": "priors/test_opening.py::test_the_class_is_heard",
    "`guidance`": "priors/test_opening.py::test_the_class_is_heard",
    "`label`": "priors/test_opening.py::test_the_class_is_heard",
    "`labels`": "training/test_conditioning.py::",
    "--label": "cli/test_restore.py::test_a_prior_of_classes_needs_one",
    "--classifier": "priors/convert/test_adm_classifier.py::",
    "more `steps`": "recon/test_fit.py::test_a_prior_of_other_images_is_found_and_the_right_one_is_not",
    "`select.{}`": "io/kspace/test_counters.py::test_each_counter_can_be_selected",
    "`select`": "io/kspace/test_counters.py::test_each_counter_can_be_selected",
    "`implausible`": "recon/test_files.py::test_implausible_data_are_refused_with_options_that_help",
    "`uncentred`": "io/kspace/test_plausible.py::test_the_advice_works",
    "by `axes`": "io/kspace/test_plausible.py::test_the_advice_works",
    "`axes`": "io/kspace/test_arrays.py::test_generic_hdf5",
    "as axes=": "io/kspace/test_arrays.py::test_real_and_imaginary_parts_as_channels",
    "axes={}": "io/kspace/test_arrays.py::test_generic_hdf5",
    "dataset='kspace'": "io/kspace/test_arrays.py::test_generic_hdf5",
    "HDF5_USE_FILE_LOCKING=FALSE": "io/test_causes.py::test_a_file_in_use_is_called_so_and_the_advice_works",
    "where you trust it, run {}": "priors/convert/test_load.py::test_the_line_of_a_refusal_can_be_pasted",
    "`retry_failed`": "tasks/test_run.py::test_a_known_failure_is_tried_again_when_asked_or_with_another_key",
    "--retry-failed": "tasks/test_run.py::test_a_known_failure_is_tried_again_when_asked_or_with_another_key",
    "`slices`": "recon/test_preparation.py::test_slices_of_which_nothing_was_sampled",
    "`refine_maps`": "mri/test_joint.py::test_refusals",
    "`fallback`": "recon/test_fit.py::test_a_prior_of_other_images_is_found_and_the_right_one_is_not",
    "`options`": "recon/test_restoring.py::test_an_image_that_explains_nothing_is_refused",
    "`spectral_gb`": "recon/test_checks.py::test_methods_that_need_the_spectrum",
    "`max_upload_gb`": "serve/test_app.py::test_a_file_that_is_too_large_is_not_kept",
    "`batch_size`": "test_allocator.py::test_a_cpu_that_runs_out_of_memory_halves_the_batch",
    "--batch-size": "test_allocator.py::test_a_cpu_that_runs_out_of_memory_halves_the_batch",
    "`window`": "images/test_restore.py::test_windows_that_do_not_suit_are_refused",
    "`interval`": "images/test_coordinates.py::test_white_is_a_quantile",
    "`codecs.Padded`": "test_problem.py::",
    "`sizes`": "inversion/test_blind.py::test_settings_are_checked",
    "`size`": "baselines/test_self_deblur.py::test_image_and_kernel_make_the_data",
    "`sample`": "inversion/test_trajectory.py::test_the_map_of_a_gaussian_prior_is_its_closed_form",
    "`anonymous`": "training/test_config.py::test_paths_are_stored_as_names",
    "--from": "cli/test_recon.py::test_rerun",
    "--trajectory": "cli/test_recon.py::test_rerun_refuses_other_inputs",
    "--maps": "cli/test_recon.py::test_rerun_refuses_other_inputs",
    "--prior": "cli/test_recon.py::test_rerun_refuses_other_inputs",
    "as SCAN": "cli/test_recon.py::test_rerun_refuses_other_inputs",
    "--method-a": "cli/test_compare.py::test_two_methods_of_one_study",
    "--method-b": "cli/test_compare.py::test_two_methods_of_one_study",
    "--port": "cli/test_serve.py::test_a_port_that_is_taken",
    "--priors": "cli/test_serve.py::test_priors_that_the_page_offers",
    "--truth": "cli/test_restore.py::test_every_task_goes_there_and_back",
    "--device": "cli/test_device.py::test_the_cpu_is_always_usable",

    "num_heads=4": "priors/convert/test_adm.py::test_what_does_not_fit_is_said_in_a_sentence",
    "num_head_channels": "priors/convert/test_monai.py::test_what_no_tensor_tells_must_be_given",
    "low=0 and high=1": "priors/convert/test_adm.py::test_the_range_of_one_channel_must_be_told",
    "image_size=256": "priors/convert/test_ddpm.py::test_the_size_must_be_told_where_nothing_tells_it",
    "prediction=epsilon": "priors/convert/test_folder.py::test_without_a_scheduler_a_user_may_say_it",
    "give for example": "priors/convert/test_monai.py::test_what_no_tensor_tells_must_be_given",
    "copy the one that is wanted": "priors/convert/test_folder.py::test_shards_are_joined_and_variants_named",
    "averaged weights (EMA) by their names": "priors/convert/test_identify.py::test_averaged_weights_beside_the_file_are_named",
    "the name of a config that comes with the package": "test_shipped.py::test_names_that_are_none",
    "allow the run to resume": "training/test_run.py::",
    "resume to add them": "io/scenes/test_writer.py::test_killed_and_resumed_gives_the_same_bytes",
    "multiples of {}; pad": "priors/test_latent.py::",
    "have no place in the patient": "cli/test_restore.py::test_moduli_of_a_transform",
}
OWNER, MACHINE, OTHER, PLACE = (
    "only whoever holds the whole file can give it",
    "the machine has to change, not the call",
    "a run of its own length, which no test has time for",
    "a place to look at, nothing that changes",
)
NOT_FOLLOWED = {
    r"\b(copy|export|download|unpack|convert|save|write|make|restore|estimate|compute|fill) (it|them|both|the \w+|this)\b"
    r".* (again|from)"
    r"|again with|copy (it )?again|copy the (\w+|\{\}) again"
    r"|take (it|the whole folder|the bundle) from|another snapshot|was published"
    r"|pytorch-fid publishes|once it is complete|run (this )?again": OWNER,
    r"close (other|programs)|end other|make room|memory is short|read permission|fewer workers|dask|launcher|larger computer"
    r"|smaller batch|needs a GPU|take fp32|another run is|can be read and written|pip install|run: |uninstall|one by one$"
    r"|cancel one|try \{\} of": MACHINE,
    r"best weight|lower is better|do it alone|see (the chapter|data/)|check |look (at|whether)|to see more|keep it to yourself"
    r"|copy the address|ask whoever|do not trust": PLACE,
    r"the codes have a std of": OTHER,
}


@cache
def ways_out() -> dict[str, str]:
    """Sentences that advise something, with the module that says each."""
    return {
        line: str(path.relative_to(PACKAGE))
        for path in TREES
        if path.parent.name != "report"
        for sentence in texts(path)
        if WAY_OUT.search(line := " ".join(sentence.split())) and "\n" not in sentence
    }


@cache
def followed() -> frozenset[str]:
    """What `@follows` names in tests/advice, and the sentences of the rows there."""
    calls = (
        node
        for path in (ROOT / "tests" / "advice").glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    named = {"follows": slice(None), "case": slice(1), "damage": slice(1)}
    return frozenset(
        literal(argument) for call in calls if call.func.id in named for argument in call.args[named[call.func.id]]
    )


def test_every_name_that_is_a_way_out_is_followed() -> None:
    """Fields in backticks, and options of the command line."""
    told = ways_out()
    names_told = {f"`{name}`" for line in told for name in re.findall(r"`([^`]+)`", line)}
    names_told -= {"`degrade`", "`restore`", "`{}`"}  # a command, and a function beside another that is followed
    names_told |= {
        option
        for line, path in told.items()
        if path.startswith("cli/")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)
    }
    known = followed() | set(ELSEWHERE)
    assert {name for name in names_told if not any(name in one or one in name for one in known)} == set()


def test_every_way_out_is_followed_or_listed_with_its_reason() -> None:
    known = followed() | set(ELSEWHERE)
    rest = [line for line in ways_out() if not any(one in line for one in known)]
    assert [line for line in rest if not any(re.search(pattern, line) for pattern in NOT_FOLLOWED)] == []


def test_figures_of_the_documentation_are_those_counted_here() -> None:
    """To ten, so that a sentence more or less changes nothing."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    known, told = followed() | set(ELSEWHERE), ways_out()
    rest = [line for line in told if not any(one in line for one in known)]
    reasons = [next(why for pattern, why in NOT_FOLLOWED.items() if re.search(pattern, line)) for line in rest]
    counted = [len(told), len(told) - len(rest), *(reasons.count(why) for why in (OWNER, MACHINE, PLACE))]
    figures = r"of some (\d+) [^;]*?\s(\d+) are\s+followed,.*?rest\s+(\d+) say .*? (\d+) that the machine.*?(\d+) where"
    said = re.search(figures, text, re.S)
    assert said and all(abs(int(number) - count) <= 10 for number, count in zip(said.groups(), counted, strict=True)), counted


@pytest.mark.parametrize("place", sorted(set(ELSEWHERE.values())))
def test_tests_that_follow_advice_are_there(place: str) -> None:
    path, _, name = place.partition("::")
    assert f"def {name or 'test_'}" in (ROOT / "tests" / path).read_text(encoding="utf-8")


def test_phrases_that_are_followed_are_said() -> None:
    lines = [" ".join(sentence.split()) for path in TREES for sentence in texts(path)]
    assert {
        one for one in followed() | set(ELSEWHERE) if not one.startswith(("`", "--")) and not any(one in line for line in lines)
    } == set()
