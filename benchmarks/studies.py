"""From the studies of configs/evaluate to the pages that show them.

    python benchmarks/studies.py [--dds OUT] [--cg OUT] [--few-steps OUT]

OUT are folders of `medrestore evaluate` with dds-study.yaml, cg-ablation.yaml and few-steps.yaml; their rows are copied to
benchmarks/results. A folder that is not given leaves its page as it is.
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from fill import fill, grid

from medrestore.evaluation.tables import read_rows

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
Rows = Sequence[Mapping[str, Any]]
COLOURS = {"hqs": "#20252b", "dds": "#2a7f62", "diffpir": "#c8553d", "ddnm+": "#3b6fb6", "ddrm": "#8e5aa8"}


def taken(study: Path, name: str) -> Rows:
    """The rows of a study, kept as `name`."""
    shutil.copyfile(study / "results.csv", RESULTS / f"{name}.csv")
    return read_rows(RESULTS / f"{name}.csv")


def subjects(rows: Rows) -> str:
    """Whose slices were scored."""
    names = sorted({row["patient"] for row in rows})
    return f"{len(names)} subjects ({names[0]} to {names[-1]}), one slice of each"


def dds(rows: Rows) -> None:
    """The table of the study's shape."""
    about = (f"{subjects(rows)}, 8 simulated coils, noise at 30 dB. The number behind a diffusion method is its network calls, "
             "one sample each. Weights of TV and L1-wavelet chosen on other subjects, for each column.")
    fill(ROOT / "docs/dds-study.md", "dds-study", f"Mean PSNR (dB) / SSIM. {about}\n\n{grid(rows, {'psnr': 2, 'ssim': 3})}")


def ablation(rows: Rows) -> None:
    """DDS by its conjugate-gradient steps."""
    about = (f"{subjects(rows)}; data without noise, DDS with eta 0.85 and all weight on the data, {rows[0]['calls']:.0f} "
             "network calls, one sample.")
    fill(ROOT / "docs/dds-study.md", "cg-ablation", f"Mean PSNR (dB) / SSIM. {about}\n\n{grid(rows, {'psnr': 2, 'ssim': 3})}")


def few_steps(rows: Rows) -> None:
    """Quality against network calls, as a table and a picture."""
    about = (f"Network calls / mean PSNR (dB) / SSIM. {subjects(rows)}, validation. The number behind a method is the steps of "
             "its ladder; those above a level to begin from are left out.")
    fill(ROOT / "docs/speed.md", "few-steps", f"{about}\n\n{grid(rows, {'calls': 0, 'psnr': 2, 'ssim': 3})}")
    curves(rows, ROOT / "docs/few-steps.png")


def curves(rows: Rows, path: Path) -> None:
    """PSNR over network calls, a panel for each setting: lines for the default ladder, marks for the rest."""
    from matplotlib.figure import Figure

    settings = list(dict.fromkeys(row["setting"] for row in rows))
    figure = Figure(figsize=(5.2 * len(settings), 3.6), layout="constrained")
    for axes, setting in zip(figure.subplots(1, len(settings), squeeze=False)[0], settings, strict=True):
        for name, colour in COLOURS.items():
            points = means([row for row in rows if row["setting"] == setting and row["method"].split()[0] == name])
            line = sorted(at for label, at in points.items() if len(label.split()) == 2)
            axes.plot(*zip(*line, strict=True), color=colour, marker="o", markersize=3, label=name) if line else None
            for marker, word in (("^", "ddpm"), ("v", "quadratic"), ("x", "from"), ("*", "mean")):
                for at in (at for label, at in points.items() if word in label.split()):
                    axes.plot(*at, color=colour, marker=marker, linestyle="none", markersize=6)
        axes.set_xscale("log")
        axes.set_title(setting)
        axes.set_xlabel("network calls  (^ ddpm, v quadratic ladder, x from CG-SENSE at 0.5, * mean of 4)", fontsize=8)
        axes.set_ylabel("PSNR, dB")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)


def means(rows: Rows) -> dict[str, tuple[float, float]]:
    """Method to its network calls and mean PSNR."""
    return {name: (own[0]["calls"], fmean(row["psnr"] for row in own))
            for name in dict.fromkeys(row["method"] for row in rows)
            for own in [[row for row in rows if row["method"] == name]]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dds", type=Path, help="folder of the study in the shape of the DDS paper's")
    parser.add_argument("--cg", type=Path, help="folder of the ablation over conjugate-gradient steps")
    parser.add_argument("--few-steps", type=Path, help="folder of the study over network calls")
    chosen = parser.parse_args()
    for study, name, write in ((chosen.dds, "dds-study", dds), (chosen.cg, "cg-ablation", ablation),
                               (chosen.few_steps, "few-steps", few_steps)):
        if study is not None:
            write(taken(study, name))


if __name__ == "__main__":
    main()
