"""Lists of tasks run in this process, in worker processes or on a cluster; resumed, retried, failures named."""

from .folders import Task, Work, folder_of, is_whole
from .run import Outcome, failures, run

__all__ = ["Outcome", "Task", "Work", "failures", "folder_of", "is_whole", "run"]
