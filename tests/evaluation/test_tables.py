"""Rows come back as they were written, and tables read as papers print them."""

import pickle
from math import inf, nan
from pathlib import Path

import pytest

from medrestore.errors import InputError
from medrestore.evaluation.statistics import Cell
from medrestore.evaluation.tables import TableEntry, csv_text, latex, markdown, read_rows, table_grid, write_rows

ROW = {"case": "file, 1", "patient": "007", "slice": 3, "setting": "uniform1d 4x", "accel": 3.97, "method": "DDS \"49\"",
       "seed": 1, "calls": 49, "protocol": "fastmri-slice", "psnr": 0.1 + 0.2, "nmse": None}
OTHER = {"case": "2", "patient": "p", "slice": None, "setting": "4x", "accel": None, "method": "TV", "seed": 0, "calls": 0.0,
         "protocol": "fastmri-slice", "psnr": inf, "nmse": 1e-300, "note": "3 coils", "lpips": None}


def cell(setting, method, mean, metric="psnr", **values):
    numbers = {"sd": 1.0, "median": mean, "q1": mean - 1, "q3": mean + 1, "low": mean - 0.5, "high": mean + 0.5}
    return Cell(setting, method, metric, mean, **(numbers | values), patients=9, rows=90)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_come_back(tmp_path, suffix):
    path = tmp_path / "new" / f"results.{suffix}"
    write_rows(path, [ROW, OTHER])
    first, second = read_rows(path)
    assert first == {**ROW, "note": None, "lpips": None} and second == OTHER
    assert (type(first["slice"]), type(first["calls"]), type(first["patient"])) == (int, float, str)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    write_rows(path, [])
    with pytest.raises(InputError, match=r"(no column is named case|is empty)"):
        read_rows(path)


def test_parquet_is_what_pandas_reads(tmp_path):
    import pandas

    write_rows(tmp_path / "results.parquet", [ROW, OTHER])
    frame = pandas.read_parquet(tmp_path / "results.parquet")
    assert list(frame["case"]) == ["file, 1", "2"] and frame["psnr"][0] == ROW["psnr"]


def test_scores_that_were_not_asked_for_say_so(tmp_path):
    write_rows(tmp_path / "a.csv", [ROW, OTHER])
    header, first, second = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert header.endswith("psnr,nmse,note,lpips")
    assert first.endswith("0.30000000000000004,,,") and second.endswith("inf,1e-300,3 coils,not computed")


def test_whole_numbers_may_be_written_as_others(tmp_path):
    """pandas makes 1.0 of a slice where another is empty; 1.5 is never cut to 1, in no format."""
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "a.csv").write_text("case,slice\na,1.0\na,\n")
    assert [row["slice"] for row in read_rows(tmp_path / "a.csv")] == [1, None]
    parquet.write_table(pyarrow.table({"case": ["a"], "slice": [1.5]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"slice has the value .1.5., which is no whole number"):
        read_rows(tmp_path / "a.parquet")


def test_tables_that_are_none(tmp_path):
    def refused(name, content, sentence):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=sentence):
            read_rows(path)

    refused("a.csv", b"case,psnr\na,3\nb\n", "lines of different lengths")
    refused("a.csv", b"case,psnr\na,high\n", "a.csv: psnr has the value 'high', which is no number")
    refused("a.csv", b"case,slice\na,1.5\n", "no whole number")
    refused("a.csv", b"case,case\na,b\n", "twice")
    refused("a.csv", b"volume,psnr\na,1\n", "no column is named case")
    refused("a.csv", b"\xff\xfe\x00", "not UTF-8 text .*; save it as UTF-8")
    refused("a.parquet", b"PAR1 nothing", "not a whole Parquet file")
    refused("a.xlsx", b"", "no .csv and no .parquet")
    with pytest.raises(InputError, match="does not exist"):
        read_rows(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"is no \.csv"):
        write_rows(tmp_path / "a.txt", [ROW])
    with pytest.raises(InputError, match="seed has the value 'x'"):
        write_rows(tmp_path / "b.csv", [{**ROW, "seed": "x"}])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_rows(tmp_path / "file" / "a.csv", [ROW])


def test_hostile_parquet_is_not_expanded(tmp_path, monkeypatch):
    import pyarrow
    from pyarrow import parquet

    monkeypatch.setattr("medrestore.evaluation.tables.LARGEST", 1 << 20)
    parquet.write_table(pyarrow.table({"case": pyarrow.nulls(1_000_000, pyarrow.int32())}), tmp_path / "many.parquet")
    with pytest.raises(InputError, match="declares a table of more"):
        read_rows(tmp_path / "many.parquet")
    parquet.write_table(pyarrow.table({"case": ["x" * 5000] * 1000}), tmp_path / "long.parquet")
    with pytest.raises(InputError, match="more than 4096 characters"):
        read_rows(tmp_path / "long.parquet")
    parquet.write_table(pyarrow.table({"case": [[1, 2]]}), tmp_path / "nested.parquet")
    with pytest.raises(InputError, match="more than text and numbers in 'case'"):
        read_rows(tmp_path / "nested.parquet")


def test_grid_marks_the_best_as_printed():
    cells = [cell("4x", "A", 30.001), cell("4x", "B", 30.004), cell("4x", "C", 29.0), cell("8x", "C", 27.0),
             cell("8x", "B", 28.0)]
    header, lines = table_grid(cells)
    assert header == ["method", "4x", "8x"]
    assert lines == [["A", "30.00 ± 1.00", "-"], ["B", "30.00 ± 1.00", "28.00 ± 1.00"], ["C", "29.00 ± 1.00", "27.00 ± 1.00"]]
    assert [[entry.mark for entry in line[1:]] for line in lines] == [["best", ""], ["best", "best"], ["second", "second"]]


def test_grid_knows_the_good_end_and_the_digits():
    cells = [*(cell("4x", method, mean, "nmse") for method, mean in (("A", 0.02), ("B", 0.01), ("C", 0.03))),
             cell("4x", "A", 30.0), cell("4x", "mine", 1.0, "own")]
    header, lines = table_grid(cells, show="mean")
    assert header == ["method", "4x, NMSE", "4x, PSNR (dB)", "4x, own"]
    assert lines[0] == ["A", "0.0200", "30.00", "-"] and lines[3] == ["mine", "-", "-", "1.0000"]
    assert [line[1].mark for line in lines] == ["second", "best", "", ""]
    assert not lines[0][2].mark  # alone is not best
    header, _ = table_grid([cell("s", "A", 1.0, "consistency"), cell("s", "A", 1.0)], protocol="dreaming-official")
    assert header[1] == "s, consistency term"


def test_grid_shows_what_is_asked_and_leaves_out_what_is_unknown():
    cells = [cell("4x", "A", 30.0, median=1.0, q1=0.5, q3=2.0), cell("4x", "B", 29.0, median=3.0, sd=nan, low=nan)]
    assert [line[1] for line in table_grid(cells)[1]] == ["30.00 ± 1.00", "29.00"]
    assert [line[1] for line in table_grid(cells, show="mean [low, high]")[1]] == ["30.00 [29.50, 30.50]", "29.00"]
    _, lines = table_grid(cells, show="median [q1, q3]")
    assert lines[0][1] == "1.00 [0.50, 2.00]" and lines[1][1].mark == "best"  # ranked by the median
    assert table_grid([cell("4x", "A", nan), cell("8x", "A", 1.0)])[1] == [["A", "-", "1.00 ± 1.00"]]
    assert table_grid([]) == (["method"], [])
    with pytest.raises(InputError, match="cannot show 'all'"):
        table_grid(cells, show="all")


def test_markdown_latex_and_csv():
    header = ["method", "a_b, 4x"]
    lines = [["DDS | x", TableEntry("1 ± 2", "best")], ["50% & {T}V\\", TableEntry("1", "second")], ["HQS", TableEntry("-")]]
    assert markdown(header, lines).splitlines() == [
        "| method | a_b, 4x |", "| --- | ---: |", "| DDS \\| x | **1 ± 2** |", "| 50% & {T}V\\ | <ins>1</ins> |", "| HQS | - |"]
    assert latex(header, lines, "x_1 < 3").splitlines() == [
        r"\begin{table}", r"  \centering", r"  \caption{x\_1 $<$ 3}", r"  \begin{tabular}{lr}", r"    \toprule",
        r"    method & a\_b, 4x \\", r"    \midrule", r"    DDS \textbar{} x & \textbf{1 $\pm$ 2} \\",
        r"    50\% \& \{T\}V\textbackslash{} & \underline{1} \\", r"    HQS & - \\", r"    \bottomrule", r"  \end{tabular}",
        r"\end{table}"]
    assert csv_text(header, lines) == 'method,"a_b, 4x"\nDDS | x,1 ± 2\n50% & {T}V\\,1\nHQS,-\n'


def test_entries_travel():
    entry = pickle.loads(pickle.dumps(TableEntry("1", "second")))
    assert entry == "1" and entry.mark == "second"


@pytest.mark.parametrize("label", ["=1+1", "+A1", "-2+3", "@SUM(A1)", "\tx", "'=1", "''=1", "'quoted'", "-", "=", "- x"])
def test_no_label_is_a_formula_in_a_spreadsheet(label: str, tmp_path: Path) -> None:
    rows = [{"case": label, "method": label, "psnr": -1.5, "misfit": -0.25, "note": label}]
    write_rows(tmp_path / "a.csv", rows)
    assert read_rows(tmp_path / "a.csv") == rows
    for cell in (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[-1].split(","):
        assert cell in ("-", "=", "-1.5", "-0.25") or cell.lstrip('"')[0] not in "=+-@\t", cell
    assert csv_text(["=h"], [["-1.5 ± 0.1"], ["-1.5"], ["+0.5"]]) == "'=h\n'-1.5 ± 0.1\n-1.5\n+0.5\n"


def test_a_parquet_table_whose_text_is_none(tmp_path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"case": ["brain-7"]}), tmp_path / "a.parquet", compression="none", write_statistics=False)
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data.replace(b"brain-7", b"br\xff\xfein7"))
    with pytest.raises(InputError, match=r"a\.parquet is not a whole Parquet file"):
        read_rows(tmp_path / "a.parquet")


@pytest.mark.parametrize(("name", "content"), [
    ("a.csv", b"\xef\xbb\xbfcase,psnr\r\na,31.5\r\n"),
    ("a.csv", b"\xef\xbb\xbfcase;psnr\r\na;31,5\r\n"),
    ("a.csv", b"case\tpsnr\na\t31.5\n"),
    ("A.CSV", b"case,psnr\na,31.5\n"),
])
def test_tables_that_a_spreadsheet_saved_again(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert read_rows(tmp_path / name) == [{"case": "a", "psnr": 31.5}]
