"""Restoration methods: how a reverse step is made to agree with the data, one module a paper family.

Names are imported when they are first asked for, so that those of the registry are known without loading torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
