"""Questions about Parquet tables, asked without a process between."""

import json

import pytest

pyarrow = pytest.importorskip("pyarrow")
module = pytest.importorskip("medrestore.child.parquet")


def ask(path, table, **limits):
    module.parquet.write_table(pyarrow.table(table), path)
    return module.Tables().answer({"file": 0, "path": str(path), "locking": True, "question": "table",
                            "arguments": {"largest": 1 << 20, "longest": 20, **limits}})


def test_columns_as_json(tmp_path):
    about, (data,) = ask(tmp_path / "a.parquet", {"case": ["a", None, "é"], "slice": [1, 2, None], "psnr": [0.5, None, 1e300]})
    assert about == {"names": ["case", "slice", "psnr"]}
    assert json.loads(data.tobytes()) == [["a", None, "é"], [1, 2, None], [0.5, None, 1e300]]


@pytest.mark.parametrize(("table", "limits", "wrong"), [
    ({"case": ["a" * 30]}, {}, {"wrong": "text"}), ({"case": [[1]]}, {}, {"wrong": "kind", "column": "case"}),
    ({"case": ["a"]}, {"largest": 3}, {"wrong": "size"})])
def test_tables_that_are_none_of_scores(tmp_path, table, limits, wrong):
    assert ask(tmp_path / "a.parquet", table, **limits) == (wrong, [])


def test_what_json_has_no_word_for_is_text():
    assert [module.plain_cell(value) for value in (None, 1, True, "a", b"a")] == [None, 1, True, "a", "b'a'"]
