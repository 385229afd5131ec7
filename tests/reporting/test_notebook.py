"""What notebooks show: HTML that is whole and escaped, the same as text, and honest sentences on a guess."""

import re

import pytest
from matplotlib.figure import Figure

from flylab.reporting import notebook
from flylab.results.tables import Table
from flylab.results.verdicts import Verdict
from flylab.studies import continuum


def verdict(preset="quick", low=1.0, high=3.0, word="supported") -> Verdict:
    known = ("better", "a < b & c", "paper", "68 ± 2", "points", "≥ 0")
    return Verdict("some", preset, "run", *known, 2.0, low, high, 5, word, word, None)


@pytest.mark.parametrize(
    ("guess", "where"), [(0.5, "below the interval"), (2, "within the interval"), (4, "above the interval")]
)
def test_a_guess_is_compared_with_the_interval(guess, where):
    assert where in notebook.answer([verdict()], "better", guess)


def test_smoke_and_missing_intervals_judge_no_guess():
    assert "decides nothing" in notebook.answer([verdict("smoke")], "better", 2)
    assert "cannot tell" in notebook.answer([verdict(low=None)], "better", 2)


def test_an_unknown_claim_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="no claim 'worse'; there are better"):
        notebook.verdict([verdict()], "worse")


def test_cells_are_escaped():
    shown = notebook.claims([verdict()])
    assert "a &lt; b &amp; c" in shown.html
    assert "a < b" not in shown.html
    assert "<b>" not in notebook.table(Table("<b>", ("<b>",), [("<b>",)])).html


@pytest.mark.slow
def test_claims_of_a_run():
    reference = continuum.load_reference()
    shown = notebook.claims(reference)
    assert shown.html.count("<tr>") == 1 + len(continuum.CLAIMS)
    assert str(shown) == shown.text
    assert "moderate-local" in shown.text
    assert len(notebook.claims(reference, "deeper", "sharing").text.splitlines()) == 4


@pytest.mark.slow
def test_figures_of_results_and_of_one_s_own():
    assert re.match(
        r'<img alt="figure of the study continuum" .*base64,iVBOR', notebook.figure(continuum.load_reference()).html
    )
    own = notebook.figure(Figure(figsize=(2, 2)), 'a "quoted" name')
    assert 'alt="a &quot;quoted&quot; name"' in own._repr_html_()
    assert "width: 192px" in own.html
