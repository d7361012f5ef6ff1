"""Training a prior lowers its denoising error."""

from pathlib import Path

import pytest
from helpers.runs import Recorder, train_waves


@pytest.mark.slow
def test_training_lowers_the_denoising_error(tmp_path: Path) -> None:
    recorder = Recorder()
    train_waves(tmp_path, callbacks=recorder, images=1600, checkpoint_images=800, optim__lr=4e-3, optim__decay_images=800,
                ema_images=[100], data__sides=[[16, 1.0]])
    first, last = recorder.rows
    assert last["psnr_at_0.5"] > first["psnr_at_0.5"] > 6 + 0.5  # 6 dB are in the noise itself
    assert last["validation_loss"] < first["validation_loss"] < 1
