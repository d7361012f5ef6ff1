"""Operators of other packages; see `tests/test_plugins.py` for those that are installed."""

import pytest

from medrestore.errors import InputError
from medrestore.operators.plugged import plugged


def test_an_unknown_one_is_named_with_what_there_is() -> None:
    with pytest.raises(InputError, match="no plugin 'spiral' among the operators; no package with operators is installed"):
        plugged("spiral", (4, 4), 1, {})
