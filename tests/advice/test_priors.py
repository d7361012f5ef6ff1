"""Advice on priors, options of methods, tasks and the page, followed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from fastapi.testclient import TestClient
from helpers.advice import case, followed, follows
from helpers.autoencoders import autoencoder
from helpers.networks import save_classifier, save_rgb_prior
from helpers.served import front_of, guarded, jobs_in
from helpers.tasks import Fill
from laws import white
from priors.test_latent import given_one, network, small
from torch import Tensor

from medrestore import priors
from medrestore.codecs import Interval
from medrestore.methods import DDS
from medrestore.priors import (
    ByParts,
    BySets,
    Epsilon,
    NetworkPrior,
    StationaryGaussian,
    classifier_store,
    latent,
    spaces,
)
from medrestore.priors.conditional import Conditioned
from medrestore.priors.network_files import device_of
from medrestore.priors.parametrisations import linear_betas
from medrestore.priors.spaces import LatentSpace
from medrestore.recon.plan import Plan
from medrestore.serve.forms import FORMS, inputs_of
from medrestore.settings.documents import read_yaml
from medrestore.tasks import Task, run

X = white((1, 2, 16, 16))
RGB = white((1, 3, 16, 16))


def net(inside: int = 3, out: int = 3, **changes: Any) -> UNet2DModel:
    return UNet2DModel(
        in_channels=inside,
        out_channels=out,
        layers_per_block=1,
        block_out_channels=(8,),
        norm_num_groups=4,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        add_attention=False,
        **changes,
    )


def of_pipeline(given: Any, **how: Any) -> Tensor:
    prior = NetworkPrior.from_diffusers(given, **how)
    return prior(white((1, prior.channels, 16, 16)), 1.0)


def classifier(folder: Path, name: str) -> classifier_store.NetworkClassifier:
    """A classifier's folder whose configuration has this network."""
    if not folder.is_dir():
        save_classifier(folder, names=("a", "b"))
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"_class_name": name}))
    rewritten(folder)
    return classifier_store.load(folder)


def rewritten(folder: Path) -> None:
    from medrestore.files import digest
    from medrestore.priors.store import sealed

    about = json.loads((folder / classifier_store.FILE).read_text())
    about["config_sha256"] = {name: digest(folder / name / "config.json") for name in about["config_sha256"]}
    (folder / classifier_store.FILE).write_text(json.dumps(sealed(about)))


def super_resolution(folder: Path) -> Path:
    priors.save(
        folder,
        network(6, 3),
        parametrisation=Epsilon(),
        recipe=Interval(),
        channels=3,
        multiple=2,
        card={"name": "tiny"},
        facts={"condition_channels": 3, "factor": 4},
    )
    return folder


def tasks(folder: Path, *names: str, **how: Any) -> int:
    return len(run([Task(name, f"k{name}", name, {"seed": 0}) for name in names], Fill(), folder, **how).done)


def form(folder: Path, kind: str, *names: str) -> dict[str, str]:
    for name in names:
        (folder / name).touch()
    return inputs_of(FORMS[kind], folder)


BETAS = linear_betas()
CUMULATED = torch.cumprod(1 - torch.tensor(BETAS, dtype=torch.float64), 0).tolist()
CASES = [
    case(
        "{} has a {}, and a classifier is an {}; convert or train it again",
        lambda folder: classifier(folder / "c", "UNet2DModel"),
        lambda folder: classifier(folder / "again", "EncoderUNet")(RGB, 1.0).shape == (1, 2),
    ),
    case(
        "this prior restores from a coarse image, and was never trained without one; give it a "
        "problem, or take another prior",
        lambda _: given_one().alone,
        lambda _: (
            given_one().given(small(1, 3, 4, 6)).size == (8, 12)
            and given_one(optional=True).alone.channels == 3
        ),
    ),
    case(
        "a {} is no diffusers pipeline; give one such as DDPMPipeline, or (unet, scheduler)",
        lambda _: of_pipeline(net()),
        lambda _: (
            of_pipeline(DDPMPipeline(net(), DDPMScheduler())).shape == RGB.shape
            and of_pipeline((net(), DDPMScheduler())).shape == RGB.shape
        ),
    ),
    case(
        "a {} and a {} are given, and the prior of a pipeline is a UNet2DModel with a scheduler; "
        "pass other networks to NetworkPrior itself",
        lambda _: of_pipeline((torch.nn.Identity(), DDPMScheduler())),
        lambda _: NetworkPrior(network(3, 3), Epsilon(), channels=3)(RGB, 1.0).shape == RGB.shape,
    ),
    case(
        "this network takes {} channels and gives {}, and a prior gives as many as it takes, or "
        "twice as many with a learned variance; wrap a conditional network in "
        "priors.conditional.Conditioned",
        lambda _: of_pipeline((net(6, 3), DDPMScheduler())),
        lambda _: (
            NetworkPrior(Conditioned(net(6, 3), RGB), Epsilon(), channels=3)(RGB, 1.0).shape == RGB.shape
        ),
    ),
    case(
        "the weights of this network are {}; load the pipeline in float32, and pass bf16=True to "
        "compute in bfloat16",
        lambda _: of_pipeline((net().half(), DDPMScheduler())),
        lambda _: of_pipeline((net(), DDPMScheduler()), bf16=True).isfinite().all(),
    ),
    case(
        "this prior knows no classes; leave the label out",
        lambda _: NetworkPrior(net(), Epsilon(), channels=3).of_classes(RGB, 1.0, torch.tensor([0])),
        lambda _: NetworkPrior(net(), Epsilon(), channels=3)(RGB, 1.0).isfinite().all(),
    ),
    case(
        "betas fall from {} to {}: these look like alphas_cumprod; give betas, which are 1 - "
        "alphas_cumprod[t] / alphas_cumprod[t - 1]",
        lambda _: Epsilon(tuple(CUMULATED)),
        lambda _: (
            Epsilon(
                tuple(1 - now / before for before, now in zip([1.0, *CUMULATED], CUMULATED, strict=False))
            ).betas
            == pytest.approx(BETAS)
        ),
    ),
    case(
        "{} betas up to {} leave nothing of the image at the last step; give those that the network "
        "was trained with",
        lambda _: Epsilon((0.9,) * 1000),
        lambda _: Epsilon(BETAS).betas == BETAS,
    ),
    case(
        "complex images by parts take a prior of one channel with an interval of its images, and "
        "this one has {} channels and the recipe {}; give another prior",
        lambda _: ByParts(StationaryGaussian(torch.ones(16, 16), channels=2)),
        lambda folder: (
            ByParts(priors.load(save_rgb_prior(folder / "grey", channels=1)))(X, 1.0).shape == X.shape
        ),
    ),
    case(
        "sets of coil maps take a prior of complex images, two channels, and this one has {}; give "
        "another prior",
        lambda _: BySets(StationaryGaussian(torch.ones(16, 16)), 2),
        lambda _: (
            BySets(StationaryGaussian(torch.ones(16, 16), channels=2), 2)(white((1, 4, 16, 16)), 1.0).shape
            == (1, 4, 16, 16)
        ),
    ),
    case(
        "{} holds no {}; give the folder of a trained autoencoder, as OUT/autoencoder of a run",
        lambda folder: spaces.load(folder),
        lambda folder: (
            (
                LatentSpace(autoencoder()).save(folder / "autoencoder", {}),
                spaces.load(folder / "autoencoder"),
            )[1].channels
            == 2
        ),
    ),
    case(
        "{} is a {}, which scans, frames and windows cannot use; restore or generate images with it, "
        "or open it by medrestore.priors.latent.load",
        lambda folder: priors.load(super_resolution(folder / "sr")),
        lambda folder: latent.load(super_resolution(folder / "again")).channels == 3,
    ),
    case(
        "{} names no device; give cpu, cuda, cuda:1, mps or xpu",
        lambda _: device_of("gpu"),
        lambda _: (
            [device_of(name).type for name in ("cpu", "cuda", "cuda:1", "mps", "xpu")]
            == ["cpu", "cuda", "cuda", "mps", "xpu"]
        ),
    ),
    case(
        "{} is longer than {} MiB, which no file of settings is; give another file",
        lambda _: read_yaml("# " * (1 << 23) + "\nsteps: 3", "mine.yaml"),
        lambda _: read_yaml("steps: 3", "mine.yaml") == {"steps": 3},
    ),
    case(
        "go with the name of a {}; give them to the object {}",
        lambda _: Plan(DDS(), options={"eta": 0.5}),
        lambda _: Plan(DDS(eta=0.5)) == Plan("dds", options={"eta": 0.5}),
    ),
    case(
        "{} threads cannot work; give at least 1",
        lambda folder: tasks(folder, "a", threads=0),
        lambda folder: tasks(folder, "a", threads=1) == 1,
    ),
    case(
        "the task {} would lie inside the folder of the task {}; give it another name",
        lambda folder: tasks(folder, "a", "a/b"),
        lambda folder: tasks(folder, "a", "b/a") == 2,
    ),
    case(
        "the page has no field {}; reload it",
        lambda _: FORMS["recon"].given({"sharpness": "x"}, {}),
        lambda _: FORMS["recon"].given({FORMS["recon"].fields[0].name: "x"}, {}) != {},
    ),
    case(
        "{} names a file, and the page takes none but those that are dropped on it; leave it out",
        lambda _: FORMS["recon"].given({"quality": "fast"}, {"maps": "x.npy"}),
        lambda _: FORMS["recon"].given({"quality": "fast"}, {}) == {"quality": "fast"},
    ),
    case(
        "the {} is missing; drop a file",
        lambda folder: form(folder, "recon"),
        lambda folder: form(folder, "recon", "scan.h5") == {"scan": "scan.h5"},
    ),
    case(
        "{}.hdr is one half of a BART scan; drop the .cfl with it",
        lambda folder: form(folder, "recon", "scan.hdr"),
        lambda folder: form(folder, "recon", "scan.cfl") == {"scan": "scan.cfl"},
    ),
]


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_priors_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    front, offers = front_of()
    base = "http://127.0.0.1:8765"
    with jobs_in(tmp_path, front, device="cpu") as jobs:
        guard = guarded(jobs, front, offers)
        with TestClient(guard, base_url=base, headers={"origin": base}) as client:
            assert client.get(f"/?token={guard.token}").status_code == 200
            yield client


@follows(
    "this job is not there any more; begin another one",
    "this job takes no more files; begin another one",
    "this job was started already; begin another one",
    "what was filled in cannot be read; reload the page",
)
def test_a_job_of_the_page_is_begun_again(client: TestClient) -> None:
    def begun() -> str:
        return str(client.post("/api/jobs/recon").json()["id"])

    def put(name: str) -> Any:
        return client.put(f"/api/jobs/{name}/files/scan?suffix=.h5", content=b"scan")

    assert "this job is not there any more; begin another one" in put("gone").text
    name = begun()
    assert put(name).json() == {"bytes": 4}
    assert (
        "what was filled in cannot be read; reload the page"
        in client.post(f"/api/jobs/{name}/start", content=b"[").text
    )
    assert client.get("/").status_code == 200
    filled = {"values": {"quality": "fast"}, "more": ""}
    assert client.post(f"/api/jobs/{name}/cancel").status_code == 200
    assert "this job takes no more files; begin another one" in put(name).text
    assert (
        "this job was started already; begin another one"
        in client.post(f"/api/jobs/{name}/start", json=filled).text
    )
    again = begun()
    assert put(again).json() == {"bytes": 4}
