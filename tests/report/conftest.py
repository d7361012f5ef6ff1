"""What several tests of reports share."""



import numpy as np
import pytest
from helpers.pages import head

from medrestore.report.html import Curves, Picture, Point, Table


@pytest.fixture
def everything() -> dict:
    rng = np.random.RandomState(0)
    reference = head(rng)
    return {
        "tables": [Table("Quality", ["method", "PSNR", "calls"], [["zero-filled", "20.1", "0"], ["DDS 49", "**31.2**", "49"]])],
        "curves": [Curves("By acceleration", "acceleration", "PSNR (dB)", {"zero-filled": [Point(4, 20.0), Point(8, 18.0)],
                                                                         "DDS 49": [Point(4, 31.0, 30.0, 32.0)]}),
                   Curves("By calls", "calls", "PSNR (dB)", {"DDS 49": [Point(10, 28.0), Point(49, 31.0)],
                                                            "zero-filled": [Point(0, 20.0)]}, log_x=True)],
        "pictures": [Picture("case 1", reference, {"zero-filled": reference / 2, "DDS 49": reference + 0.1}, 2.0,
                             {"DDS 49": "31 dB"})],
        "provenance": {"version": "0.1.0", "config": {"seed": 0, "settings": ["4x", "8x"]}},
    }
