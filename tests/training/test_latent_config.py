"""The bounds of a run that trains an autoencoder."""

import pytest

from medrestore.errors import InputError
from medrestore.training.kinds import read
from medrestore.training.latent_config import AutoencoderConfig, AutoencoderLoss


def test_the_weight_of_the_codes_follows_from_their_kind() -> None:
    assert AutoencoderConfig(autoencoder="kl").codes_weight == 1e-4 and AutoencoderConfig(autoencoder="vq").codes_weight == 1.0
    assert AutoencoderConfig(autoencoder="kl", loss=AutoencoderLoss(codes=0.0)).codes_weight == 0.0


def test_a_run_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="l1, squared and gradients are all 0"):
        AutoencoderLoss(l1=0.0, squared=0.0, gradients=0.0)
    with pytest.raises(InputError, match="autoencoder must be"):
        read({"autoencoder": "gan"}, "x.yaml")
