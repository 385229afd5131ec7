"""What notebooks show of results, the same in marimo, Jupyter and Colab; `print` gives it as text.

>>> from flylab.study import Table
>>> print(table(Table("Accuracy (%)", ("network", "test"), [("MLP", "64.7 ± 1.0")])))
Accuracy (%)
network | test
MLP     | 64.7 ± 1.0
"""

import base64
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import xarray as xr
from matplotlib.figure import Figure

from flylab.reporting import report
from flylab.results.claims import Verdict
from flylab.study.registry import get_study
from flylab.study.study import Table

_COLOURS = {"supported": "#007A5A", "refuted": "#B94A00", "undecided": "#8A6100", "not tested": "#666666"}
_EXPLAINED = (
    "Each seed gives one value of the effect; the interval is where its mean lies, with 95 % confidence. "
    "Supported: the whole interval lies in the claimed region. Refuted: it lies outside. Undecided: it straddles the "
    "border."
)
_SMOKE = "The preset smoke tries everything in seconds and decides nothing: its numbers mean nothing."


@dataclass(frozen=True)
class Shown:
    """Something to look at: HTML for notebooks, text for a terminal."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


def figure(of: xr.Dataset | Figure, alt: str = "") -> Shown:
    """The figure of the study that made these results, or any other.

    Args:
        of: results, or a matplotlib figure.
        alt: what it shows, for those who cannot see it; by default the study's name.
    """
    alt = alt or (f"figure of the study {of.attrs['study']}" if isinstance(of, xr.Dataset) else "figure")
    drawn = get_study(of.attrs["study"]).figure(of) if isinstance(of, xr.Dataset) else of
    data = base64.b64encode(report.image(drawn, "png")).decode()
    width = math.ceil(drawn.get_figwidth() * 96)
    style = f"width: {width}px; max-width: 100%; height: auto; background: white"
    return Shown(f'<img alt="{html.escape(alt, True)}" style="{style}" src="data:image/png;base64,{data}">', f"[{alt}]")


def table(of: xr.Dataset | Table) -> Shown:
    """The table of the study that made these results, or any other."""
    found = of if isinstance(of, Table) else get_study(of.attrs["study"]).table(of)
    rows = [[html.escape(cell) for cell in row] for row in found.rows]
    return Shown(_html(found.title, found.columns, rows), _text(found.title, found.columns, found.rows))


def claims(of: xr.Dataset | Sequence[Verdict], *ids: str) -> Shown:
    """What the results say of the published claims.

    Args:
        of: results, or verdicts.
        ids: the claims to show; by default all that these results can test.

    Raises:
        ValueError: for an id that no claim has.
    """
    found = [verdict(of, id_) for id_ in ids] if ids else [one for one in _verdicts(of) if one.effect is not None]
    note = _SMOKE if any(one.preset == "smoke" for one in found) else _EXPLAINED
    columns = ("claim", "source", "published", "region", "measured (95 % interval)", "verdict")
    cells = [
        (one.statement, one.source, one.published, f"{one.region} {one.unit}".strip(), report.effect_text(one),
         one.verdict or "–")
        for one in found
    ]  # fmt: skip
    rows = [[*map(html.escape, row[:3]), *(_whole(cell) for cell in row[3:5]), _chip(row[5])] for row in cells]
    shown = _html("", columns, rows) + f"<p><small>{note}</small></p>"
    return Shown(
        shown, _text("Claims", ("id", *columns[2:]), [(v.id, *row[2:]) for v, row in zip(found, cells, strict=True)])
    )


def verdict(of: xr.Dataset | Sequence[Verdict], id_: str) -> Verdict:
    """The verdict on one claim.

    Raises:
        ValueError: for an id that no claim has.
    """
    found = {one.id: one for one in _verdicts(of)}
    if id_ not in found:
        raise ValueError(f"there is no claim {id_!r}; there are {', '.join(found)}")
    return found[id_]


def answer(of: xr.Dataset | Sequence[Verdict], id_: str, guess: float) -> str:
    """One sentence on what somebody guessed of a claim's effect."""
    one = verdict(of, id_)
    if one.effect is None or one.low is None or one.high is None:
        return f"You said {guess:g}; this run cannot tell ({one.note or 'there is no interval'})."
    where = "below" if guess < one.low else "above" if guess > one.high else "within"
    unit = f" {one.unit}" if one.unit else ""
    said = f"You said {guess:g}; measured: {one.effect:.3g}{unit}, 95 % interval {one.low:.3g} to {one.high:.3g}. "
    if one.preset == "smoke":
        return said + _SMOKE
    return said + f"Your guess lies {where} the interval."


def _verdicts(of: xr.Dataset | Sequence[Verdict]) -> Sequence[Verdict]:
    return report.verdicts(of) if isinstance(of, xr.Dataset) else of


def _whole(cell: str) -> str:
    return f'<span style="white-space: nowrap">{html.escape(cell)}</span>'


def _chip(word: str) -> str:
    if word not in _COLOURS:
        return word
    style = f"background: {_COLOURS[word]}; color: white; border-radius: 4px; padding: 1px 6px; white-space: nowrap"
    return f'<span style="{style}">{word}</span>'


def _html(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML."""
    cell = 'style="text-align: left; vertical-align: top; padding: 3px 10px; border-bottom: 1px solid #8884"'
    head = "".join(f"<th {cell}>{html.escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td {cell}>{one}</td>' for one in row)}</tr>" for row in rows)
    above = f"<p>{html.escape(title)}</p>" if title else ""
    style = "border-collapse: collapse; font-size: 0.9em"
    return f'{above}<div style="overflow-x: auto"><table style="{style}"><tr>{head}</tr>{body}</table></div>'


def _text(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[*columns], *([*row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join([title, *(line.rstrip() for line in padded)])
