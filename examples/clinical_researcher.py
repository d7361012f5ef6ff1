"""The clinical researcher: a folder of ISMRMRD raw data becomes a folder of NIfTI images.

    python clinical_researcher.py SCANS -o IMAGES      your scans
    python clinical_researcher.py -o IMAGES            two small ones, made for the occasion (needs: pip install ismrmrd)
"""

import argparse
from pathlib import Path

from walk import run

HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{mm_x}</x><y>{mm_y}</y><z>5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{mm_x}</x><y>{mm_y}</y><z>5</z></fieldOfView_mm></reconSpace>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{last}</maximum><center>{centre}</center>
</kspace_encoding_step_1></encodingLimits><trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"""


def example(folder: Path) -> None:
    """Two ISMRMRD files: the sample scan, 3-fold undersampled, on a grid of 96 x 80."""
    import ismrmrd
    import numpy as np

    import medrestore as mr

    folder.mkdir(parents=True)
    kspace = mr.io.read_kspace("sample:brain-scan")[0].kspace[0, :, 64:160, 56:136].numpy()
    _, rows, columns = kspace.shape
    mask = mr.mri.sampling_mask("uniform1d", (rows, columns), 3, acs=16, seed=0).mask[0]
    for number in range(2):
        file = ismrmrd.Dataset(str(folder / f"scan{number}.mrd"), "dataset", create_if_needed=True)
        file.write_xml_header(HEADER.format(x=rows, y=columns, mm_x=2 * rows, mm_y=2 * columns, last=columns - 1,
                                            centre=columns // 2).encode())
        for step in np.flatnonzero(mask.numpy()):
            line = ismrmrd.Acquisition.from_array(np.ascontiguousarray(kspace[:, :, step]), center_sample=rows // 2)
            line.idx.kspace_encode_step_1 = int(step)
            line.read_dir[:], line.phase_dir[:], line.slice_dir[:] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
            file.append_acquisition(line)
        file.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="?", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()
    if options.scans is None:
        options.scans = options.out.with_name(f"{options.out.name}-scans")
        example(options.scans)
    first = sorted(options.scans.iterdir())[0]
    run(f"medrestore inspect {first}")
    # every scan of the folder; run again after a stop, it goes on where it was
    run(f"medrestore recon {options.scans} -o {options.out} --nifti --resume --steps {options.steps}")

    import nibabel

    for path in sorted(options.out.glob("*.nii.gz")):
        image = nibabel.load(path)
        print(f"{path}: {image.shape}, voxels of {tuple(float(size) for size in image.header.get_zooms())} mm")


if __name__ == "__main__":
    main()
