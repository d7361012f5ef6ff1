"""MRI: a scan in, an image out."""

from .files import Job, recon_file, recon_folder
from .plan import Plan, Undersampling
from .prepare import Prepared, Slice, prepare, reconstruct

__all__ = ["Job", "Plan", "Prepared", "Slice", "Undersampling", "prepare", "recon_file", "recon_folder", "reconstruct"]
