"""A small whole file, or several, for each reader."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pydicom
import torch
from helpers import dicoms, mrd, scans
from helpers.arrays import complex_normal
from helpers.reconstructions import write_reconstruction
from PIL import Image

from medrestore.evaluation.tables import write_rows
from medrestore.io import write_nifti
from medrestore.io.frames.mha import MhaWriter
from medrestore.io.frames.video import VideoWriter

KSPACE = complex_normal(0, 2, 2, 16, 12)
GREY = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8)


def fastmri(folder: Path) -> list[Path]:
    plain = scans.fastmri(folder / "plain.h5", KSPACE, reference=np.abs(KSPACE[:, 0]), header=scans.header((16, 12), (8, 12)))
    with h5py.File(folder / "packed.h5", "w") as file:
        file.create_dataset("kspace", data=KSPACE, compression="gzip", chunks=(1, 2, 16, 12), shuffle=True)
        file["mask"] = np.ones(12, bool)
        file.attrs.update({"num_low_frequency": 4, "acquisition": "AXT2"})
    return [plain, folder / "packed.h5"]


def hdf5(folder: Path) -> list[Path]:
    with h5py.File(folder / "array.h5", "w", libver="latest") as file:
        file.create_dataset("raw/kspace", data=KSPACE, chunks=(1, 1, 16, 12), compression="lzf", fletcher32=True)
        file["other"] = np.ones(3)
    with h5py.File(folder / "v73.mat", "w", userblock_size=512) as file:
        pair = np.empty(KSPACE.shape, [("real", "f8"), ("imag", "f8")])
        pair["real"], pair["imag"] = KSPACE.real, KSPACE.imag
        file.create_dataset("raw/kspace", data=pair, chunks=(1, 1, 16, 12), maxshape=(None, 2, 16, 12), compression="gzip")
    data = (folder / "v73.mat").read_bytes()
    (folder / "v73.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(384) + data[512:])
    return [folder / "array.h5", folder / "v73.mat"]


def ismrmrd(folder: Path) -> list[Path]:
    def fill(writer: mrd.MRDWriter) -> None:
        import ismrmrd

        writer.line(complex_normal(3, mrd.COILS, 32), flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])
        for index in range(2):
            writer.image(complex_normal(index, mrd.COILS, mrd.SAMPLES, mrd.COLUMNS), slice=index)

    mrd.write(folder / "scan.h5", fill)
    return [folder / "scan.h5"]


def twix(folder: Path) -> list[Path]:
    """A VD file of one slice: directory, protocol, one block a line."""
    from twixtools.mdb import Mdb_local

    protocol = b"<XProtocol>\n### ASCCONV BEGIN ###\nsKSpace.lBaseResolution = 8\niPEFTLength = 8\nsKSpace.ucTrajectory = 1\n"
    protocol += b"sKSpace.ucDimension = 2\nsSliceArray.asSlice[0].dReadoutFOV = 80\nsSliceArray.asSlice[0].dPhaseFOV = 80\n"
    protocol += b"sSliceArray.asSlice[0].dThickness = 5\n### ASCCONV END ###\n"
    header = struct.pack("<I", len(protocol) + 4) + protocol
    noise = Mdb_local(complex_normal(9, 2, 32))
    noise.add_flag("NOISEADJSCAN")
    blocks = [noise]
    for line in range(8):
        block = Mdb_local(complex_normal(line, 2, 16))
        block.mdh.Counter.Lin, block.mdh.CenterLin, block.mdh.CenterCol = line, 4, 8
        blocks.append(block)
    end = Mdb_local()
    end.add_flag("ACQEND")
    data = b""
    for block in blocks:
        data += bytes(bytearray(block.mdh))
        for coil, samples in enumerate(block.data):
            data += bytes(bytearray(block.channel_hdr[coil])) + samples.tobytes()
    data += bytes(bytearray(end.mdh)) + end.data
    directory = struct.pack("<II", 0, 1) + struct.pack("<IIQQ", 1, 1, 10240, len(header) + len(data))
    (folder / "scan.dat").write_bytes(directory.ljust(10240, b"\0") + header + data)
    return [folder / "scan.dat"]


def bart(folder: Path) -> list[Path]:
    (folder / "scan.hdr").write_text("# Dimensions\n16 12 1 2 \n", encoding="ascii")
    (folder / "scan.cfl").write_bytes(KSPACE[0].tobytes())
    return [folder / "scan.hdr", folder / "scan.cfl"]


def mat(folder: Path) -> list[Path]:
    from scipy.io import savemat

    for name, packed in (("plain.mat", False), ("packed.mat", True)):
        savemat(folder / name, {"kspace": KSPACE, "n": np.arange(3), "cell": np.array([[1, "a"]], object)}, do_compression=packed)
    return [folder / "plain.mat", folder / "packed.mat"]


def arrays(folder: Path) -> list[Path]:
    np.save(folder / "scan.npy", KSPACE)
    return [folder / "scan.npy"]


def archives(folder: Path) -> list[Path]:
    np.savez(folder / "plain.npz", vol=GREY[None, None], names=np.array(["a", "b"]))
    np.savez_compressed(folder / "packed.npz", vol=GREY[None, None])
    return [folder / "plain.npz", folder / "packed.npz"]


def nifti(folder: Path) -> list[Path]:
    for name in ("v.nii", "v.nii.gz"):
        write_nifti(folder / name, np.abs(KSPACE[:, 0]), pixel_mm=(1.0, 1.0, 3.0), affine=np.diag([1.0, 1.0, 3.0, 1.0]))
    return [folder / "v.nii", folder / "v.nii.gz"]


def dicom(folder: Path) -> list[Path]:
    path = dicoms.dicom(folder / "a.dcm", GREY.astype(np.uint16), RescaleSlope=2.0, RescaleIntercept=-3.0)
    data = pydicom.dcmread(path)
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"  # else a new one each time, and another file
    data.save_as(path)
    return [path]


def pictures(folder: Path) -> list[Path]:
    Image.fromarray(RGB).save(folder / "a.png")
    Image.fromarray(RGB).save(folder / "a.jpg")
    return [folder / "a.png", folder / "a.jpg"]


def tiff(folder: Path) -> list[Path]:
    import tifffile

    tifffile.imwrite(folder / "rgb.tif", RGB, photometric="rgb", compression="zlib")
    tifffile.imwrite(folder / "pages.tif", np.abs(KSPACE[:, 0]).astype(np.float32), photometric="minisblack", metadata=None)
    return [folder / "rgb.tif", folder / "pages.tif"]


def mha(folder: Path) -> list[Path]:
    with MhaWriter(folder / "a.mha", size=(12, 16), count=2) as writer:
        writer.put(RGB)
        writer.put(RGB[::-1].copy())
    text = (b"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = False\nDimSize = 16 12 1\n"
            b"ElementType = MET_UCHAR\nElementDataFile = LOCAL\n")
    (folder / "raw.mha").write_bytes(text + GREY.tobytes())
    return [folder / "a.mha", folder / "raw.mha"]


def video(folder: Path) -> list[Path]:
    for name, codec in (("a.mkv", "ffv1"), ("a.mp4", "h264")):
        with VideoWriter(folder / name, size=(16, 32), fps=None, codec=codec) as writer:
            for _ in range(3):
                writer.put(np.ascontiguousarray(np.broadcast_to(RGB[0, 0], (16, 32, 3))))
    return [folder / "a.mkv", folder / "a.mp4"]


def split(folder: Path) -> list[Path]:
    (folder / "s.yaml").write_text("train: {folder: multicoil_train, share: [0.0, 0.9]}\nval:\n  files: [a.h5, 'b.h5']\n"
                                   "  acquisitions: [AXT2]\ntest: {share: [0.9, 1.0]}\n", encoding="ascii")
    return [folder / "s.yaml"]


def tables(folder: Path) -> list[Path]:
    rows = [{"case": f"c{n}", "patient": "p", "slice": n, "setting": "4x", "method": "DDS", "seed": 0, "psnr": 30.0 + n}
            for n in range(4)]
    for name in ("t.csv", "t.parquet"):
        write_rows(folder / name, rows)
    return [folder / "t.csv", folder / "t.parquet"]


def checkpoints(folder: Path) -> list[Path]:
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    state = {f"layer.{n}.weight": torch.randn(4, 5, generator=generator) for n in range(3)}
    torch.save({"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}}, folder / "a.pt")
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file(state, folder / "a.safetensors")
    return [folder / "a.pt", folder / "old.pt", folder / "a.safetensors"]


def prior(folder: Path) -> list[Path]:
    scans.save_prior(folder / "prior", 2)
    (folder / "description").write_text(json.dumps({"prior": "prior"}), encoding="ascii")
    return [folder / "prior" / name for name in ("prior.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors")]


def reconstruction(folder: Path) -> list[Path]:
    write_reconstruction(folder / "r.h5", reconstruction=np.abs(KSPACE[:, 0]), complex_image=KSPACE[:, 0],
                         std=np.abs(KSPACE[:, 0]), samples=KSPACE,
                         mask=np.ones((1, 12)), provenance={"seed": 1, "config": {"steps": 3}})
    return [folder / "r.h5"]
