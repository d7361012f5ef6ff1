"""The autoencoders against those of diffusers."""

from typing import Any

import diffusers
import pytest
import torch

from medrestore.priors.autoencoder import AutoencoderKL, CodeBook, VQModel

BLOCKS: dict[str, Any] = {"block_out_channels": (8, 16), "down_block_types": ["DownEncoderBlock2D"] * 2, "norm_num_groups": 4,
                          "up_block_types": ["UpDecoderBlock2D"] * 2, "layers_per_block": 2}
SMALL = BLOCKS | {"num_vq_embeddings": 16}


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("changes", [{}, {"mid_block_add_attention": False, "vq_embed_dim": 5}])
def test_it_is_the_autoencoder_of_diffusers(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs, ours = diffusers.VQModel(**SMALL | changes).eval(), VQModel(**SMALL | changes).eval()
    ours.load_state_dict(theirs.state_dict())  # the same names and shapes
    image = picture(2, 3, 16, 24)
    with torch.no_grad():
        codes = ours.encode(image)
        assert torch.allclose(codes, theirs.encode(image).latents, atol=1e-6)
        assert torch.allclose(ours.decode(codes), theirs.decode(codes).sample, atol=1e-5)
        assert torch.allclose(ours.decode(codes, quantise=False), theirs.decode(codes, force_not_quantize=True).sample, atol=1e-5)
    assert ours.code_channels == codes.shape[1] and ours.factor == 2


@pytest.mark.parametrize("changes", [{}, {"mid_block_add_attention": False, "latent_channels": 3, "in_channels": 2,
                                          "out_channels": 2}])
def test_the_one_of_normal_codes_is_that_of_diffusers(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs, ours = diffusers.AutoencoderKL(**BLOCKS | changes).eval(), AutoencoderKL(**BLOCKS | changes).eval()
    ours.load_state_dict(theirs.state_dict())
    image = picture(2, changes.get("in_channels", 3), 16, 24)
    with torch.no_grad():
        drawn, (mean, log_variance) = theirs.encode(image).latent_dist, ours.moments(image)
        assert torch.allclose(mean, drawn.mean, atol=1e-6) and torch.allclose(log_variance, drawn.logvar, atol=1e-5)
        assert torch.equal(ours.encode(image), mean)
        assert torch.allclose(ours.decode(mean), theirs.decode(mean).sample, atol=1e-5)
        noise = picture(*mean.shape)
        made, divergence = ours.reconstruct(image, noise)
        assert torch.allclose(made, ours.decode(mean + drawn.std * noise), atol=1e-5)
        assert float(divergence) == pytest.approx(float(drawn.kl().sum()) / mean.numel(), rel=1e-4)
    assert ours.code_channels == mean.shape[1] and ours.factor == 2


def test_codes_are_the_nearest_and_gradients_pass() -> None:
    book = CodeBook(3, 1)
    with torch.no_grad():
        book.embedding.weight.copy_(torch.tensor([[0.0], [1.0], [5.0]]))
    z = torch.tensor([0.2, 0.9, 4.0, 2.9]).reshape(1, 1, 2, 2).requires_grad_()
    book(z).sum().backward()
    assert torch.allclose(book(z).flatten(), torch.tensor([0.0, 1.0, 5.0, 1.0])) and z.grad is not None
    assert torch.equal(z.grad, torch.ones_like(z))


def test_entries_follow_codes_and_codes_their_entries_a_quarter_as_much() -> None:
    torch.manual_seed(0)
    model = VQModel(**SMALL)
    image = picture(1, 3, 8, 8)
    made, apart = model.reconstruct(image, torch.empty(0))
    z = model.encode(image)
    assert torch.allclose(made, model(image), atol=1e-5)
    expected = 1.25 * float((model.quantize.entries(z) - z).detach().square().mean())
    assert float(apart.detach()) == pytest.approx(expected, rel=1e-4)
    apart.backward()
    assert model.quantize.embedding.weight.grad is not None and model.quant_conv.weight.grad is not None
    assert model.decoder.conv_out.weight.grad is None


@pytest.mark.parametrize("changes", [{"norm_type": "spatial"}, {"up_block_types": ["UpDecoderBlock2D"]}, {"force_upcast": True}])
def test_others_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"norm_type must be group|levels has as many blocks"):
        VQModel(**SMALL | changes)


@pytest.mark.parametrize("changes", [{"use_quant_conv": False}, {"shift_factor": 0.1},
                                     {"down_block_types": ["DownEncoderBlock2D"]}])
def test_other_ones_of_normal_codes_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"use_quant_conv and use_post|levels has as many blocks"):
        AutoencoderKL(**BLOCKS | changes)
