"""Whether one evaluation is better than another: paired by case, with intervals, Wilcoxon and Holm.

Examples:
  medrestore compare before/ after/
  medrestore compare study/ study/ --method-a "CG-SENSE" --method-b "DDS 49"
  medrestore compare a.csv b.parquet --metric ssim -o table.tex
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import InputError
from ..settings import Bounds
from .command import Command
from .options import POSITIONAL
from .terminal import say_answer

if TYPE_CHECKING:
    from ..evaluation.protocols import Row
    from ..evaluation.statistics import Pair

TABLES = ("results.parquet", "results.csv")  # what `evaluate` leaves in its folder
OUTPUTS = (".csv", ".md", ".tex")
ENOUGH = 6  # patients; fewer cannot reach p < 0.05
HEADER = ["metric", "setting", "method", "patients", "A", "B", "B − A", "95 % interval", "p", "Holm p", "B better"]


@dataclass(frozen=True)
class Options:
    """The options of `compare`.

    Args:
        a: folder of evaluate, or its table (.csv, .parquet)
        b: the other one; may be the same, to compare two of its methods
        method_a: this method of A alone
        method_b: with this one of B; by default the same
        metric: this metric alone; all of the protocol if not given
        output: also write the table: .csv (all digits), .md or .tex
        overwrite: replace the table that is there already
        seed: of the bootstrap
    """

    a: Annotated[str, POSITIONAL]
    b: Annotated[str, POSITIONAL]
    method_a: str | None = None
    method_b: str | None = None
    metric: str | None = None
    output: str | None = None
    overwrite: bool = False
    seed: Annotated[int, Bounds(at_least=0)] = 0


def run(options: Options) -> int:
    """Prints one table and what has to be known to read it."""
    from ..evaluation.statistics import paired_differences
    from ..evaluation.tables import read_rows

    paths = [_scores_table(options.a), _scores_table(options.b)]
    out = _output(options.output, paths, overwrite=options.overwrite)
    labels = options.method_a or options.method_b, options.method_b or options.method_a
    sides = [_rows_of_method(read_rows(path), label, path) for path, label in zip(paths, labels, strict=True)]
    protocol = _same_protocol(sides, paths)
    metrics = _metrics(sides, protocol, options.metric)
    matched = _rows_of_both(sides, with_method=labels[0] is None)
    groups = _rows_to_compare(matched[0], matched[1], labels)
    pairs = [pair for metric in metrics for pair in paired_differences(groups, metric, seed=options.seed)]
    if not pairs:
        raise InputError(f"{paths[0]} and {paths[1]} share no case, slice, setting and method with a finite score; for methods "
                         "of different names give --method-a and --method-b.")
    for name, path, whole, part in zip("AB", paths, sides, matched, strict=True):
        say_answer(f"{name}: {path}, {len(part)} rows matched, {len(whole) - len(part)} only here and left out")
    say_answer("")
    _aligned([HEADER, *(_comparison_line(pair, protocol) for pair in pairs)])
    say_answer("")
    for note in _notes(pairs, protocol):
        say_answer(note)
    if out is not None:
        _write_table(out, pairs, protocol)
        say_answer(str(out))
    return 0


def _scores_table(given: str) -> Path:
    """The table of scores that a path stands for."""
    path = Path(given)
    if not path.is_dir():
        return path
    found = [path / name for name in TABLES if (path / name).is_file()]
    if not found:
        raise InputError(f"{path} holds no {' and no '.join(TABLES)}; give a folder of medrestore evaluate, or a table.")
    return found[0]


def _output(given: str | None, inputs: Sequence[Path], *, overwrite: bool) -> Path | None:
    """Where the table goes, refused before any work."""
    if given is None:
        return None
    path = Path(given)
    if path.suffix.lower() not in OUTPUTS:
        raise InputError(f"-o {path} must end in {', '.join(OUTPUTS)}")
    if any(path.resolve() == one.resolve() for one in inputs):
        raise InputError(f"-o {path} is one of the tables that are compared; give another name")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists; pass --overwrite to replace it, or another -o")
    return path


def _rows_of_method(rows: list[Row], method: str | None, path: Path) -> list[Row]:
    """The rows of one method, or all."""
    methods = list(dict.fromkeys(str(row.get("method")) for row in rows))
    if method is not None and method not in methods:
        raise InputError(f"{path} has no method {method!r}; it has {', '.join(methods) or 'no rows'}.")
    return [row for row in rows if method is None or row.get("method") == method]


def _same_protocol(sides: Sequence[Sequence[Row]], paths: Sequence[Path]) -> str | None:
    """The one protocol of both tables, None where neither says."""
    found = [{row.get("protocol") for row in rows} for rows in sides]
    for path, protocols in zip(paths, found, strict=True):
        if len(protocols) != 1:
            said = "no rows" if not protocols else f"rows of several protocols ({', '.join(sorted(map(str, protocols)))})"
            raise InputError(f"{path} has {said}; compare tables of one protocol.")
    first, second = (protocols.pop() for protocols in found)
    if first != second:
        raise InputError(f"{paths[0]} was scored by the protocol {first or 'unknown'} and {paths[1]} by {second or 'unknown'}; "
                         "scores of two protocols do not compare.")
    return first


def _metrics(sides: Sequence[Sequence[Row]], protocol: str | None, wanted: str | None) -> list[str]:
    """The metrics that both have numbers of, in the order of the protocol."""
    from ..evaluation.protocols import KNOWN, METRICS, metric

    known = list(KNOWN) if protocol is None else [one.name for one in METRICS.get(protocol, ())]
    there = [name for name in known if all(any(row.get(name) is not None for row in rows) for rows in sides)]
    if wanted is not None:
        metric(wanted, protocol)
        there = [name for name in there if name == wanted]
    if not there:
        raise InputError(f"A and B have no numbers of {wanted or 'any one metric'} in common; score both by one protocol.")
    return there


def _key(row: Row, *, with_method: bool) -> tuple[Any, ...]:
    return row["case"], row.get("slice"), row.get("setting"), row.get("method") if with_method else None


def _rows_of_both(sides: Sequence[Sequence[Row]], *, with_method: bool) -> list[list[Row]]:
    """The rows of both whose case, slice, setting and method the other has too, scored against the same range."""
    ranges: list[dict[tuple[Any, ...], float | None]] = [
        {_key(row, with_method=with_method): row.get("data_range") for row in rows} for rows in sides
    ]
    for key, first in ranges[0].items():
        second = ranges[1].get(key, first)
        if first is not None and second is not None and not math.isclose(first, second, rel_tol=1e-4):
            raise InputError(f"case {key[0]} was scored against the range {first:.6g} in A and {second:.6g} in B; "
                             "score both against the same reference.")
    return [[row for row in rows if _key(row, with_method=with_method) in other]
            for rows, other in zip(sides, reversed(ranges), strict=True)]


def _rows_to_compare(first: Iterable[Row], second: Iterable[Row], labels: tuple[str | None, str | None],
                     ) -> list[tuple[tuple[str, str, str], list[Row], list[Row]]]:
    """((setting, method of B, method of A), rows of B, rows of A): differences are B minus A."""
    groups: dict[tuple[str, str, str], tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for which, rows in ((1, first), (0, second)):
        for row in rows:
            names = str(labels[1] or row.get("method")), str(labels[0] or row.get("method"))
            groups[str(row.get("setting")), *names][which].append(row)
    return [(names, *rows) for names, rows in groups.items()]


def _comparison_line(pair: Pair, protocol: str | None) -> list[str]:
    """One comparison, as printed."""
    from ..evaluation.protocols import metric

    about = metric(pair.metric, protocol)
    numbers = [f"{value:.{about.digits}f}" for value in (pair.mean_against, pair.mean)]
    low, high = (f"{value:+.{about.digits}f}" for value in (pair.low, pair.high))
    interval = "-" if math.isnan(pair.low) else f"[{low}, {high}]"
    method = pair.method if pair.method == pair.against else f"{pair.method} v {pair.against}"
    return [about.heading, pair.setting, method, str(pair.patients), *numbers, f"{pair.difference:+.{about.digits}f}", interval,
            _p(pair.p), _p(pair.p_holm), f"{pair.wins}/{pair.patients}"]


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _notes(pairs: Sequence[Pair], protocol: str | None) -> list[str]:
    """What the columns are, and what the test cannot do."""
    count = max(sum(pair.metric == one.metric for pair in pairs) for one in pairs)
    notes = [f"Protocol {protocol or 'not said'}. Means and differences are over patients; interval: bootstrap over patients "
             f"(BCa); p: Wilcoxon signed-rank; Holm over the {count} comparison{'s' * (count > 1)} of a metric; "
             "B better: for so many patients."]
    few = min(pairs, key=lambda pair: pair.patients)
    if few.patients < ENOUGH:
        notes.append(f"With {few.patients} patient{'s' * (few.patients != 1)} the smallest p that Wilcoxon's test can give is "
                     f"{few.smallest_p:.3g}; fewer than {ENOUGH} cannot show anything at 0.05.")
    if left_out := sum(pair.left_out for pair in pairs):
        notes.append(f"{left_out} scores that are missing or not finite (a perfect slice) are left out with their partners.")
    return notes


def _aligned(lines: Sequence[Sequence[str]]) -> None:
    """Columns of text, the first three to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (text.ljust(width) if number < 3 else text.rjust(width)
                 for number, (text, width) in enumerate(zip(line, widths, strict=True)))
        say_answer("  ".join(cells).rstrip())


def _write_table(path: Path, pairs: Sequence[Pair], protocol: str | None) -> None:
    from ..evaluation import tables
    from ..files import write_file

    lines = [_comparison_line(pair, protocol) for pair in pairs]
    if path.suffix.lower() == ".csv":
        rows = [asdict(pair) for pair in pairs]
        text = tables.csv_text(list(rows[0]), [[str(value) for value in row.values()] for row in rows])
    elif path.suffix.lower() == ".md":
        text = tables.markdown(HEADER, lines) + "\n" + "\n".join(_notes(pairs, protocol)) + "\n"
    else:
        text = tables.latex(HEADER, lines, " ".join(_notes(pairs, protocol)))
    write_file(path, text)


COMMAND = Command("compare", Options, run, __doc__)
