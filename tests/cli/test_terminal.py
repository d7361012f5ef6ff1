"""Progress bars are for people."""

import io
import logging
import os
import shlex
import subprocess
import sys

import pytest

from medrestore.cli import terminal
from medrestore.cli.terminal import complain, progress, say


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


class Broken(io.StringIO):
    """A terminal that has gone."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def isatty(self):
        return True

    def write(self, text):
        raise self.error


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), OSError(28, "No space left on device"), BrokenPipeError(),
                                   UnicodeEncodeError("ascii", "ü", 0, 1, "no such sign"), ValueError("closed")])
def test_no_decoration_ends_the_work(monkeypatch, error):
    monkeypatch.setattr(sys, "stdout", Broken(error))
    monkeypatch.setattr(sys, "stderr", Broken(error))
    say("a line")
    complain("another")
    advance = progress("scan", 2)
    advance()
    advance()


def test_bytes_that_are_no_text_are_shown_by_a_replacement():
    code = (
        "import os, sys; from medrestore.cli.terminal import complain, progress, say, settle_streams, shows_unicode\n"
        "settle_streams(); say(os.fsdecode(b'm\\xfcller')); complain('\\u5934'); print(shows_unicode())"
    )
    for encoding, shown in (("utf-8", (b"m?ller\nTrue\n", "头\n".encode())), ("ascii", (b"m?ller\nFalse\n", b"?\n"))):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True,
                              env={**os.environ, "PYTHONIOENCODING": encoding})
        assert (done.stdout, done.stderr) == shown


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_of_ours_takes_the_place_of_a_closed_stream(tmp_path, closed):
    """A file that got number 2 would be given every line that a C library complains with."""
    code = (
        "import os, sys; from medrestore.cli.terminal import complain, progress, say, settle_streams\n"
        f"settle_streams(); f = open({str(tmp_path / 'out')!r}, 'w'); assert f.fileno() > 2; say('a'); complain('b')\n"
        "advance = progress('x', 1); advance(); os.write(2, b'from C'); f.write('whole'); f.close()"
    )
    subprocess.run(f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} {closed}", shell=True, timeout=60, check=True)
    assert (tmp_path / "out").read_text() == "whole"


@pytest.mark.parametrize(("detail", "said"), [
    ("quiet", ["asked for", "warning: w"]), ("normal", ["by the way", "asked for", "warning: w"]),
    ("verbose", ["by the way", "asked for", "warning: w", "medrestore.x: detail"]),
])
def test_how_much_is_said(capsys: pytest.CaptureFixture[str], detail: str, said: list[str]) -> None:
    terminal.settle_lines(detail)
    terminal.say("by the way")
    terminal.say_answer("asked for")
    terminal.say("warning: w")
    logging.getLogger("medrestore.x").debug("detail")
    terminal.complain("wrong")
    out, err = capsys.readouterr()
    assert [line.partition("] ")[2] or line for line in out.splitlines()] == said and err == "wrong\n"
    terminal.settle_lines()


def test_lines_make_way_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.settle_lines()
    terminal.lines_aside()
    terminal.say("100 % of it")
    assert capsys.readouterr() == ("", "100 % of it\n")
    terminal.settle_lines()


def test_a_bar_that_is_complete_stays_so_and_a_quiet_one_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Bar:
        n, closed = 0, 0

        def __init__(self, **options: object) -> None:
            made.append((self, options))

        def update(self) -> None:
            self.n += 1

        def close(self) -> None:
            self.closed += 1

    monkeypatch.setattr("tqdm.tqdm", Bar)
    for detail, disabled in (("quiet", True), ("normal", None)):
        terminal.settle_lines(detail)
        advance = terminal.progress("x", 2)
        for _ in range(4):
            advance()
        assert made[-1][0].n == 2 and made[-1][1]["disable"] is disabled
    terminal.settle_lines()
