"""The configuration of a run that trains a supervised baseline on scans; see `config` for the others."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from ..errors import InputError
from ..mri.sampling import KINDS
from ..settings import Bounds, Checked, check
from .config import Adjustable, Count, NotNegative, Optim, RunConfig, Sources, Whole


@dataclass(frozen=True)
class Acquisition:
    """How scans are simulated from images, and which samples are left out of them.

    Args:
        kinds: of masks (`medrestore.mri.sampling.KINDS`), drawn evenly.
        accels: (acceleration, calibration lines), drawn evenly; the lines are those of masks along one axis,
            0 takes the kind's own rule, which masks over both axes follow always.
        masks: how many different ones of each kind and acceleration; they stay in memory, as some take long
            to draw.
        coils: how many are simulated, drawn evenly.
        snr_db: [least, most] of simulated scans, as `simulate_scan` has it, drawn evenly.
        phase: rms of the smooth random phase that an image gets, radians.
        cut: share of the simulated scans whose coil maps are zero outside the object, as those of ESPIRiT.
    """

    kinds: tuple[str, ...] = ("uniform1d", "gaussian1d", "gaussian2d", "poisson2d")
    accels: tuple[tuple[Annotated[float, Bounds(at_least=1)], Whole], ...] = ((4.0, 16), (8.0, 10))
    masks: Count = 64
    coils: tuple[Count, ...] = (8,)
    snr_db: tuple[float, float] = (25.0, 35.0)
    phase: NotNegative = 1.0
    cut: Annotated[float, Bounds(at_least=0, at_most=1)] = 0.7

    def __post_init__(self) -> None:
        check(self)
        for name, values in (("kinds", self.kinds), ("accels", self.accels), ("coils", self.coils)):
            if not values:
                raise InputError(f"Acquisition: {name} needs at least one entry")
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise InputError(
                f"Acquisition: kinds must be sampling masks ({', '.join(KINDS)}), got {unknown[0]!r}"
            )
        if self.snr_db[0] > self.snr_db[1]:
            raise InputError(f"Acquisition: snr_db must rise, got {list(self.snr_db)}")


@dataclass(frozen=True)
class ScanData(Checked, Sources):
    """The images and volumes that scans come from.

    Args:
        train, validation, augment: see `Sources`.
        sides: of square crops of the images; empty: whole slices, mirrored half of the time.
        workers: processes that prepare scans; 0: none.
        validation_scans: how many of each kind and acceleration are scored.
    """

    sides: tuple[Count, ...] = ()
    workers: Adjustable[Whole] = 0
    validation_scans: Count = 4


@dataclass(frozen=True)
class Loss:
    """The loss of a baseline: l1 * |x - target| + ssim * (1 - SSIM(|x|, |target|)), the image being about 1.

    Args:
        l1: weight of the mean magnitude of the complex error.
        ssim: weight of the structural dissimilarity of the magnitudes, 7 x 7 pixels.
    """

    l1: NotNegative = 1.0
    ssim: NotNegative = 1.0

    def __post_init__(self) -> None:
        check(self)
        if self.l1 + self.ssim == 0:
            raise InputError("Loss: l1 and ssim are both 0, so nothing would be learned; raise one")


@dataclass(frozen=True, kw_only=True)
class BaselineConfig(RunConfig):
    """A run that trains a supervised baseline.

    Args:
        baseline: `unet` or `varnet`.
        out: folder of the run; the baseline ends up in `out/baseline`.
        network: arguments of `baselines.UNet` or `baselines.VarNet`.
        scan: how scans are simulated.
        images: scans to train on, in all.
        ema_images: half-life of the averaged weights.
    """

    baseline: Literal["unet", "varnet"]
    out: Adjustable[str] = "runs/baseline"
    data: ScanData = field(default_factory=ScanData)
    scan: Acquisition = field(default_factory=Acquisition)
    loss: Loss = field(default_factory=Loss)
    optim: Optim = field(
        default_factory=lambda: Optim(lr=1e-3, batch=4, warmup_images=200, decay_images=2000)
    )
    images: Adjustable[Count] = 20_000
    ema_images: Count = 1_000
    checkpoint_images: Adjustable[Count] = 2_000
