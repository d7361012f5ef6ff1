"""Lists of tasks run in this process, in worker processes or on a dask cluster: resumed, retried, failures reported."""

from .apart import ItemBatch, Message, Reports, in_turn, one_by_one
from .folders import Task, Work, files_beside, folder_of, is_whole
from .processes import ProcessDied, over
from .run import Outcome, failures, run
