"""Progress bars are for people."""

import io
import sys

import pytest

from medrestore.cli.terminal import progress, say


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, True), (io.StringIO, False)])
def test_bars_only_on_a_terminal(monkeypatch, stream, shown):
    monkeypatch.setattr(sys, "stderr", stream())
    advance = progress("scan.h5", 3)
    for _ in range(3):
        advance()
    assert ("scan.h5" in sys.stderr.getvalue()) == shown


def test_lines_are_written_at_once(capsys):
    say("a line")
    assert capsys.readouterr().out == "a line\n"
