"""Rows of scores in files, and tables as papers print them: Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import isnan
from pathlib import Path
from typing import Any, Literal, get_args

from ..child import Limits, shared
from ..errors import InputError
from ..extras import extra
from ..files import has_suffix, new_file, text_of
from ..io.causes import cause
from .protocols import KNOWN, Metric
from .protocols import metric as metric_by_name
from .statistics import Cell

Show = Literal["mean", "mean ± sd", "mean [low, high]", "median [q1, q3]"]
Mark = Literal["", "best", "second"]
TEXT = {"case", "patient", "setting", "method", "protocol"}
WHOLE = {"slice", "seed"}
NUMBERS = {"accel", "calls", "data_range"} | set(KNOWN)
PERCEPTUAL = {"lpips", "fid"}  # None is a score that was not asked for
NOT_COMPUTED = "not computed"
MISSING = "-"
LARGEST = 1 << 29  # bytes of a table
# how a cell begins that a spreadsheet takes for one, or that was kept from it
FORMULA = re.compile(r"'*[=+\-@\t\r].")
PARSING = Limits(memory=2 << 30, seconds=60.0, answer=LARGEST)  # of a Parquet table
LONGEST = 4096  # characters of a label
DECIMAL_COMMA = re.compile(r"^(-?\d+),(\d+(?:[eE][-+]?\d+)?)$")
LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
         "}": r"\}",
         "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "×": r"$\times$", "−": "$-$",
         "<": r"$<$",
         ">": r"$>$", "|": r"\textbar{}"}


class TableEntry(str):
    """The text of one place in a table, and whether it is the `best` or the `second` of its column."""

    __slots__ = ("mark",)
    mark: Mark

    def __new__(cls, text: str, mark: Mark = "") -> TableEntry:
        entry = super().__new__(cls, text)
        entry.mark = mark
        return entry


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as .csv or .parquet, one column a key in the order in which keys come up; written whole or not at
    all.

    A missing value is an empty place (null in Parquet). In CSV a perceptual score that is None reads "not
    computed", and numbers have all digits, so that `read_rows` gives them back exactly.

    Raises:
        InputError: another suffix, a value that is no text, number or None, or a place that cannot be
            written.
    """
    path = Path(path)
    write = {".csv": _write_csv, ".parquet": _write_parquet}.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path} is no .csv and no .parquet; name the table by one of them.")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with new_file(path) as temporary:
        write(temporary, columns, rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    kinds = {name: _kind(name, [row.get(name) for row in rows]) for name in columns}

    def text(row: Mapping[str, Any], column: str) -> str:
        if row.get(column) is None:
            return NOT_COMPUTED if column in row and column in PERCEPTUAL else ""
        value = _typed_cell(column, row[column], kinds[column])
        return value if isinstance(value, str) else repr(value)

    rendered = csv_text(columns, [[text(row, column) for column in columns] for row in rows])
    path.write_text(rendered, encoding="utf-8", errors="replace", newline="")


def _write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    arrow, parquet = _arrow(path)
    types, arrays = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}, {}
    for name in columns:
        values = [row.get(name) for row in rows]
        kind = _kind(name, values)
        arrays[name] = arrow.array([None if value is None else _typed_cell(name, value, kind) for value in values],
                                   types[kind])
    parquet.write_table(arrow.table(arrays), path)


def _kind(column: str, values: Iterable[Any]) -> type:
    """The type of a column: by its name, or, for other names, text as soon as one value is no number."""
    if column in TEXT or column in WHOLE or column in NUMBERS:
        return str if column in TEXT else int if column in WHOLE else float
    return float if all(value is None or _is_number(value) for value in values) else str


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _typed_cell(column: str, value: Any, kind: type) -> str | int | float:
    """A value as the kind of its column has it."""
    try:
        return _whole_number(value) if kind is int else kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{column} has the value {str(value)[:60]!r}, which is no {'whole ' * (kind is int)}number; "
                         "correct it or leave it empty.") from error


def _whole_number(value: Any) -> int:
    """1, "1" and 1.0 alike; 1.5 is none, and neither is infinity."""
    try:
        return int(str(value))
    except ValueError:
        number = float(value)
        if not number.is_integer():
            raise
        return int(number)


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a .csv or .parquet table: text, whole numbers and floats by the names of the columns, None
    where empty.

    Raises:
        InputError: no such file, no table of scores, or one too large.
    """
    path = Path(path)
    read = _read_csv if has_suffix(path, (".csv",)) else _read_parquet if has_suffix(path, (".parquet",)) else None
    if read is None or not path.is_file():
        raise InputError(f"{path} {'does not exist' if read else 'is no .csv and no .parquet'}; give a table of scores.")
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path} is larger than 512 MiB, which no table of scores is.")
    columns, lines = read(path)
    if "case" not in columns or len(set(columns)) < len(columns):
        wrong = "no column is named case" if "case" not in columns else "a column is there twice"
        raise InputError(f"{path} is no table of scores: {wrong}.")
    table: dict[str, list[Any]] = {}
    by_column: Sequence[Sequence[Any]] = list(zip(*lines, strict=True)) or [()] * len(columns)
    for name, values in zip(columns, by_column, strict=True):
        present = [None if value in ("", NOT_COMPUTED) else value for value in values]
        kind = _kind(name, present)
        try:
            table[name] = [None if value is None else _typed_cell(name, value, kind) for value in present]
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return [dict(zip(columns, line, strict=True)) for line in zip(*table.values(), strict=True)]


def _read_csv(path: Path) -> tuple[list[str], Sequence[Sequence[Any]]]:
    """As this package writes it, or as a spreadsheet saves it again: a byte order mark, semicolons with decimal commas, tabs."""
    text = text_of(path)
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV ({error}); give a table of scores.") from error
    if separator == ";":
        lines = [[DECIMAL_COMMA.sub(r"\1.\2", value) for value in line] for line in lines]
    if not lines or any(len(line) != len(lines[0]) for line in lines):
        raise InputError(f"{path} is empty or has lines of different lengths; give a whole table.")
    columns, *rows = (list(map(_from_text, line)) for line in lines)
    return columns, rows


def _read_parquet(path: Path) -> tuple[list[str], Sequence[Sequence[Any]]]:
    """Arrow parses it in the child of this process, see `medrestore.child`."""
    _arrow(path)
    try:
        answer = shared().ask_once(str(path), "table", PARSING, kind="parquet", largest=LARGEST, longest=LONGEST)
        columns = json.loads(answer.arrays[0].tobytes()) if answer.arrays else []
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of this process
            raise InputError(cause(path, error)) from error
        raise InputError(f"{path} is not a whole Parquet file (damaged or another format); write it again.") from error
    found = answer.value
    if "wrong" in found:
        raise InputError({
            "size": f"{path} declares a table of more than 512 MiB, which no table of scores is.",
            "kind": f"{path} has more than text and numbers in {found.get('column')!r}; give a table of scores.",
            "text": f"{path} has text of more than {LONGEST} characters, which no label is; give a table of scores.",
        }[found["wrong"]])
    return found["names"], list(zip(*columns, strict=True))


def _arrow(path: Path) -> tuple[Any, Any]:
    with extra("parquet", f"{path} is Parquet (.csv is not), which"):
        import pyarrow
        from pyarrow import parquet
    return pyarrow, parquet


def table_grid(
    cells: Iterable[Cell], *, show: Show = "mean ± sd", protocol: str | None = None,
) -> tuple[list[str], list[list[str]]]:
    """Methods as rows and settings as columns, metric by metric; the best and the second of each column are
    marked.

    Places are `TableEntry`s, whose marks `markdown` and `latex` show; equal as printed is equally good. What is
    missing is "-".

    Args:
        cells: such as `statistics.cells` gives, of one metric or, one after the other, of several.
        show: which numbers.
        protocol: whose metrics give digits, headings and the good end; of names that several have, the first
            otherwise. A metric of no protocol has 4 digits and no marks.

    Raises:
        InputError: an unknown `show` or protocol.
    """
    if show not in get_args(Show):
        raise InputError(f"a table cannot show {show!r}; it can show {', '.join(get_args(Show))}.")
    places = {(cell.metric, cell.setting, cell.method): cell for cell in cells}
    names, settings, methods = (list(dict.fromkeys(key[part] for key in places)) for part in range(3))
    metrics = {name: metric_by_name(name, protocol) if name in KNOWN else Metric(name, "", True, 4, name) for name in names}
    header, columns = ["method"], []
    for name, setting in product(names, settings):
        column = [places.get((name, setting, method)) for method in methods]
        if any(column):
            header.append(f"{setting}, {metrics[name].heading}" if len(names) > 1 else setting)
            columns.append(_ranked_column(column, metrics[name], show, marked=name in KNOWN))
    return header, [[method, *(column[number] for column in columns)] for number, method in enumerate(methods)]


def _ranked_column(cells: Sequence[Cell | None], metric: Metric, show: Show, *, marked: bool) -> list[TableEntry]:
    """One column, ranked by its leading number as printed."""
    leading = [None if cell is None or isnan(_lead(cell, show)) else round(_lead(cell, show), metric.digits) for cell in cells]
    ranked = sorted({value for value in leading if value is not None}, reverse=metric.higher_is_better)
    marks: dict[float, Mark] = {ranked[0]: "best", ranked[1]: "second"} if marked and len(ranked) > 1 else {}
    return [TableEntry(MISSING) if cell is None or value is None else TableEntry(_printed(cell, metric.digits, show),
                                                                                 marks.get(value, ""))
            for cell, value in zip(cells, leading, strict=True)]


def _printed(cell: Cell, digits: int, show: Show) -> str:
    def number(value: float) -> str:
        return f"{value:.{digits}f}"

    lead = number(_lead(cell, show))
    if show == "mean ± sd":
        return lead if isnan(cell.sd) else f"{lead} ± {number(cell.sd)}"
    ends = {"mean [low, high]": (cell.low, cell.high), "median [q1, q3]": (cell.q1, cell.q3)}.get(show, ())
    return f"{lead} [{', '.join(map(number, ends))}]" if ends and not any(map(isnan, ends)) else lead


def _lead(cell: Cell, show: Show) -> float:
    """The leading number, by which a column is ranked."""
    return cell.median if show.startswith("median") else cell.mean


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown: the best **bold**, the second <ins>underlined</ins>."""
    def text(value: str) -> str:
        plain = " ".join(value.split()).replace("|", "\\|")
        return {"best": f"**{plain}**", "second": f"<ins>{plain}</ins>"}.get(getattr(value, "mark", ""), plain)

    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "".join(f"| {' | '.join(line)} |\n"
                   for line in (list(map(text, header)), rule, *(map(text, line) for line in lines)))


def latex(header: Sequence[str], lines: Iterable[Sequence[str]], caption: str) -> str:
    r"""A `table` for the packages booktabs and (for any Unicode left) inputenc: the best \textbf, the second
    \underline.
    """
    def plain(value: str) -> str:
        return re.sub(r"[\\&%$#_{}~^±×−<>|]", lambda match: LATEX[match[0]], " ".join(value.split()))

    def text(value: str) -> str:
        command = {"best": r"\textbf", "second": r"\underline"}.get(getattr(value, "mark", ""))
        return f"{command}{{{plain(value)}}}" if command else plain(value)

    body = [" & ".join(map(text, line)) + r" \\" for line in (header, *lines)]
    return "\n".join([
        r"\begin{table}", r"  \centering", rf"  \caption{{{plain(caption)}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"    \toprule", f"    {body[0]}", r"    \midrule", *(f"    {line}" for line in body[1:]),
        r"    \bottomrule",
        r"  \end{tabular}", r"\end{table}", "",
    ])


def csv_text(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """The table as comma-separated values, without marks; `read_rows` undoes what keeps cells from being
    formulas.
    """
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([list(map(_as_text, line)) for line in (header, *lines)])
    return file.getvalue()


def _as_text(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: behind an apostrophe where it begins like one and is no
    number.
    """
    return f"'{cell}" if FORMULA.match(cell) and not _is_number(cell) else cell


def _from_text(cell: str) -> str:
    """The cell that `_as_text` made this of."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
