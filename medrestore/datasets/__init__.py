"""Training data: images of many kinds, and augmented crops of them."""

from .arrays import Arrays
from .augment import augmentation, check_light
from .base import Augment, Crops, Images, Progress
from .brain import Volumes
from .dicom import Dicom
from .dreaming import Dreaming
from .fastmri import FastMRI
from .folders import Photographs, Pictures
from .nifti import Nifti
from .phantoms import Phantoms
from .sources import Mixture, disjoint, images

__all__ = [
    "Arrays", "Augment", "Crops", "Dicom", "Dreaming", "FastMRI", "Images", "Mixture", "Nifti", "Phantoms",
    "Photographs",
    "Pictures", "Progress", "Volumes", "augmentation", "check_light", "disjoint", "images",
]
