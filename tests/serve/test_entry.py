"""A job as the page knows it."""

from pathlib import Path

from medrestore.serve import entry
from medrestore.serve.entry import Bar, Entry


def test_the_time_that_is_left(monkeypatch) -> None:
    times = iter([10.0, 12.0, 14.0])
    monkeypatch.setattr(entry.time, "monotonic", lambda: next(times))
    progress = Bar("steps", total=7)
    assert progress.left is None
    progress.step()
    assert progress.left is None  # the first one has also loaded things
    progress.step()
    progress.step()
    assert progress.left == 8.0 and progress.plain() == {"label": "steps", "done": 3, "total": 7, "left": 8.0}


def test_more_steps_than_were_announced_leave_no_time() -> None:
    progress = Bar("steps", total=1)
    for _ in range(3):
        progress.step()
    assert progress.left == 0


def test_results_are_there_once_it_is_done(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "a.png").write_bytes(b"12345")
    job = Entry("restore", tmp_path)
    assert job.results() == {} and not job.ended
    job.state = "done"
    assert job.ended and job.plain()["results"] == [{"name": "a.png", "bytes": 5}]
    assert str(tmp_path) not in str(job.plain()) and len({Entry("restore", tmp_path).id for _ in range(9)}) == 9
