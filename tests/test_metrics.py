"""Scores: fastMRI's public evaluation as frozen numbers, and what must be refused."""

from math import inf, log10

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from medrestore.errors import InputError
from medrestore.metrics import complex_nrmse, fastmri_scores, flicker, nmse, phase_error, psnr, residual, ssim, ssim_map


def volumes(seed, shape):
    """A reference whose slices grow brighter, at the scale of raw fastMRI data, and a noisy prediction of it."""
    random = np.random.RandomState(seed)
    brightness = (1 + np.arange(shape[0], dtype=np.float32)[:, None, None]) * 1e-4
    reference = np.abs(random.standard_normal(shape)).astype(np.float32) * brightness
    noise = 1e-5 * random.standard_normal(shape).astype(np.float32)
    return (reference + noise).astype(np.float32), reference.astype(np.float32)


# what fastMRI's own evaluation gives for `volumes`
FROZEN = [
    (0, (3, 40, 40), 41.09274184897525, 0.9941101018189009, 0.002113739028573036, 0.0011220300802960992),
    (1, (2, 41, 33), 37.48251462439804, 0.9917052233660663, 0.003914736211299896, 0.0007480497588403523),
    (2, (4, 64, 17), 42.36706123445394, 0.9954056924532267, 0.0012944346526637673, 0.001307724160142243),
    (4, (1, 37, 37), 30.36473918388889, 0.9867656379162831, 0.00937467161566019, 0.00031340381246991456),
    # from the definition in long doubles, with windows summed one by one
    (5, (3, 23, 23), 38.717366005524624, 0.9938306612428522, 0.0022141462108400426, 0.0008762108627706766),
]
WIDE = [  # likewise, of all rows
    (3, (2, 30, 36), 37.292571837199226, 0.9920619356376066, 0.003872197007200479, 0.000725057499948889),
    (6, (3, 31, 44), 40.12618078867126, 0.9934875573129691, 0.002343327745926847, 0.001027969759888947),
    (8, (4, 17, 33), 43.77284926832226, 0.9959389948985846, 0.0013422987444946148, 0.0015273025492206216),
    (9, (2, 28, 29), 37.2923652266675, 0.9916580826686531, 0.0036714758734205794, 0.0007187273004092276),
]


@pytest.mark.parametrize(("seed", "shape", "psnr_", "ssim_", "nmse_", "peak"), FROZEN + WIDE)
def test_matches_fastmri(seed, shape, psnr_, ssim_, nmse_, peak):
    scores = fastmri_scores(*volumes(seed, shape))
    assert scores.psnr == pytest.approx(psnr_, abs=1e-7)
    assert scores.ssim == pytest.approx(ssim_, abs=1e-7)
    assert scores.nmse == pytest.approx(nmse_, rel=1e-6)
    assert scores.data_range == pytest.approx(peak, rel=1e-7)
    assert (scores.protocol, scores.slices) == ("fastmri", shape[0])


def test_larger_prediction_and_given_range_match_fastmri():
    random = np.random.RandomState(7)
    reference = np.abs(random.standard_normal((2, 41, 33))).astype(np.float32)
    prediction = np.abs(random.standard_normal((2, 46, 38))).astype(np.float32)
    scores = fastmri_scores(torch.from_numpy(prediction), torch.from_numpy(reference))
    assert (scores.psnr, scores.ssim) == pytest.approx((12.765513332913025, -0.026027657799945533), abs=1e-7)
    assert scores.nmse == pytest.approx(0.7521759867668152, abs=1e-7)
    scores = fastmri_scores(prediction, reference, data_range=5.0)
    assert (scores.psnr, scores.ssim) == pytest.approx((15.280769653112161, -0.011861064741682595), abs=1e-7)


def test_wide_reference_keeps_its_rows():
    """A prediction with a larger frame is cropped to the reference's, here 21 x 30; a lower one is refused."""
    random = np.random.RandomState(11)
    reference = np.abs(random.standard_normal((3, 21, 30))).astype(np.float32)
    prediction = np.abs(random.standard_normal((3, 26, 35))).astype(np.float32)
    scores = fastmri_scores(prediction, reference)
    assert (scores.psnr, scores.ssim) == pytest.approx((12.380510437246985, 0.06655890173329233), abs=1e-7)
    assert (scores.nmse, scores.data_range) == pytest.approx((0.6845814044167439, 3.487276315689087), abs=1e-7)
    with pytest.raises(InputError, match="centre 21 x 30"):
        fastmri_scores(prediction[:, :20], reference)


def test_one_slice_with_the_volumes_range_is_its_share_of_the_volume():
    prediction, reference = volumes(0, (3, 40, 40))
    whole = fastmri_scores(prediction, reference)
    parts = [fastmri_scores(prediction[i : i + 1], reference[i : i + 1], data_range=whole.data_range) for i in range(3)]
    assert np.mean([part.ssim for part in parts]) == pytest.approx(whole.ssim, abs=1e-12)
    mean_error = np.mean([10 ** (-part.psnr / 10) for part in parts])
    assert -10 * log10(mean_error) == pytest.approx(whole.psnr, abs=1e-9)


def test_scale_is_not_forgiven():
    prediction, reference = volumes(0, (3, 40, 40))
    assert fastmri_scores(2 * reference, reference).nmse == pytest.approx(1)
    assert fastmri_scores(2 * prediction, reference).psnr < fastmri_scores(prediction, reference).psnr - 10


def test_identity_is_perfect():
    _, reference = volumes(0, (3, 40, 40))
    scores = fastmri_scores(reference, reference)
    assert (scores.psnr, scores.nmse) == (inf, 0)
    assert scores.ssim == pytest.approx(1)


def test_psnr_of_a_known_error():
    reference = torch.zeros(2, 3, 3)
    assert psnr(reference + 0.1, reference, data_range=10) == pytest.approx(40, abs=1e-5)


def test_data_range_must_be_given():
    x = torch.ones(1, 8, 8)
    for metric in (psnr, ssim):
        with pytest.raises(TypeError, match="data_range"):
            metric(x, x)
        with pytest.raises(InputError, match="data range"):
            metric(x, x, data_range=0.0)


def test_bfloat16_is_read():
    x = torch.full((1, 8, 8), 2.0)
    assert nmse(x.bfloat16(), x) == 0


def test_complex_error_knows_phase_and_scale():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(1, 1, 9, 8, dtype=torch.complex64, generator=random)
    assert complex_nrmse(x, x) == 0
    assert complex_nrmse(-x, x) == pytest.approx(2)
    assert complex_nrmse(1.5 * x, x) == pytest.approx(0.5)
    assert complex_nrmse(x * np.exp(0.3j), x) == pytest.approx(abs(np.exp(0.3j) - 1), rel=1e-6)
    assert complex_nrmse(x.conj(), x.conj().resolve_conj()) == 0


def test_phase_error_is_weighted_by_the_signal():
    random = torch.Generator().manual_seed(0)
    x = 1e-6 * torch.randn(1, 9, 8, dtype=torch.complex64, generator=random)
    assert phase_error(x, x) == 0
    assert phase_error(3 * x, x) == pytest.approx(0, abs=1e-5)  # scale is for the NRMSE
    assert phase_error(x * np.exp(0.3j), x) == pytest.approx(np.degrees(0.3), rel=1e-5)
    assert phase_error(x * np.exp(3.5j), x) == pytest.approx(360 - np.degrees(3.5), rel=1e-5)  # the short way round
    strong, weak = torch.tensor([[3 + 0j, 1 + 0j]]), torch.tensor([[3 + 0j, 1j]])
    assert phase_error(weak, strong) == pytest.approx(9)  # 90 degrees in a tenth of the energy
    assert phase_error(torch.tensor([[3 + 0j, 0j]]), weak) == 0
    assert phase_error(torch.zeros_like(x), x) is None and phase_error(x, torch.zeros_like(x)) is None


def test_residual_is_relative_to_the_data():
    y = torch.tensor([[3 + 4j, 0]])
    assert residual(y, y) == 0
    assert residual(y + 0.5, y) == pytest.approx(0.5**0.5 / 5)
    with pytest.raises(InputError, match="crop them"):
        residual(y, y[0])


@pytest.mark.parametrize(
    ("prediction", "reference", "sentence"),
    [
        (torch.ones(2, 8, 8), torch.ones(3, 8, 8), "2 slices"),
        (torch.ones(8, 8), torch.ones(1, 8, 8), "slice, height, width"),
        (torch.ones(1, 7, 9), torch.ones(1, 8, 8), "prediction is 7 x 9"),
        (torch.full((1, 8, 8), torch.nan), torch.ones(1, 8, 8), "not finite"),
        (torch.ones(1, 8, 8), torch.full((1, 8, 8), torch.inf), "not finite"),
        (torch.ones(0, 8, 8), torch.ones(0, 8, 8), "empty"),
        (torch.ones(1, 8, 8, dtype=torch.complex64), torch.ones(1, 8, 8), "magnitude"),
        (torch.ones(1, 8, 8), torch.zeros(1, 8, 8), "data range"),
        (torch.ones(1, 6, 6), torch.ones(1, 6, 6), "7 x 7"),
    ],
)
def test_what_cannot_be_scored_is_refused(prediction, reference, sentence):
    with pytest.raises(InputError, match=sentence):
        fastmri_scores(prediction, reference)


def test_pairs_of_different_shape_or_without_signal_are_refused():
    with pytest.raises(InputError, match="crop them"):
        nmse(torch.ones(1, 8, 8), torch.ones(1, 8, 7))
    with pytest.raises(InputError, match="zero everywhere"):
        complex_nrmse(torch.ones(2, 2), torch.zeros(2, 2))


def test_the_map_of_ssim_is_skimages_and_differentiable():
    rng = np.random.default_rng(4)
    y = rng.random((3, 20, 24))
    x = y + 0.2 * rng.standard_normal(y.shape)
    values = ssim_map(torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None], data_range=1.3)
    assert values.shape == (3, 1, 14, 18)
    for index in range(3):
        _, expected = structural_similarity(y[index], x[index], win_size=7, data_range=1.3, full=True)
        np.testing.assert_allclose(values[index, 0].numpy(), expected[3:-3, 3:-3], atol=1e-12)
    assert float(values.mean()) == pytest.approx(ssim(x, y, data_range=1.3), abs=1e-12)
    a = torch.rand(1, 1, 8, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    b = torch.rand(1, 1, 8, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(lambda z: ssim_map(z, b, data_range=1.0), a)


def test_each_image_of_a_batch_may_have_a_range_of_its_own():
    x, y = (torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(seed)) for seed in (2, 3))
    together = ssim_map(x, y, data_range=torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1))
    for index, peak in enumerate((1.0, 3.0)):
        torch.testing.assert_close(together[index], ssim_map(x, y, data_range=peak)[index])


def test_the_map_of_ssim_refuses_what_has_none():
    small, image = torch.rand(1, 1, 6, 9), torch.rand(1, 1, 9, 9)
    for a, b, match in ((small, small, "at least 7 x 7"), (image, image[0], "batch, channel"),
                        (image.to(torch.complex64), image, "magnitudes")):
        with pytest.raises(InputError, match=match):
            ssim_map(a, b, data_range=1.0)


def test_flicker_is_the_change_of_the_error_from_slice_to_slice():
    reference = np.random.default_rng(0).random((4, 5, 6))
    assert flicker(reference + 0.3, reference, data_range=2.0) == pytest.approx(0, abs=1e-12)
    alternating = 0.1 * np.array([1, -1, 1, -1])[:, None, None]
    assert flicker(reference + alternating, reference, data_range=2.0) == pytest.approx(0.1)
    errors = 0.1 * np.random.default_rng(1).standard_normal((200, 30, 30))
    assert flicker(errors, 0 * errors, data_range=1.0) == pytest.approx(0.1 * 2**0.5, rel=0.02)
    for prediction, match in ((reference[:1], "two slices or more"), (reference[:, :4], "one shape")):
        with pytest.raises(InputError, match=match):
            flicker(prediction, reference, data_range=1.0)
    with pytest.raises(InputError, match="data range"):
        flicker(reference, reference, data_range=0.0)
