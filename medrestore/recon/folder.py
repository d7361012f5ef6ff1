"""A folder of scans: one after the other, whatever happens to any of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files import files_in, has_suffix
from ..io.kspace.open import suffixes
from ..tasks import ItemBatch, Message, Reports, in_turn, one_by_one
from .files import Job, is_done, recon_file
from .plan import Machine, Plan, Reading, Writing

Pair = tuple[Path, Path]  # a scan and its output


def recon_folder(folder: Path, out: Path, job: Job) -> dict[str, str]:
    """Every scan of a folder to a file of the same stem; returns what failed, name to sentence.

    A scan that fails does not keep the others from being done. Several runs may share a folder: with `job.writing.resume` each
    leaves alone what is whole and what another is at. A scan that ends the process ends all; see `recon_folder_apart`.

    Raises:
        InputError: no scans, or outputs that exist and may neither be replaced nor resumed; before any work.
    """
    _check_one_patient(job.plan)
    pairs = check_folder(folder, out, job.writing)
    _say_passed_over(folder, job.say)
    return dict(_each(_waiting(pairs, job), job))


def recon_folder_apart(folder: Path, out: Path, plan: Plan, machine: Machine, *, reading: Reading, writing: Writing,
                       say: Callable[[str], None], progress: Callable[[str, int], Callable[[], None]]) -> dict[str, str]:
    """`recon_folder` in a process of its own; where a scan ends that process, it has failed, and another process goes on.

    Args:
        plan, machine, reading, writing, say, progress: of the job, which is loaded in that process.

    Raises:
        InputError: as for `recon_folder`, or the job cannot be loaded, or the process cannot be started.
    """
    _check_one_patient(plan)
    pairs = {source.name: (source, target) for source, target in check_folder(folder, out, writing)}
    _say_passed_over(folder, say)
    return in_turn(pairs, Apart(plan, machine, reading, writing), where=str(folder), say=say, progress=progress,
                   died=lambda name, error: f"{pairs[name][0]}: {error} on this scan; do it alone to see more")


def check_folder(folder: Path, out: Path, writing: Writing) -> list[Pair]:
    """The scans of a folder with their outputs.

    Raises:
        InputError: no scans, or outputs that exist and may neither be replaced nor resumed.
    """
    if out.exists() and out.samefile(folder):
        raise InputError(f"{out} is the folder of the scans; give another place")
    pairs = [(source, out / f"{source.stem}.h5") for source in scans(folder)]
    existing = [target for _, target in pairs if target.exists()]
    if existing and not (writing.overwrite or writing.resume):
        raise InputError(f"{existing[0]} exists; pass `resume` to do the rest, `overwrite` to replace it, or give another place")
    return pairs


def _check_one_patient(plan: Plan) -> None:
    if plan.reference_image is not None:
        raise InputError(f"{plan.reference_image} is another image of one patient, and the input is a folder of scans; give the "
                         "scans one by one, each with the `reference_image` of its patient")


def scans(folder: Path) -> Sequence[Path]:
    """The scans of a folder, by suffix in capitals or not, in natural order; hidden files are left out."""
    known = suffixes()
    found = files_in(folder, known)
    if not found:
        raise InputError(f"{folder} holds no scan ({', '.join(known)}); give the folder that does")
    stems: dict[str, Path] = {}
    for path in found:
        if path.stem in stems:
            raise InputError(f"{path} and {stems[path.stem]} would both become {path.stem}.h5; rename one")
        stems[path.stem] = path
    return found


def _say_passed_over(folder: Path, say: Callable[[str], None]) -> None:
    others = [path.name for path in files_in(folder) if not has_suffix(path, (*suffixes(), ".hdr"))]
    if others:
        say(f"passed over, by their suffix no scans: {', '.join(others[:5])}{', ...' if len(others) > 5 else ''}")


def _waiting(pairs: Sequence[Pair], job: Job) -> list[Pair]:
    waiting = [pair for pair in pairs if not (job.writing.resume and is_done(*pair, job))]
    job.say(f"{len(waiting)} of {len(pairs)} scans to do")
    return waiting


def _each(pairs: Sequence[Pair], job: Job, begun: Callable[[str], None] = lambda name: None) -> Iterator[tuple[str, str]]:
    """Does scan after scan; those that fail, with the reasons, which are also said."""
    def one(pair: Pair) -> None:
        if not (job.writing.resume and is_done(*pair, job)):  # another run may have done it in the meantime
            recon_file(*pair, job)

    return one_by_one({source.name: (source, target) for source, target in pairs}, one, job.say, begun,
                      job.progress("scans", len(pairs)))


@dataclass(frozen=True)
class Apart:
    """In a process of its own: loads the job, and does scan after scan."""

    plan: Plan
    machine: Machine
    reading: Reading
    writing: Writing

    def __call__(self, batch: ItemBatch[Pair], worker: int, send: Callable[[Message], None]) -> None:
        reports = Reports(send)
        job = Job.load(self.plan, self.machine, reading=self.reading, writing=self.writing, say=reports.say,
                       progress=reports.progress)
        pairs = [*batch.items.values()]
        for name, why in _each(pairs if batch.again else _waiting(pairs, job), job, reports.begun):
            reports.failed(name, why)
