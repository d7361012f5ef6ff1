"""ISMRMRD files for tests."""

import numpy as np
import pytest
import torch

from medrestore.fft import ifft2c

SAMPLES, ROWS, COLUMNS, COILS = 16, 8, 10, 3


def xml(*, trajectory="cartesian", center=5, calibration=None, bandwidth=None, recon_y=8):
    space = "<{0}><matrixSize><x>{1}</x><y>{2}</y><z>1</z></matrixSize>"
    space += "<fieldOfView_mm><x>{3}</x><y>{4}</y><z>5</z></fieldOfView_mm></{0}>"
    system = f"<relativeReceiverNoiseBandwidth>{bandwidth}</relativeReceiverNoiseBandwidth>" if bandwidth else ""
    parallel = f"<parallelImaging><calibrationMode>{calibration}</calibrationMode></parallelImaging>" if calibration else ""
    return (
        '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        "<subjectInformation><patientName>Doe</patientName></subjectInformation>"
        f"<acquisitionSystemInformation>{system}</acquisitionSystemInformation><encoding>"
        + space.format("encodedSpace", SAMPLES, COLUMNS, 32.0, 30.0)
        + space.format("reconSpace", ROWS, recon_y, 16.0, 3.0 * recon_y)
        + f"<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>9</maximum><center>{center}</center>"
        f"</kspace_encoding_step_1></encodingLimits><trajectory>{trajectory}</trajectory>{parallel}</encoding></ismrmrdHeader>"
    ).encode()


class MRDWriter:
    """A short way to write acquisitions; slices are oblique and 7 mm apart."""

    read, phase = np.array([0.0, 0.6, 0.8]), np.array([1.0, 0.0, 0.0])
    normal = np.cross(read, phase)
    origin = np.array([10.0, -20.0, 30.0])

    def __init__(self, path, header):
        ismrmrd = pytest.importorskip("ismrmrd")
        self.package = ismrmrd
        self.dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
        self.dataset.write_xml_header(header)

    def line(self, data, step=0, *, slice=0, flags=(), center=SAMPLES // 2, time_us=2.0, pre=0, post=0, **counters):
        acquisition = self.package.Acquisition.from_array(
            np.ascontiguousarray(data), center_sample=center, sample_time_us=time_us, discard_pre=pre, discard_post=post
        )
        acquisition.idx.kspace_encode_step_1, acquisition.idx.slice = step, slice
        for name, value in counters.items():
            setattr(acquisition.idx, name, value)
        acquisition.read_dir[:], acquisition.phase_dir[:], acquisition.slice_dir[:] = self.read, self.phase, self.normal
        acquisition.position[:] = self.origin + 7.0 * slice * self.normal
        for flag in flags:
            acquisition.set_flag(flag)
        self.dataset.append_acquisition(acquisition)

    def image(self, kspace, steps=range(COLUMNS), **options):
        for step in steps:
            self.line(kspace[:, :, step], step, **options)


def write(path, fill, **header):
    writer = MRDWriter(path, xml(**header))
    fill(writer)
    writer.dataset.close()
    return path


def image_of(kspace):
    return ifft2c(torch.from_numpy(kspace))[..., 4:12, :]
