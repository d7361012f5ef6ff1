"""Lists of tasks run in this process, in worker processes or on a dask cluster: resumed, retried, failures reported."""

from .folders import Task, Work, folder_of, is_whole
from .run import Outcome, failures, run

__all__ = ["Outcome", "Task", "Work", "failures", "folder_of", "is_whole", "run"]
