"""`medrestore compare`: two tables in, one honest table out."""

import csv

import pytest

from medrestore.evaluation.tables import write_rows


def rows(gain=0.0, patients=8, *, method="DDS", slices=2, protocol="fastmri-slice", **more):
    """PSNR and NMSE by patient and slice; `gain` grows a little from patient to patient."""
    return [
        {"case": f"file{p}", "patient": f"p{p}", "slice": s, "setting": setting, "accel": 4.0, "method": method, "seed": 0,
         "calls": 49.0, "protocol": protocol, "data_range": 1.0 + p, "psnr": 30 + p + s + gain * (1 + p / 10),
         "nmse": 0.02 - gain / 1000, **more}
        for p in range(patients) for s in range(slices) for setting in ("uniform1d 4x", "uniform1d 8x")
    ]


@pytest.fixture
def two(bench):
    """Folders of two evaluations; the second has one patient fewer and one more method."""
    write_rows(bench / "before/results.csv", rows())
    write_rows(bench / "after/results.parquet", [*rows(1.0, patients=7), *rows(2.0, method="DiffPIR")])
    return bench


def test_compare_matches_says_what_it_left_out_and_tests(two):
    outcome = two.call("compare", two / "before", two / "after")
    assert (outcome.code, outcome.err) == (0, "")
    a, b, _, header, *lines = outcome.out.splitlines()
    assert a.endswith("results.csv, 28 rows matched, 4 only here and left out")
    assert b.endswith("results.parquet, 28 rows matched, 32 only here and left out")
    assert " ".join(header.split()) == "metric setting method patients A B B − A 95 % interval p Holm p B better"
    assert lines[0].split()[:9] == ["PSNR", "(dB)", "uniform1d", "4x", "DDS", "7", "33.50", "34.80", "+1.30"]
    assert lines[0].split()[-3:] == ["0.016", "0.031", "7/7"]  # 2 / 2^7, twice
    assert lines[2].startswith("NMSE") and "-0.0010" in lines[2] and lines[2].endswith("7/7")
    assert "Protocol fastmri-slice" in outcome.out and "Holm over the 2 comparisons" in outcome.out
    assert "smallest p" not in outcome.out


def test_two_methods_of_one_study(two):
    outcome = two.call("compare", two / "after", two / "after", "--method-a", "DDS", "--method-b", "DiffPIR", "--metric", "psnr")
    lines = [line for line in outcome.out.splitlines() if line.startswith(("PSNR", "NMSE"))]
    assert len(lines) == 2 and all("DiffPIR v DDS" in line and "+1.30" in line for line in lines)
    alone = two.call("compare", two / "after", two / "after", "--method-a", "DiffPIR")  # against itself
    assert "+0.00" in alone.out and "0/8" in alone.out


def test_few_patients_are_told_what_they_cannot_show(bench):
    write_rows(bench / "a.csv", rows(patients=4))
    write_rows(bench / "b.csv", rows(1.0, patients=4, psnr=float("inf")))
    out = bench.call("compare", bench / "a.csv", bench / "b.csv").out
    assert "With 4 patients the smallest p that Wilcoxon's test can give is 0.125" in out
    assert "PSNR" not in out.split("Protocol")[0]  # nothing finite to compare


def test_perfect_slices_are_counted(bench):
    write_rows(bench / "a.csv", rows())
    write_rows(bench / "b.csv", [{**row, "psnr": float("inf")} if row["slice"] == 0 else row for row in rows(1.0)])
    assert "16 scores that are missing or not finite" in bench.call("compare", bench / "a.csv", bench / "b.csv").out


def test_tables_are_written_for_papers(two):
    for suffix in ("csv", "md", "tex"):
        outcome = two.call("compare", two / "before", two / "after", "-o", two / f"out/table.{suffix}")
        assert outcome.code == 0 and outcome.out.splitlines()[-1] == str(two / f"out/table.{suffix}")
    with (two / "out/table.csv").open(newline="", encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert first["against"] == "DDS" and float(first["difference"]) == pytest.approx(1.3) and float(first["p"]) == 2 / 2**7
    assert "| PSNR (dB) | uniform1d 4x | DDS | 7 | 33.50 | 34.80 | +1.30 |" in (two / "out/table.md").read_text(encoding="utf-8")
    assert r"B $-$ A & 95 \% interval" in (two / "out/table.tex").read_text(encoding="utf-8")
    assert sorted(file.name for file in (two / "out").iterdir()) == ["table.csv", "table.md", "table.tex"]


def test_the_same_seed_gives_the_same_table(two):
    write_rows(two / "uneven.csv", [{**row, "psnr": row["psnr"] + row["data_range"] ** 1.7} for row in rows()])

    def table(seed):
        two.call("compare", two / "before", two / "uneven.csv", "--seed", seed, "-o", two / "table.csv", "--overwrite")
        return (two / "table.csv").read_text(encoding="utf-8")

    assert table(1) == table(1) != table(2)


def test_a_table_is_replaced_when_asked_to(two):
    words = ("compare", two / "before", two / "after", "-o", two / "table.csv")
    (two / "table.csv").write_text("mine")
    refused = two.call(*words)
    assert refused.code == 2 and "table.csv exists; pass --overwrite to replace it, or another -o" in refused.err
    assert (two / "table.csv").read_text() == "mine" and refused.out == ""
    assert two.call(*words, "--overwrite").code == 0 and (two / "table.csv").read_text() != "mine"


@pytest.mark.parametrize(("second", "words", "sentence"), [
    (rows(protocol="fastmri"), (), "scored by the protocol fastmri-slice and"),
    (rows() + rows(protocol="fastmri"), (), "rows of several protocols (fastmri, fastmri-slice)"),
    (rows(method="TV"), (), "share no case, slice, setting and method"),
    (rows(), ("--method-a", "VarNet"), "has no method 'VarNet'; it has DDS"),
    (rows(), ("--metric", "mse"), "there is no metric 'mse' in fastmri-slice; there are psnr, ssim, nmse"),
    (rows(), ("--metric", "ssim"), "no numbers of ssim in common"),
    (rows(data_range=7.0), (), "case file0 was scored against the range 1 in A and 7 in B"),
    (rows(), ("-o", "table.pdf"), "must end in .csv, .md, .tex"),
    (rows(), ("-o", "b.csv"), "is one of the tables that are compared"),
])
def test_refusals(bench, monkeypatch, second, words, sentence):
    write_rows(bench / "a.csv", rows())
    write_rows(bench / "b.csv", second)
    monkeypatch.chdir((bench / "a.csv").parent)
    outcome = bench.call("compare", "a.csv", "b.csv", *words)
    assert outcome.code == 2 and sentence in outcome.err and outcome.err.count("\n") == 1


def test_a_folder_without_results(bench):
    (bench / "empty").mkdir()
    assert "holds no results.parquet and no results.csv" in bench.call("compare", bench / "empty", bench / "empty").err
    assert "does not exist" in bench.call("compare", bench / "none.csv", bench / "empty/none.csv").err
