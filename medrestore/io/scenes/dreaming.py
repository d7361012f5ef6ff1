"""The DREAMING data set as downloaded: a zip of zips or unpacked, flattened or not; nothing is unpacked to read it.

A scene is a folder with `gt` (jpg), `mask` (png, 0 = hidden, 255 = known) and the obstructed frames, whose folder has gone
by several names. Frames are paired by their natural order; nothing is read out of their numbers.
Data: ISBI 2024 challenge "Diminished Reality for Emerging Applications in Medicine through Inpainting".
"""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ...errors import InputError
from ...files import is_hidden, natural_key
from ..frames.base import PictureEntry, PictureFrames, file_entry
from ..frames.masks import MaskMeaning, Masks
from ..frames.pictures import MAX_PICTURE_BYTES, SUFFIXES
from ..guards import DEFLATE_LIMIT, GB, PathLike, require
from .base import Scene, SceneSet

MEANING: MaskMeaning = "keep"  # what white means in this data set
OBSTRUCTED = ("input", "images", "frames", "color", "rgb")
TRUTH, MASK = "gt", "mask"
NESTED_RATIO = 20  # that an archive of pictures, which are compressed already, shrinks by when it is packed again, at most
DEPTH = 6  # folders below the root that are looked into
BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, NotImplementedError)

Listing = dict[tuple[str, ...], PictureEntry]  # the parts of a path below the root -> the file


def dreaming_scenes(root: PathLike, *, meaning: MaskMeaning = MEANING, max_gb: float = 64.0) -> SceneSet:
    """The scenes of a download by name, such as scene_0007; each is read from where it lies.

    Args:
        root: the archive (a zip, or a zip of zips), the folder it was unpacked to, one of its parts, or one scene.
        meaning: what white means, for other data in this layout.
        max_gb: the most gigabytes (1e9 bytes) of inner archives that may be unpacked to temporary files; only those that the
            outer archive compresses are.

    Raises:
        InputError: no scenes, a name that comes twice, a damaged or encrypted archive.
    """
    root = Path(root)
    with ExitStack() as stack:
        listing = listing_of(root, stack, max_gb)
        folders: dict[tuple[str, ...], dict[str, list[PictureEntry]]] = {}
        for parts, entry in listing.items():
            if len(parts) >= 2 and parts[-2].lower() in (TRUTH, MASK, *OBSTRUCTED) and parts[-1].lower().endswith(SUFFIXES):
                folders.setdefault(parts[:-2], {}).setdefault(parts[-2].lower(), []).append(entry)
        openers: dict[str, Callable[[], Scene]] = {}
        places: dict[str, tuple[str, ...]] = {}
        sidecars = _sidecars(folders, listing)
        for scene, kinds in sorted(folders.items(), key=lambda item: natural_key("/".join(item[0]))):
            if MASK not in kinds or len(kinds) == 1:
                continue
            name = scene[-1] if scene else root.stem
            require(name not in openers, f"{root} holds {name} twice, in {'/'.join(places.get(name, ()))!r} and "
                                         f"{'/'.join(scene)!r}; keep one of them.")
            places[name] = scene
            where = "/".join((str(root), *scene))
            openers[name] = partial(_as_scene, name, where, kinds, meaning, sidecars.get(scene, ()))
        require(len(openers) > 0, f"{root} holds no scene with a folder {MASK!r} beside {TRUTH!r} or one of "
                                  f"{', '.join(OBSTRUCTED)}; give the download as it came.")
        return SceneSet(str(root), openers, stack.pop_all().close)


def _as_scene(name: str, where: str, kinds: dict[str, list[PictureEntry]], meaning: MaskMeaning,
              sidecars: tuple[str, ...]) -> Scene:
    ordered = {kind: sorted(entries, key=lambda entry: natural_key(entry.stem)) for kind, entries in kinds.items()}
    obstructed = [kind for kind in OBSTRUCTED if kind in ordered]
    masks = Masks(PictureFrames(f"{where}/{MASK}", ordered[MASK], kind="mask"), meaning)
    truth = PictureFrames(f"{where}/{TRUTH}", ordered[TRUTH]) if TRUTH in ordered else None
    if not obstructed and truth is not None:
        note = f"{name} has no obstructed frames; they are made from {TRUTH!r}, black where the mask hides."
        return Scene(name, truth, masks, truth, hide=True, sidecars=sidecars, notes=(note,))
    first = obstructed[0]
    notes = (f"{name} has the folders {', '.join(obstructed)}; the frames of {first!r} are read.",)
    frames = PictureFrames(f"{where}/{first}", ordered[first])
    return Scene(name, frames, masks, truth, sidecars=sidecars, notes=notes if len(obstructed) > 1 else ())


def _sidecars(scenes: Collection[tuple[str, ...]], listing: Listing) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The other files of each scene's folder, and its other folders with a slash; one pass over all files."""
    beside: dict[tuple[str, ...], set[str]] = {}
    for parts in listing:
        for depth in range(len(parts)):
            if parts[:depth] in scenes and parts[depth].lower() not in (TRUTH, MASK, *OBSTRUCTED):
                beside.setdefault(parts[:depth], set()).add(parts[depth] + ("/" if depth + 1 < len(parts) else ""))
    return {scene: tuple(sorted(names)) for scene, names in beside.items()}


def is_dreaming(root: Path) -> bool:
    """Whether a path looks like this data set, from names alone: an archive, or folders `mask` and `gt` in it."""
    if root.is_file():
        return zipfile.is_zipfile(root)
    patterns = ("*.zip", f"{MASK}/", f"scene*/{MASK}/", f"*/scene*/{MASK}/")
    return root.is_dir() and any(next(root.glob(pattern), None) is not None for pattern in patterns)


def listing_of(root: Path, stack: ExitStack, max_gb: float) -> Listing:
    """Every file under the root, those in archives included."""
    require(root.exists(), f"{root} does not exist; give the download.")
    if root.is_file():
        return dict(_archive(root, str(root), stack, max_gb))
    listing: Listing = {}
    for folder, names, files in os.walk(root):
        place = Path(folder).relative_to(root).parts
        names[:] = [] if len(place) >= DEPTH else sorted(name for name in names if not is_hidden(name))
        for name in sorted(files):
            path = Path(folder) / name
            if name.lower().endswith(".zip"):
                listing |= {(*place, path.stem, *parts): entry for parts, entry in _archive(path, str(path), stack, max_gb)}
            elif not is_hidden(name):
                listing[(*place, name)] = file_entry(path)
    return listing


def _archive(
    file: Path | IO[bytes], where: str, stack: ExitStack, max_gb: float, *, inner: bool = False
) -> Iterator[tuple[tuple[str, ...], PictureEntry]]:
    """The files of an archive and, one level down, of the archives in it."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
    except BROKEN as error:
        raise InputError(f"{where} is no complete zip archive (cut, damaged or another format); download it again.") from error
    entries = archive.infolist()
    unpacked = sum(info.file_size for info in entries if not inner and _is_zip(info) and info.compress_type != zipfile.ZIP_STORED)
    require(unpacked <= max_gb * GB, f"{where} holds archives that unpack to {unpacked / GB:.1f} GB together, over the limit of "
                                     f"{max_gb:g} GB; unpack it yourself.")
    for info in entries:
        parts = PurePosixPath(info.filename.replace("\\", "/").lstrip("/")).parts  # below the root, whatever it says
        if not parts or info.is_dir() or any(is_hidden(part) for part in parts):
            continue
        place = f"{where}/{info.filename}"
        if _is_zip(info) and not inner:
            nested = _nested(archive, info, file, place, stack)
            stem = PurePosixPath(parts[-1]).stem
            yield from (((*parts[:-1], stem, *rest), entry) for rest, entry in _archive(nested, place, stack, max_gb, inner=True))
        else:
            yield parts, PictureEntry(place, PurePosixPath(parts[-1]).stem, partial(_member, archive, info, place))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> bytes:
    """The bytes of a file in an archive, its declared size checked first; zipfile never gives more than that."""
    require(info.file_size <= MAX_PICTURE_BYTES and info.file_size <= (info.compress_size + 1) * DEFLATE_LIMIT,
            f"{where} declares {info.file_size} bytes, more than a picture can have; download the archive again.")
    try:
        return archive.read(info)
    except BROKEN as error:
        raise InputError(f"{where} cannot be read, the archive is damaged or encrypted; download it again.") from error


def _is_zip(info: zipfile.ZipInfo) -> bool:
    return info.filename.lower().endswith(".zip")


def _nested(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path | IO[bytes], where: str, stack: ExitStack
) -> IO[bytes]:
    """An inner archive as a file: a view of the outer one where it is stored plainly, else a temporary copy."""
    require(info.file_size <= (info.compress_size + 1) * NESTED_RATIO,
            f"{where} unpacks {info.compress_size} bytes to {info.file_size}, which no archive of pictures does; "
            "download it again, or unpack the outer archive yourself.")
    try:
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1 and isinstance(file, Path):
            return stack.enter_context(io.BufferedReader(_Window(file, info.header_offset, info.compress_size)))
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the scenes
        stack.callback(copy.close)
        with archive.open(info) as packed:
            while block := packed.read(1 << 20):
                copy.write(block)
        return copy
    except BROKEN as error:
        raise InputError(f"{where} cannot be read ({error}); unpack the outer archive yourself.") from error


class _Window(io.RawIOBase):
    """The bytes of one stored member of a zip file, to be read at any place.

    Args:
        path: the outer archive.
        header: where the member's local header starts (30 bytes, then its name and extra field).
        size: of the member.
    """

    def __init__(self, path: Path, header: int, size: int):
        self._file = path.open("rb")
        self._file.seek(header)
        local = self._file.read(30)
        if len(local) != 30 or local[:4] != b"PK\x03\x04":
            self._file.close()
            raise zipfile.BadZipFile("a member's header is damaged")
        self._start = header + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        self._size, self._at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._at)
        data = self._file.read(max(0, min(len(view), self._size - self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
