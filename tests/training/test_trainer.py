"""The trainer learns, resumes where it stopped, and its averaged weights become a prior."""

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel

from medrestore.priors import EDM
from medrestore.training.trainer import Training, averaged_weights, denoising_loss, train, validate

EDM_05 = EDM(sigma_data=0.5, time_scale=60.0)
SETTINGS = Training(images=64, sides=((8, 0.5), (16, 0.5)), batch=8, lr=2e-3, warmup_images=8, decay_images=16,
                    ema_images=8, checkpoint_images=32, seed=3)


def tiny() -> UNet2DModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the initial weights
        return UNet2DModel(in_channels=2, out_channels=2, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
                           down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, add_attention=False)


class Waves:
    """Smooth images, drawn from the generator that the trainer saves."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def __call__(self, batch: int, side: int) -> torch.Tensor:
        phase = torch.rand(batch, 2, 1, 1, generator=self.generator) * 6
        return 0.7 * (phase + torch.linspace(0, 3, side)).sin().expand(batch, 2, side, side)


def run(folder: Path, settings: Training) -> list[dict[str, float]]:
    generator = torch.Generator().manual_seed(settings.seed)
    validation = Waves(torch.Generator().manual_seed(9))(2, 16)
    return list(train(tiny(), EDM_05, Waves(generator), validation, settings, folder, sigma_data=0.5, generator=generator))


def test_resume_ends_with_the_weights_of_an_unbroken_run(tmp_path: Path) -> None:
    rows = run(tmp_path / "whole", SETTINGS)
    assert [row["images"] for row in rows] == [32, 64]
    broken = tmp_path / "broken"
    generator = torch.Generator().manual_seed(SETTINGS.seed)
    validation = Waves(torch.Generator().manual_seed(9))(2, 16)
    steps = train(tiny(), EDM_05, Waves(generator), validation, SETTINGS, broken, sigma_data=0.5, generator=generator)
    next(steps)  # stopped after the first checkpoint
    run(broken, SETTINGS)
    whole, resumed = averaged_weights(tmp_path / "whole" / "state.pt"), averaged_weights(broken / "state.pt")
    assert whole[1] == resumed[1] == 64
    assert all(torch.equal(whole[0][key], resumed[0][key]) for key in whole[0])
    assert (broken / "log.csv").read_text().count("\n") == 3 and not list(broken.glob("*.part"))


def test_training_lowers_the_denoising_error(tmp_path: Path) -> None:
    settings = Training(images=2000, sides=((16, 1.0),), batch=16, lr=3e-3, warmup_images=50, decay_images=500, ema_images=100,
                        checkpoint_images=1000, seed=1)
    rows = run(tmp_path, settings)
    before = validate(tiny(), EDM_05, Waves(torch.Generator().manual_seed(9))(2, 16), seed=1)
    assert rows[-1]["psnr_at_0.5"] > before["psnr_at_0.5"] + 1.5


def test_every_noise_level_weighs_the_same_for_an_untrained_network() -> None:
    class Zero(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor) -> object:
            return type("Out", (), {"sample": torch.zeros_like(x)})()

    generator = torch.Generator().manual_seed(0)
    x0 = 0.5 * torch.randn(4000, 2, 4, 4, generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    losses = [float(denoising_loss(Zero(), EDM_05, x0, torch.full((4000,), s), noise, sigma_data=0.5)) for s in (0.01, 0.5, 20.0)]
    assert losses == pytest.approx([1.0, 1.0, 1.0], rel=0.05)
