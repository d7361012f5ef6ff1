"""What lies beside an output: how it was made, with the digests of its files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import Stage, altered, digest, expanded, files_in, final_names, preview_place, read_mapping
from ..io.images import SUFFIXES, kind_of
from ..settings import FieldError, Privacy, build
from .degradation import Degradation
from .plan import Writing

LARGEST_JSON = 1 << 26  # bytes of a record
DEGRADED, RESTORED, GENERATED = "degraded", "restored", "generated"


def record_place(out: Path) -> Path:
    """Where the record of an output lies."""
    return out.with_name(out.name + ".json")


def read_record(out: Path) -> dict[str, Any]:
    """How an output was made; empty for any other file, and for none."""
    record = read_mapping(record_place(out), largest=LARGEST_JSON)
    return record if isinstance(record.get("files"), dict) and "key" in record else {}


def damaged(out: Path) -> list[str]:
    """The files of an output that are missing or not as they were written; its own name where it has no record."""
    record = read_record(out)
    digests: Mapping[str, Any] = record.get("files", {})
    if not record or any(Path(name).name != name for name in digests):
        return [out.name]
    return altered(out.parent, digests)


def is_done(out: Path, key: str, told: object) -> bool:
    """Whether an output is complete, as it was written, of this key, and says of its input what it shall."""
    record = read_record(out)
    given = record.get("input")
    says = given.get("name") if isinstance(given, dict) else None
    return record.get("key") == key and says == told and not damaged(out)


def degradation_of(source: Path) -> dict[str, Any]:
    """What `degrade` has recorded of an image; empty where it has not, or where the image was changed since."""
    record = read_record(source)
    if record.get("made") != DEGRADED or damaged(source):
        return {}
    return record


def check_output(out: Path, source: Path, writing: Writing, *, beside: Sequence[str] = ()) -> None:
    """Refuses names that stand for nothing that is written, the input itself, and what may not be replaced.

    Args:
        beside: names of files that will lie beside the output and its record.

    Raises:
        InputError: the reason, and what helps.
    """
    if out.name in ("", "..") or out.is_dir():
        raise InputError(
            f"{out} is a folder, and the output of one file is a file; name one, such as restored{source.suffix}"
        )
    kind_of(out)
    if out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"{out} is the input itself, which is never replaced; give another `out`")
    for place in (out, record_place(out), preview_place(out), *map(out.with_name, beside)):
        if place.exists() and not (writing.overwrite or (writing.resume and read_record(out))):
            raise InputError(
                f"{place} exists{' and is no output of this command' if writing.resume else ''}; "
                "pass `overwrite` to replace it, or give another `out`"
            )


def publish(
    stage: Stage,
    out: Path,
    contents: Mapping[str, bytes],
    record: dict[str, Any],
    writing: Writing,
    written: Sequence[str] = (),
) -> None:
    """Publishes the files of an output with its record.

    Args:
        contents: names of files beside `out`, itself among them.
        record: its entry `files` is filled in.
        writing: whether what exists is replaced.
        written: names of further files that lie in the stage.

    Raises:
        InputError: one exists that may not be replaced, such as that of a run which ended in the meantime.
    """
    for name, data in contents.items():
        (stage.new / name).write_bytes(data)
    record["files"] = {name: digest(stage.new / name) for name in sorted({*contents, *written})}
    text = json.dumps(record, allow_nan=False, sort_keys=True, indent=1) + "\n"
    (stage.new / record_place(out).name).write_text(text, "utf-8")
    stage.publish_files(replace=writing.overwrite or writing.resume)


def publish_at_once(out: Path, contents: Mapping[str, bytes], record: dict[str, Any], writing: Writing) -> None:
    """Publishes an output that is complete already; see `publish`."""
    stage = Stage(out, key=record["key"])
    try:
        with final_names(stage.folder, out.parent):
            publish(stage, out, contents, record, writing)
    finally:
        stage.remove()


def named(degradation: Degradation, names: Privacy) -> Degradation:
    """The degradation as it is recorded: its files by what is kept of their paths."""
    return degradation.with_files({file: names.name_of(file) for file in degradation.files})


def pairs(source: Path, out: Path) -> list[tuple[Path, Path]]:
    """Each image of a folder with its output in another folder; a jpg becomes a png.

    Raises:
        InputError: no images, two that would have one output, or a place that is no folder.
    """
    if out.exists() and not out.is_dir():
        raise InputError(
            f"{out} is a file, and a folder of images needs a folder for what is made of them; give another `out`"
        )
    if out.exists() and out.samefile(source):
        raise InputError(f"{out} is the folder of the images, which are never replaced; give another `out`")
    listed = files_in(source, SUFFIXES)
    beside = {name for path in listed for name in read_record(path).get("files", {}) if name != path.name}
    found = [
        path for path in listed if path.name not in beside
    ]  # previews, masks and spreads are no images of their own
    if not found:
        raise InputError(f"{source} holds no image ({', '.join(SUFFIXES)}); give the folder that does")
    targets: dict[Path, Path] = {}
    for path in found:
        name = f"{path.stem}.png" if path.suffix.lower() in (".jpg", ".jpeg") else path.name
        if out / name in targets:
            raise InputError(f"{path} and {targets[out / name]} would both become {name}; rename one")
        targets[out / name] = path
    return [(path, target) for target, path in targets.items()]


def existing_input(source: str) -> Path:
    """The path of an input, which must be there."""
    path = expanded(source)
    if not path.exists():
        raise InputError(f"{path} does not exist; give an image, or a folder of images")
    return path


@dataclass(frozen=True)
class Recorded:
    """What `degrade` has recorded of a file."""

    degradation: Degradation
    noise_std: float

    @classmethod
    def of(cls, source: Path) -> "Recorded | None":
        """That of a file; None where there is none.

        Raises:
            InputError: it was altered.
        """
        record = degradation_of(source)
        config = record.get("config")
        if not isinstance(config, dict):
            return None
        try:
            done = build(Degradation, config.get("degradation"), f"{source}.json")
            noise = float(config["noise_std"])
        except (KeyError, TypeError, ValueError, FieldError) as error:
            raise InputError(
                f"{source}.json was altered or made by another version ({error}); give the `task` yourself"
            ) from error
        return cls(
            done.with_files({file: str(source.with_name(Path(file).name)) for file in done.files}), noise
        )
