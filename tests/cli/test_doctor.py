"""`doctor` where something is broken: it says so, and goes on to the next check."""

import pytest

from medrestore import shipped


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'sigpy'"), RuntimeError("two\nlines"), ValueError()])
def test_a_check_that_cannot_run_has_failed(bench, monkeypatch, error):
    def broken(*arguments, **options):
        raise error

    monkeypatch.setattr("medrestore.priors.load", broken)
    outcome = bench.call("doctor")
    said = " ".join(str(error).split()) or "ValueError"
    lines = [f"FAIL the prior {name} loads and runs ({said})" for name in shipped.priors()]
    assert outcome.code == 1 and outcome.err == "" and outcome.out.splitlines()[-len(lines) :] == lines
    assert outcome.out.count("\nok ") == 2
