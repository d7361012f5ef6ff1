"""Text, tables and definition lists."""

import re
from pathlib import Path

from helpers.pages import Page, written

from medrestore.report.html import Table


def test_marks_in_cells(tmp_path: Path) -> None:
    lines = [["__init__ a", "**__1.0__**"], ["2 ** 3 ** 4", "__**2.0** ± 1__"], ["a__b__c", "–"], ["< 5", "**a __b** c__"]]
    text = written(tmp_path / "r.html", tables=[Table("t", ["m", "v"], lines)])
    assert "<strong><u>1.0</u></strong>" in text and "<u><strong>2.0</strong> ± 1</u>" in text
    assert "2 ** 3 ** 4" in text and "a__b__c" in text and "&lt; 5" in text and "<strong>a __b</strong> c__" in text
    Page(text)


def test_numbers_stand_flush_right_and_groups_are_parted(tmp_path: Path) -> None:
    lines = [["4x", "DDS 49", "**31.2 ± 1**", "[-1, 2]"], ["4x", "3D net", "–", "[1, 2]"], ["8x", "U-Net", "-0.2", "(0, 1)"]]
    text = written(tmp_path / "r.html", tables=[Table("t", ["setting", "method", "PSNR", "interval"], lines)])
    heads = re.findall(r'<th scope="col"( class="number")?>(\w+)</th>', text)
    assert [word for flush, word in heads if flush] == ["PSNR", "interval"]
    assert text.count('<tr class="again">') == 1 and text.count('<tr class="parted">') == 1


def test_provenance_as_a_definition_list(tmp_path: Path) -> None:
    text = written(tmp_path / "r.html", provenance={
        "noise": None, "deterministic": True, "levels": (0.1, 1.0), "prior": {"name": "starter", "empty": {}}, "command": "a\nb",
        "cases": [{"name": "one"}, "two"], "labels": {"b", "a"}})
    for said in ("<dt>noise</dt><dd>none</dd>", "<dd>yes</dd>", "<dd>0.1, 1.0</dd>", "<dt>name</dt><dd>starter</dd>",
                 "<dt>empty</dt><dd>none</dd>", "<pre>a\nb</pre>", "<li>two</li>", "<dd>a, b</dd>"):
        assert said in text
    Page(text)
