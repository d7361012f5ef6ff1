"""What the page asks for each job: options of the commands by name, and what a tick stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.images import SUFFIXES as IMAGES
from ..io.kspace.open import suffixes as scan_suffixes

SPREAD_SAMPLES = 4
SAMPLE = "sample:brain-scan"  # what is tried where no scan is at hand
TRIED: Mapping[str, Any] = {"undersample": "uniform1d", "accel": 4}  # on the sample, which is fully sampled


@dataclass(frozen=True)
class FormField:
    """An option that has a place of its own on the page.

    Attributes:
        name: of the option.
        label: on the page.
        hint: what to know of it.
        only: the choices of another field, or the name of one that is filled in, with which it is asked for; empty for always.
        rarely: whether it stands among those that few need.
        words: for choices.
    """

    name: str
    label: str
    hint: str = ""
    only: tuple[str, ...] = ()
    rarely: bool = False
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """What a job asks for.

    Attributes:
        files: role to the suffixes of the files that may be given.
        fields: what it asks for; spread is no option of the command, but stands for some.
        spread: the options that draw several samples, by the task, or by nothing for any other.
        choices: of an option, where the page offers fewer than the command.
        fixed: options that the page settles.
    """

    files: Mapping[str, tuple[str, ...]]
    fields: tuple[FormField, ...]
    spread: Mapping[str, Mapping[str, Any]]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def given(self, values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a command for what was filled in.

        Args:
            values: name to value of the fields; empty ones are left out.
            more: further options, by their names in a config.

        Raises:
            InputError: an option that is no part of the page.
        """
        names = {one.name for one in self.fields}
        filled = {name: value for name, value in values.items() if value not in ("", None, False)}
        for name in filled:
            if name not in names:
                raise InputError(f"the page has no field {name!r}; reload it")
        for name in more:
            if name in PLACES:
                raise InputError(f"{name} names a file, and the page takes none but those that are dropped on it; leave it out")
        task = str(filled.get("task", ""))
        spread = self.spread.get(task, self.spread[""]) if filled.pop("spread", False) else {}
        if "uncertainty" in spread:  # which is calibrated as it is
            filled.pop("quality", None)
        return {**self.fixed, **spread, **filled, **more}


PLACES = ("maps", "kernel", "mask", "operators", "prior", "classifier", "reference_image")  # options that name files
TASKS = ("denoise", "sr", "deblur", "colorize", "jpeg", "saturation")
PICTURES = (".png", ".jpg", ".jpeg")
SURE = FormField("spread", "Show how sure it is",
             "Draws 4 samples, which takes longer. Where they differ, the data do not decide.")
PRIOR = FormField("prior", "Prior", "What it knows of such images.", rarely=True)
SLICES = FormField("slices", "Slices", "All where empty; else one number from 0, or first:last+1, as 10:20.", rarely=True)
FORMS: Mapping[str, Form] = {
    "recon": Form(
        {"scan": (*scan_suffixes(), ".hdr")},
        (FormField("quality", "Quality", "", words={
            "fast": "fast: 20 network calls a slice", "balanced": "balanced: 50 network calls",
            "best": "best: 100 network calls"}),
         SURE,
         FormField("undersample", "Take samples away", "For a fully sampled scan, to see what fewer lines would give.",
                   rarely=True),
         FormField("accel", "Acceleration", "How many times fewer samples.", ("undersample",), rarely=True),
         SLICES, PRIOR,
         FormField("dataset", "Name of the array", "Of a plain HDF5 or MATLAB file.", rarely=True),
         FormField("axes", "Axes of the array", "As coil,slice,row,col; row is the readout.", rarely=True)),
        {"": {"uncertainty": True}}),
    "restore": Form(
        {"image": tuple(IMAGES)},
        (FormField("task", "What was done to it", words={
            "denoise": "it is noisy", "sr": "it is coarse", "deblur": "it is blurred", "colorize": "it has lost its colours",
            "jpeg": "it was compressed by JPEG", "saturation": "it is overexposed"}),
         FormField("factor", "Factor", "How many pixels became one, along each axis.", ("sr",)),
         FormField("blur_std", "Blur", "Std of the Gaussian in pixels.", ("deblur",)),
         FormField("quality", "JPEG quality", "1 to 100.", ("jpeg",)),
         FormField("gain", "Gain", "How many times too long it was exposed.", ("saturation",)),
         FormField("noise_std", "Noise", "Its std in the units of the file, grey levels of a picture; estimated where empty."),
         SURE, SLICES, PRIOR),
        {"": {"samples": SPREAD_SAMPLES, "method": "dds"}},
        {"task": TASKS}),
    "inpaint": Form(
        {"frame": PICTURES, "mask": (".png",)},
        (FormField("grow", "Grow the mask", "By so many pixels, against shadow and blur beside what hides."), SURE, PRIOR),
        {"": {"samples": SPREAD_SAMPLES}}, fixed={"mask_means": "hole"}),
}


def suffix_for(form: Form, role: str, given: str) -> str:
    """The suffix that a file is stored by.

    Args:
        given: the end of its name, as .nii.gz.

    Raises:
        InputError: no such file is taken.
    """
    allowed = form.files.get(role)
    if allowed is None:
        raise InputError(f"there is no file {role!r} in this job; there are: {', '.join(form.files)}")
    if given.lower() not in allowed:
        ended = f"ends in {given}" if given else "has a name without an ending"
        raise InputError(f"the file {ended}, and {', '.join(allowed)} are taken here")
    return given.lower()


def inputs_of(form: Form, folder: Path) -> dict[str, str]:
    """Role to file name of what lies in the folder of a job; of a BART pair its .cfl.

    Raises:
        InputError: a file is missing.
    """
    found = {}
    for role in form.files:
        names = sorted(path.name for path in folder.glob(f"{role}.*"))
        if not names:
            raise InputError(f"the {role} is missing; drop a file")
        if f"{role}.hdr" in names and f"{role}.cfl" not in names:
            raise InputError(f"{role}.hdr is one half of a BART scan; drop the .cfl with it")
        found[role] = next(name for name in names if not name.endswith(".hdr"))
    return found
