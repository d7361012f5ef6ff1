"""MRI: a scan in, an image out. Names are imported when they are first asked for."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from .arrays import Reconstruction as Reconstruction
    from .arrays import reconstruct as reconstruct
    from .files import Job as Job
    from .files import recon_file as recon_file
    from .folder import recon_folder as recon_folder
    from .plan import Machine as Machine
    from .plan import Plan as Plan
    from .plan import Reading as Reading
    from .plan import Undersampling as Undersampling
    from .plan import Writing as Writing
    from .preparation import prepare as prepare
    from .prepared import Prepared as Prepared
    from .restoring import Slice as Slice
    from .restoring import restore_slice as restore_slice
    from .restoring import restore_slices as restore_slices

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "arrays": ["Reconstruction", "reconstruct"],
    "files": ["Job", "recon_file"],
    "folder": ["recon_folder"],
    "plan": ["Machine", "Plan", "Reading", "Undersampling", "Writing"],
    "preparation": ["prepare"],
    "prepared": ["Prepared"],
    "restoring": ["Slice", "restore_slice", "restore_slices"],
})
