"""`demo` refuses before it works."""

import pytest


@pytest.mark.parametrize(("words", "said"), [
    (("-o", "."), "is no .png"), (("--steps", 1), "--steps must be at least 2"), (("--accel", 0.5), "at least 1"),
])
def test_refusals(bench, words, said):
    outcome = bench.call("demo", *words)
    assert outcome.code == 2 and said in outcome.err and outcome.out == ""


def test_a_folder_is_no_picture(bench):
    (bench / "x.png").mkdir()
    outcome = bench.call("demo", "-o", bench / "x.png")
    assert outcome.code == 2 and "x.png is a folder; give -o the name of a picture" in outcome.err and outcome.out == ""


def test_a_picture_is_not_replaced_without_leave(bench):
    (bench / "x.png").write_bytes(b"precious")
    outcome = bench.call("demo", "-o", bench / "x.png")
    assert outcome.code == 2 and "x.png exists; pass --overwrite to replace it" in outcome.err
    assert (bench / "x.png").read_bytes() == b"precious"
