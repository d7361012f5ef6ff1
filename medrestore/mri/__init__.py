"""MRI before reconstruction: sampling masks, coil maps, noise, simulated scans."""

from .coils import calibration_scale, espirit, low_resolution, simulated_maps
from .joint import joint_maps
from .noise import NoiseEstimate, dead_coils, estimate_noise, noise_covariance, noise_std, prewhiten, whitening
from .phase import centre_image, phase_and_deviation
from .sampling import Sampling, calibration_region, calibration_width, fastmri_seed, sampling_mask
from .simulate import add_smooth_phase, simulate_scan

__all__ = [
    "NoiseEstimate",
    "Sampling",
    "add_smooth_phase",
    "calibration_region",
    "calibration_scale",
    "calibration_width",
    "centre_image",
    "dead_coils",
    "espirit",
    "estimate_noise",
    "fastmri_seed",
    "joint_maps",
    "low_resolution",
    "noise_covariance",
    "noise_std",
    "phase_and_deviation",
    "prewhiten",
    "sampling_mask",
    "simulate_scan",
    "simulated_maps",
    "whitening",
]
