"""MRI before reconstruction: sampling masks and trajectories, coil maps, noise, simulated scans."""

from .coils import calibration_scale, espirit, low_resolution, simulated_maps
from .density import pipe_menon, voronoi
from .gridding import centre_of, covered, gridded_centre
from .joint import joint_maps
from .noise import (
    NoiseEstimate,
    dead_coils,
    estimate_noise,
    estimate_trajectory_noise,
    noise_covariance,
    noise_std,
    prewhiten,
    whitening,
)
from .phase import centre_image, phase_and_deviation
from .sampling import Sampling, calibration_region, calibration_width, fastmri_seed, sampling_mask
from .simulate import add_smooth_phase, simulate_scan
from .trajectories import points_of, radial, rosette, spiral

__all__ = [
    "NoiseEstimate",
    "Sampling",
    "add_smooth_phase",
    "calibration_region",
    "calibration_scale",
    "calibration_width",
    "centre_image",
    "centre_of",
    "covered",
    "dead_coils",
    "espirit",
    "estimate_noise",
    "estimate_trajectory_noise",
    "fastmri_seed",
    "gridded_centre",
    "joint_maps",
    "low_resolution",
    "noise_covariance",
    "noise_std",
    "phase_and_deviation",
    "pipe_menon",
    "points_of",
    "prewhiten",
    "radial",
    "rosette",
    "sampling_mask",
    "simulate_scan",
    "simulated_maps",
    "spiral",
    "voronoi",
    "whitening",
]
