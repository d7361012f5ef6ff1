"""What a `with` block closes."""

import pytest

from medrestore.io.closing import Closing


class Door(Closing):
    """Open or not."""

    open = True

    def close(self) -> None:
        self.open = False


def test_closed_at_the_end_of_the_block_however_it_ends():
    with Door() as door:
        assert door.open
    assert not door.open
    with pytest.raises(KeyError), Door() as door:
        raise KeyError("anything")
    assert not door.open
