"""Training data: images of many kinds, and augmented crops of them."""

from .augment import augmentation, check_light
from .base import Augment, Crops, Images, Progress
from .sources import disjoint, images

__all__ = ["Augment", "Crops", "Images", "Progress", "augmentation", "check_light", "disjoint", "images"]
