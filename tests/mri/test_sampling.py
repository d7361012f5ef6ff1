"""Sampling masks: realised acceleration, determinism, fastMRI's masks bit for bit, calibration, refusals."""

import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.mri import calibration_width, fastmri_seed, sampling_mask

ONE_AXIS = ["uniform1d", "random1d", "gaussian1d"]
TWO_AXES = ["uniform2d", "gaussian2d", "poisson2d"]
SIZES = [(64, 64), (65, 97), (120, 181), (256, 230), (320, 384)]
SMALL = SIZES[:3]  # dart throwing in pure Python takes up to a second at 384

# kind, width, acceleration, file name, centre lines, np.packbits of the mask: made once with fastMRI's own
# fastmri.data.subsample.create_mask_for_mask_type(kind, [fraction], [acceleration])(shape, seed=tuple(map(ord, name))).
FASTMRI = [
    (
        "random",
        320,
        4,
        "file_brain_AXT2_200_2000019.h5",
        26,
        "208020048d510301000680242214088420003ffffffa800080c2048021000104706065012a800080",
    ),
    (
        "random",
        368,
        4,
        "file1000031.h5",
        29,
        "2034082242024080b4c90088005050000a00084020bffffffe0033330c22a0044084142c420000044880c0800a00",
    ),
    (
        "random",
        372,
        8,
        "file1000000.h5",
        15,
        "0002000c1000100000104080000800000008804000001fffca08c8021000000008010400008000200a000060880000",
    ),
    ("random", 213, 4, "file_brain_AXFLAIR_200_6002425.h5", 17, "80083814011440001600b0403fffe24410004208a1010108402500"),
    ("random", 97, 4, "file1000000.h5", 8, "0862018c9047f808005040a000"),
    (
        "random",
        333,
        8,
        "file1000031.h5",
        13,
        "201400024000000000c100000050400000000840fff8000000001113042000040080140c420000044000",
    ),
    (
        "equispaced",
        320,
        4,
        "file_brain_AXT2_200_2000019.h5",
        26,
        "4444444444444444444444444444444444445ffffffc444444444444444444444444444444444444",
    ),
    (
        "equispaced",
        368,
        4,
        "file1000031.h5",
        29,
        "888888888888888888888888888888888888888888bffffffe888888888888888888888888888888888888888888",
    ),
    (
        "equispaced",
        372,
        8,
        "file1000000.h5",
        15,
        "404040404040404040404040404040404040404040405fffc040404040404040404040404040404040404040404040",
    ),
    ("equispaced", 213, 4, "file_brain_AXFLAIR_200_6002425.h5", 17, "4444444444444444444444447fffe4444444444444444444444440"),
    ("equispaced", 97, 4, "file1000000.h5", 8, "444444444447fc444444444400"),
    (
        "equispaced",
        333,
        8,
        "file1000031.h5",
        13,
        "8080808080808080808080808080808080808080fff88080808080808080808080808080808080808080",
    ),
    (
        "equispaced_fraction",
        320,
        4,
        "file_brain_AXT2_200_2000019.h5",
        26,
        "4208410821042104208410821082104208411ffffff9042084208410821042104208410821082104",
    ),
    (
        "equispaced_fraction",
        368,
        4,
        "file1000031.h5",
        29,
        "8410821082108210421042104208420841084108413fffffff082104210420842084208410841084108210821042",
    ),
    (
        "equispaced_fraction",
        372,
        8,
        "file1000000.h5",
        15,
        "004008008010020020040080080100200200400800801fffc020040080080100200200400800801002002004008000",
    ),
    (
        "equispaced_fraction",
        213,
        4,
        "file_brain_AXFLAIR_200_6002425.h5",
        17,
        "4208410841082108210420843ffff0841082108210421042084208",
    ),
    ("equispaced_fraction", 97, 4, "file1000000.h5", 8, "420841082107f8841082104200"),
    (
        "equispaced_fraction",
        333,
        8,
        "file1000031.h5",
        13,
        "0080100200200400801002004004008010020040fff88010020040080080100200400801001002004000",
    ),
    (
        "magic",
        320,
        4,
        "file_brain_AXT2_200_2000019.h5",
        26,
        "1111111111111111111111111111111111111ffffff9111111111111111111111111111111111111",
    ),
    (
        "magic",
        368,
        4,
        "file1000031.h5",
        29,
        "4444444444444444444444444444444444444444447ffffffe444444444444444444444444444444444444444444",
    ),
    (
        "magic",
        372,
        8,
        "file1000000.h5",
        15,
        "404040404040404040404040404040404040404040405fffc404040404040404040404040404040404040404040400",
    ),
    ("magic", 213, 4, "file_brain_AXFLAIR_200_6002425.h5", 17, "4444444444444444444444447fffe4444444444444444444444440"),
    ("magic", 97, 4, "file1000000.h5", 8, "111111111117f9111111111100"),
    (
        "magic",
        333,
        8,
        "file1000031.h5",
        13,
        "1010101010101010101010101010101010101010fff90101010101010101010101010101010101010100",
    ),
    (
        "magic_fraction",
        320,
        4,
        "file_brain_AXT2_200_2000019.h5",
        26,
        "1041041041041041041041041041041041041ffffff9041041041041041041041041041041041041",
    ),
    (
        "magic_fraction",
        368,
        4,
        "file1000031.h5",
        29,
        "4104104104104104104104104104104104104104107ffffffe104104104104104104104104104104104104104104",
    ),
    (
        "magic_fraction",
        372,
        8,
        "file1000000.h5",
        15,
        "004004004004004004004004004004004004004004005fffc400400400400400400400400400400400400400400400",
    ),
    ("magic_fraction", 213, 4, "file_brain_AXFLAIR_200_6002425.h5", 17, "0410410410410410410410413fffe1041041041041041041041040"),
    ("magic_fraction", 97, 4, "file1000000.h5", 8, "041041041047f8410410410400"),
    (
        "magic_fraction",
        333,
        8,
        "file1000031.h5",
        13,
        "4008010020040080100200400801002004008010fff90020040080100200400801002004008010020040",
    ),
]


@pytest.mark.parametrize("kind", ONE_AXIS + TWO_AXES)
@pytest.mark.parametrize("accel", [1, 2, 3, 4, 5.5, 8, 12, 15])
def test_the_number_of_samples_is_the_nearest_to_the_asked_acceleration(kind, accel):
    for shape in SMALL + ([] if kind == "poisson2d" else SIZES[3:]):
        got = sampling_mask(kind, shape, accel, seed=3)
        assert got.mask.shape == (shape if kind in TWO_AXES else (1, shape[1]))
        assert got.mask.dtype == torch.float32 and set(got.mask.unique().tolist()) <= {0.0, 1.0}
        assert int(got.mask.sum()) == round(got.mask.numel() / accel)
        assert got.acceleration == got.mask.numel() / int(got.mask.sum())


@pytest.mark.parametrize("kind", ["poisson2d"])
def test_poisson_hits_its_acceleration_on_a_large_matrix(kind):
    assert sampling_mask(kind, (320, 384), 8, seed=0).acceleration == pytest.approx(8, rel=0.001)


@pytest.mark.parametrize("kind", ONE_AXIS + TWO_AXES + ["random", "equispaced", "equispaced_fraction", "magic", "magic_fraction"])
def test_a_seed_fixes_the_mask_and_another_changes_it(kind):
    state = np.random.get_state()[1].copy()
    masks = [sampling_mask(kind, (65, 98), 4, seed=seed).mask for seed in (5, 5, 6, 7, 8, 9, 10, 11)]
    assert torch.equal(masks[0], masks[1])
    assert any(not torch.equal(masks[0], other) for other in masks[2:])
    assert (np.random.get_state()[1] == state).all()  # numpy's global stream is left alone


@pytest.mark.parametrize("kind", ONE_AXIS + TWO_AXES)
@pytest.mark.parametrize("shape", [(64, 64), (97, 65)])
def test_the_asked_calibration_region_is_sampled(kind, shape):
    wanted = (1, 12) if kind in ONE_AXIS else (12, 9)
    got = sampling_mask(kind, shape, 3, acs=12 if kind in ONE_AXIS else wanted, seed=0)
    rows, columns = (slice(n // 2 - a // 2, n // 2 - a // 2 + a) for n, a in zip(got.mask.shape, wanted, strict=True))
    centre = got.mask[rows, columns]
    assert centre.shape == wanted
    assert centre.all()
    assert got.acs == calibration_width(got.mask)
    assert np.prod(got.acs) >= np.prod(wanted)


def test_equispaced_lines_are_equispaced_outside_the_band():
    got = sampling_mask("uniform1d", (1, 320), 4, acs=24, seed=1)
    lines = np.flatnonzero(got.mask[0].numpy())
    left = np.diff(lines[lines < 148])
    assert set(left) <= {5, 6} and len(set(left)) == 2  # (320 - 24) / (80 - 24) = 5.29


def test_variable_density_masks_are_denser_towards_the_centre():
    for kind in ("gaussian1d", "gaussian2d", "poisson2d"):
        mask = sampling_mask(kind, (128, 128), 6, acs=4, seed=0).mask[..., 66:].mean(0)
        assert mask[:20].mean() > 1.5 * mask[-20:].mean(), kind


def test_poisson_points_keep_apart_and_farther_outside():
    mask = sampling_mask("poisson2d", (128, 128), 12, seed=0).mask.numpy() > 0
    points = np.argwhere(mask)
    outer = points[np.abs(points - 64).max(1) > 50]
    distance = np.hypot(*(outer[:, None] - outer[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(outer))
    nearest = distance.min(1)
    assert np.quantile(nearest, 0.05) >= 2  # at random 12x, 29 % of the points have a neighbour closer than 2
    assert np.mean(nearest) > 3


@pytest.mark.parametrize(("kind", "width", "accel", "name", "centre", "packed"), FASTMRI)
def test_fastmri_masks_are_fastmris_bit_for_bit(kind, width, accel, name, centre, packed):
    expected = np.unpackbits(np.frombuffer(bytes.fromhex(packed), np.uint8))[:width]
    got = sampling_mask(kind, (640, width), accel, seed=fastmri_seed(name))
    assert np.array_equal(got.mask[0].numpy(), expected)
    assert got.acs >= centre
    asked = sampling_mask(kind, (640, width), accel, acs=centre, seed=fastmri_seed(name))
    assert torch.equal(got.mask, asked.mask)


def test_calibration_width_of_hand_made_masks():
    def row(text):
        return torch.tensor([[float(c == "#") for c in text]])

    assert calibration_width(row("#.####.#")) == 4
    assert calibration_width(row("####.####")) == 0
    assert calibration_width(row("#.#.###.#")) == 3
    assert calibration_width(torch.ones(1, 7)) == 7
    plane = torch.zeros(12, 15)
    assert calibration_width(plane) == (0, 0)
    plane[4:9, 3:13] = 1  # rows 4..8 and columns 3..12 around (6, 7): 4 or 5 rows centred, 9 columns
    assert calibration_width(plane) == (5, 9)
    assert calibration_width(torch.ones(6, 9)) == (6, 9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "spiral"}, "choose one of"),
        ({"accel": 0.5}, "at least 1"),
        ({"accel": float("nan")}, "at least 1"),
        ({"acs": 65}, "does not fit"),
        ({"acs": -1}, "does not fit"),
        ({"acs": (4, 4)}, "one number"),
        ({"acs": 20}, "budget|leaves"),
        ({"kind": "poisson2d", "acs": (64, 20)}, "leaves"),
        ({"kind": "poisson2d", "acs": (65, 2)}, "does not fit"),
        ({"kind": "random", "acs": 20}, "leaves"),
        ({"kind": "equispaced_fraction", "acs": 20}, "leaves"),
        ({"kind": "magic_fraction", "acs": 20}, "ask for fewer"),
        ({"kind": "equispaced", "accel": 4.5}, "whole"),
        ({"shape": (0, 64)}, "positive"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(arguments, words):
    with pytest.raises(InputError, match=words) as caught:
        sampling_mask(**{"kind": "uniform1d", "shape": (64, 64), "accel": 4, "seed": 0} | arguments)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
