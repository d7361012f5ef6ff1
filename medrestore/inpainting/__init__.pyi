from .arrays import inpaint as inpaint
from .frame import inpaint_frame as inpaint_frame
from .plan import Machine as Machine
from .plan import Plan as Plan
from .plan import Reading as Reading
from .plan import Writing as Writing
from .scene import FilledFrame as FilledFrame
from .scene import fill_frames as fill_frames
