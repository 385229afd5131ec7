"""Tables and verdicts as text and as HTML: one renderer for each medium, shared by reports, notebooks and the app.

`flylab.cli.terminal` prints them, with colours, on a terminal.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from markupsafe import Markup, escape

from flylab.results.statistics import plus_minus
from flylab.results.verdicts import Verdict

# white text on them has a contrast of at least 5 : 1, on light and dark pages
VERDICT_COLOURS = {"supported": "#007A5A", "refuted": "#B94A00", "undecided": "#8A6100", "not tested": "#666666"}
LEGEND = (
    "Supported: the whole 95 % interval of the effect's mean over seeds lies inside the claim's region. "
    "Refuted: it lies outside. Undecided: it straddles the border. Changed: the protocol is not the preset's. "
    "Study-wide: the same at the level 1 − 0.05/m for the m claims tested. "
    "Confirmatory: by the preset paper, unchanged, on seeds held out for it, of a claim that was frozen before; "
    "all else is exploratory. "
    "Sanity checks are true by construction and left out of counts."
)
_CELL = "text-align: left; vertical-align: top; padding: .2em .8em; border-bottom: 1px solid #8884"
_ONE_LINE = 30  # characters of a cell that is not broken into lines


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: a line above the table; may be empty.
        columns: the columns' names.
        rows: cells; the first of each row is its name. HTML shows a cell of type `markupsafe.Markup` unescaped.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def pivot(
    title: str,
    columns: Mapping[str, xr.DataArray | tuple[xr.DataArray, int] | None],
    along: str,
    *,
    corner: str = "",
    name: Callable[[Any], str] = str,
    skipna: bool = True,
) -> Table:
    """Tabulate means over seeds ± half of their 95 % intervals, a row for each label of a dimension.

    Args:
        title: the table's title.
        columns: values over `seed` and `along` by the column's name; with the number of digits, if it is not 1; None
            for a column of dashes. The first one gives the labels.
        along: the dimension of the rows.
        corner: the name of the rows' labels.
        name: label → its text.
        skipna: as for `plus_minus`.

    >>> loss = xr.DataArray([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]], {"model": ["mlp", "cnn"], "seed": range(3)})
    >>> print(text_table(pivot("Loss", {"test": loss}, "model", name=str.upper)))
    Loss
        | test
    MLP | 2.0 ± 2.5
    CNN | 4.0 ± 0.0
    """
    cells = {column: value if isinstance(value, tuple) else (value, 1) for column, value in columns.items()}
    labels = next(values[along].values for values, _ in cells.values() if values is not None)

    def text(values: xr.DataArray | None, digits: int, label: Any) -> str:
        return plus_minus(np.nan if values is None else values.sel({along: label}), digits, skipna)

    rows = [[name(label), *(text(*cell, label) for cell in cells.values())] for label in labels]
    return Table(title, [corner, *cells], rows)


def over_seeds(results: xr.Dataset, what: str = "") -> str:
    """Return a table's title: what it shows, how many seeds its means are over, and what follows the ±.

    >>> over_seeds(xr.Dataset(coords={"seed": range(3)}), "Loss (nats)")
    'Loss (nats), mean over 3 seeds ± half of the 95 % interval'
    """
    start = f"{what}, mean" if what else "Mean"
    return f"{start} over {results.sizes['seed']} seeds ± half of the 95 % interval"


def text_table(table: Table) -> str:
    """Return a table as lines of text, the title first.

    >>> print(text_table(Table("Accuracy (%)", ("network", "test"), [("MLP", "64.7 ± 1.0")])))
    Accuracy (%)
    network | test
    MLP     | 64.7 ± 1.0
    """
    lines = [[*table.columns], *([*row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join([table.title, *(line.rstrip() for line in padded)])


def html_table(table: Table) -> str:
    """Return a table as HTML that needs no style sheet and scrolls sideways where it is too wide.

    >>> "&lt;b&gt;" in html_table(Table("", ("a",), [("<b>",)]))
    True
    """
    title = Markup("<p>{}</p>").format(table.title) if table.title else Markup()
    head = Markup().join(_cell("th", column) for column in table.columns)
    rows = (Markup().join(_cell("td", cell) for cell in row) for row in table.rows)
    body = Markup().join(Markup("<tr>{}</tr>\n").format(row) for row in (head, *rows))
    style = "border-collapse: collapse; font-size: .92em"
    return f'{title}<div style="overflow-x: auto"><table class="flylab-table" style="{style}">\n{body}</table></div>'


def _cell(tag: str, content: str) -> Markup:
    width = "white-space: nowrap" if len(escape(content).striptags()) <= _ONE_LINE else "min-width: 14em"
    return Markup(f'<{tag} style="{_CELL}; {width}">{{}}</{tag}>').format(content)


def html_verdict(word: str | None) -> Markup:
    """Return a verdict as it is shown, in its colour; a dash for None.

    >>> html_verdict(None)
    Markup('–')
    """
    if word is None:
        return escape("–")
    colour, wrap = VERDICT_COLOURS.get(word, VERDICT_COLOURS["not tested"]), "normal" if ":" in word else "nowrap"
    style = f"background: {colour}; color: white; border-radius: .3em; padding: .05em .4em; white-space: {wrap}"
    return Markup('<span style="{}">{}</span>').format(style, word)


def html_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts as a table in HTML."""
    columns = ("claim", "verdict", "study-wide", "effect (95 % interval)", "region", "published", "source")
    rows = []
    for verdict in verdicts:
        notes = Markup().join(Markup("<br><small>{}</small>").format(note) for note in verdict.notes)
        claim = Markup("<b>{}</b><br>{}{}").format(verdict.id, verdict.statement, notes)
        words = map(html_verdict, (verdict.word, verdict.word_adjusted))
        rows.append((claim, *words, verdict.measured, verdict.region_and_unit, verdict.published, verdict.source))
    return html_table(Table("", columns, rows))


def text_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts as lines of text."""
    columns = ("claim", "statement", "published", "region", "effect (95 % interval)", "verdict", "study-wide", "notes")
    rows = [
        (verdict.id, verdict.statement, verdict.published, verdict.region_and_unit, verdict.measured,
         verdict.word or "–", verdict.word_adjusted or "–", "; ".join(verdict.notes))
        for verdict in verdicts
    ]  # fmt: skip
    return text_table(Table("Claims", columns, rows))
