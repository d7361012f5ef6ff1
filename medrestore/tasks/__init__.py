"""Lists of tasks run in this process, in worker processes or on a dask cluster: resumed, retried, failures reported."""

from .apart import ItemBatch, Message, Reports, in_turn, one_by_one
from .folders import Task, Work, files_beside, folder_of, is_whole
from .processes import ProcessDied, over
from .run import Outcome, failures, run

__all__ = [
    "ItemBatch",
    "Message",
    "Outcome",
    "ProcessDied",
    "Reports",
    "Task",
    "Work",
    "failures",
    "files_beside",
    "folder_of",
    "in_turn",
    "is_whole",
    "one_by_one",
    "over",
    "run",
]
