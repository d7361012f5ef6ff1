"""The priors that ship: small, described, and better at their images than what knows nothing of them."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medrestore.datasets import Crops, augmentation, images
from medrestore.priors import load
from medrestore.priors.store import describe
from medrestore.shipped import priors

LARGEST = 16e6  # bytes of a whole prior
UNSEEN = {  # sources that the prior has not learned from, and the crops of them
    "brain-mr-starter": ({"kind": "phantoms", "count": 4, "size": 96, "seed": 9, "form": "complex"}, "complex_mr"),
    "surgical-starter": ({"kind": "scenes", "scenes": [1000, 1003], "frames": 1, "size": [135, 240]}, "frames"),
    "pictures-starter": ({"kind": "photographs", "names": ["astronaut", "coffee", "chelsea"]}, "frames"),
}
SHARES = {"pictures-starter": 0.75}  # of the error of the best blur: photographs hold more than what the package generates
LICENCES = {"pictures-starter": "CC-BY-SA-4.0"}  # as that of photographs it has learned from


def crops(name: str, side: int = 96) -> Tensor:
    source, augment = UNSEEN[name]
    found = Crops(images([source]), augmentation(augment), seed=0)
    return torch.stack([found[k, side] for k in range(3)])


@pytest.mark.parametrize("name", UNSEEN)
def test_it_is_small_and_says_what_it_is(name: str) -> None:
    folder = priors()[name]
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LARGEST
    assert {"CARD.md", "config.yaml", "log.csv", "prior.json"} <= {path.name for path in folder.iterdir()}
    about = describe(name)
    assert about["card"]["licence"].startswith(LICENCES.get(name, "Apache-2.0")) and about["card"]["training_data"]


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_it_denoises_better_than_any_blur(name: str, sigma: float) -> None:
    prior, x0 = load(name), crops(name)
    x = x0 + sigma * torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))

    def error(estimate: Tensor) -> float:
        return float((estimate - x0).square().mean())

    blurs = [F.avg_pool2d(x, size, 1, size // 2, count_include_pad=False) for size in (1, 3, 5, 7, 9, 11)]
    with torch.inference_mode():
        assert error(prior(x, sigma)) < SHARES.get(name, 0.6) * min(map(error, blurs))


@pytest.mark.parametrize(("name", "size"), [("brain-mr-starter", (96, 96)), ("brain-mr-starter", (512, 512)),
                                            ("surgical-starter", (256, 256)), ("surgical-starter", (272, 480)),
                                            ("pictures-starter", (256, 256))])
def test_it_takes_the_sizes_it_is_meant_for(name: str, size: tuple[int, int]) -> None:
    prior = load(name)
    with torch.inference_mode():
        assert prior(torch.zeros(1, prior.channels, *size), 0.1).isfinite().all()
