"""Scans and datasets through the restoration, as files or in Python."""

from .files import Job, recon_file, recon_folder
from .recon import Plan, Prepared, Slice, Undersampling, prepare, reconstruct

__all__ = ["Job", "Plan", "Prepared", "Slice", "Undersampling", "prepare", "recon_file", "recon_folder", "reconstruct"]
