"""Frames and their masks: pictures, stacks and videos."""

from .base import FrameFormat, Frames, PictureFrames
from .masks import GrownMasks, MaskMeaning, Masks, Survey, grow_hole, hole_fraction, to_known
from .mha import MhaFrames, MhaWriter
from .pictures import picture_size, read_picture
from .video import VideoFrames, VideoWriter

__all__ = [
    "FrameFormat", "Frames", "GrownMasks", "MaskMeaning", "Masks", "MhaFrames", "MhaWriter", "PictureFrames", "Survey",
    "VideoFrames", "VideoWriter", "grow_hole", "hole_fraction", "picture_size", "read_picture", "to_known",
]
