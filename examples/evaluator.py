"""The evaluator: two methods on the same scans, one table, one report.

    python evaluator.py SCANS -o STUDY      your fully sampled scans, a folder of fastMRI files
    python evaluator.py -o STUDY            the scan that comes with the package
"""

import argparse
from pathlib import Path

from walk import run

STUDY = """
name: hqs-or-dds
protocol: fastmri-slice
data: {data}
settings:
  - {{kind: uniform1d, accel: 4, acs: 16}}
methods:
  HQS: {{method: hqs, steps: {steps}}}
  DDS: {{method: dds, steps: {steps}, samples: 2}}
against: HQS
pictures: 1
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="?", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=25)
    options = parser.parse_args()
    config = options.out.with_name(f"{options.out.name}.yaml")
    config.write_text(STUDY.format(data=f"{{kind: kspace, folder: {options.scans or 'bundled'}}}", steps=options.steps))
    run(f"medrestore evaluate {config} -o {options.out}")
    run(f"medrestore compare {options.out} {options.out} --method-a HQS --method-b DDS -o {options.out / 'table.tex'}")
    print(f"the report: {options.out / 'report.html'}; the table: {options.out / 'table.tex'}")


if __name__ == "__main__":
    main()
