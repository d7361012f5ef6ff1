"""The autoencoder against that of diffusers."""

from typing import Any

import diffusers
import pytest
import torch

from medrestore.priors.autoencoder import CodeBook, VQModel

SMALL: dict[str, Any] = {"block_out_channels": (8, 16), "down_block_types": ["DownEncoderBlock2D"] * 2, "norm_num_groups": 4,
                         "up_block_types": ["UpDecoderBlock2D"] * 2, "layers_per_block": 2, "num_vq_embeddings": 16}


@pytest.mark.parametrize("changes", [{}, {"mid_block_add_attention": False, "vq_embed_dim": 5}])
def test_it_is_the_autoencoder_of_diffusers(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs, ours = diffusers.VQModel(**SMALL | changes).eval(), VQModel(**SMALL | changes).eval()
    ours.load_state_dict(theirs.state_dict())  # the same names and shapes
    image = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        codes = ours.encode(image)
        assert torch.allclose(codes, theirs.encode(image).latents, atol=1e-6)
        assert torch.allclose(ours.decode(codes), theirs.decode(codes).sample, atol=1e-5)
        assert torch.allclose(ours.decode(codes, quantise=False), theirs.decode(codes, force_not_quantize=True).sample, atol=1e-5)


def test_codes_are_the_nearest_and_gradients_pass() -> None:
    book = CodeBook(3, 1)
    with torch.no_grad():
        book.embedding.weight.copy_(torch.tensor([[0.0], [1.0], [5.0]]))
    z = torch.tensor([0.2, 0.9, 4.0, 2.9]).reshape(1, 1, 2, 2).requires_grad_()
    book(z).sum().backward()
    assert torch.allclose(book(z).flatten(), torch.tensor([0.0, 1.0, 5.0, 1.0])) and z.grad is not None
    assert torch.equal(z.grad, torch.ones_like(z))


@pytest.mark.parametrize("changes", [{"norm_type": "spatial"}, {"up_block_types": ["UpDecoderBlock2D"]}, {"force_upcast": True}])
def test_others_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"norm_type must be group|levels has as many blocks"):
        VQModel(**SMALL | changes)
