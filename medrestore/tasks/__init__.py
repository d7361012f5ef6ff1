"""Lists of tasks run in this process, in worker processes or on a dask cluster: resumed, retried, failures reported."""

from .folders import Task, Work, folder_of, is_whole
from .processes import Died, over
from .run import Outcome, failures, run

__all__ = ["Died", "Outcome", "Task", "Work", "failures", "folder_of", "is_whole", "over", "run"]
