"""Tables and verdicts as HTML and text: escaped, complete, in colours that can be read."""

import pytest
from markupsafe import Markup

from flylab.results.tables import (
    VERDICT_COLOURS,
    Table,
    html_table,
    html_verdict,
    html_verdicts,
    text_table,
    text_verdicts,
)
from flylab.results.verdicts import Verdict


def verdict(**fields) -> Verdict:
    common = ("study", "quick", "run", "id", "a < b", "paper", "68 ± 2", "points", "≥ 0")
    return Verdict(*common, 2.0, 1.0, 3.0, 5, "supported", "undecided", None)._replace(**fields)


def test_cells_are_escaped_but_markup():
    shown = html_table(Table("<i>", ("<b>",), [("<script>",), (Markup("<b>bold</b>"),)]))
    assert "<script>" not in shown
    assert "<i>" not in shown
    assert shown.count("<b>") == 1
    assert "<b>bold</b>" in shown


def test_text_is_aligned_and_has_no_trailing_spaces():
    lines = text_table(Table("title", ("a", "b"), [("long name", "1"), ("x", "")])).splitlines()
    assert lines == ["title", "a         | b", "long name | 1", "x         |"]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("word", VERDICT_COLOURS)
def test_white_text_on_a_verdict_can_be_read(word):
    assert 1.05 / (luminance(VERDICT_COLOURS[word]) + 0.05) >= 5
    assert VERDICT_COLOURS[word] in html_verdict(word)


def test_verdicts_say_the_same_in_html_and_text():
    verdicts = [verdict(), verdict(id="other", effect=None, verdict=None, verdict_adjusted=None, note="needs <paper>")]
    html, text = html_verdicts(verdicts), text_verdicts(verdicts)
    assert html.count("<tr>") == len(text.splitlines()) - 1 == 3
    assert type(html) is str  # marimo cannot send a subclass; and a sum with Markup would escape the rest
    for shown in (html, text):
        assert "2.00 (1.00 … 3.00)" in shown
        assert "≥ 0 points" in shown
        assert "supported" in shown
    assert "a &lt; b" in html
    assert [line.split(" | ")[1].strip() for line in text.splitlines()[1:]] == ["statement", "a < b", "a < b"]
    assert "needs <paper>" in text
    assert "needs &lt;paper&gt;" in html


def test_a_changed_protocol_is_named_in_place_of_the_verdict():
    verdicts = [verdict(verdict="changed", verdict_adjusted="changed", changed="width=<100>")]
    assert ">changed: width=&lt;100&gt;<" in html_verdicts(verdicts)
    assert "changed: width=<100> | –" in text_verdicts(verdicts)
