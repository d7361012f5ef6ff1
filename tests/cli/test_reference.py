"""The reference page is that of the code, and names every option and key."""

from medrestore.cli.main import COMMANDS
from medrestore.cli.reference import PLACE, page


def test_the_page_is_up_to_date() -> None:
    assert PLACE.read_text(encoding="utf-8") == page(), "run python -m medrestore.cli.reference"


def test_every_option_is_on_it_with_a_meaning() -> None:
    lines = page().splitlines()
    for command in COMMANDS.values():
        for one in command.options.values():
            name = one.flag if one.positional else ", ".join(one.flags)
            rows = [line for line in lines if line.startswith(f"| `{name}` |")]
            assert rows and all(not row.endswith("|  |") for row in rows), name


def test_bounds_and_nested_keys_are_on_it() -> None:
    text = page()
    assert "| `--steps` | a whole number at least 2 or null | null |" in text
    assert "`MethodConfig`" in text and "### YAML: training of a baseline" in text
