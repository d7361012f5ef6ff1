"""What priors learn from: images of many kinds, and augmented crops of them."""

from .augment import augmentation
from .base import Augment, Crops, Images, Progress
from .sources import disjoint, images

__all__ = ["Augment", "Crops", "Images", "Progress", "augmentation", "disjoint", "images"]
