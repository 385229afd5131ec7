"""Show results in notebooks, the same in marimo, Jupyter and Colab; `print` gives text.

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
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from flylab.reporting import figures, judging
from flylab.reporting.page import image
from flylab.results.tables import LEGEND, Table, html_table, html_verdicts, text_table, text_verdicts
from flylab.results.verdicts import Verdict
from flylab.study.registry import study_in

_SMOKE = "The preset smoke tries everything in seconds and decides nothing: its numbers mean nothing."


@dataclass(frozen=True)
class Shown:
    """HTML for notebooks, and the same as text for a terminal."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


def figure(source: xr.Dataset | Figure, alt: str = "") -> Shown:
    """Show the figure of the study that made some results, or any other figure.

    Args:
        source: the results, or a matplotlib figure.
        alt: text for readers who cannot see the figure; by default the study's name.
    """
    if isinstance(source, xr.Dataset):
        alt, drawn = alt or f"figure of the study {source.attrs['study']}", figures.figure(source, "web")
    else:
        alt, drawn = alt or "figure", source
    data = base64.b64encode(image(drawn, "png")).decode()
    width = math.ceil(drawn.get_figwidth() * 96)
    style = f"width: {width}px; max-width: 100%; height: auto; background: white"
    return Shown(f'<img alt="{html.escape(alt, True)}" style="{style}" src="data:image/png;base64,{data}">', f"[{alt}]")


def table(source: xr.Dataset | Table) -> Shown:
    """Show the table of the study that made some results, or any other table."""
    shown = source if isinstance(source, Table) else study_in(source.attrs).table(source)
    return Shown(html_table(shown), text_table(shown))


def claims(source: xr.Dataset | Sequence[Verdict], *ids: str) -> Shown:
    """Show the verdicts on the published claims.

    Args:
        source: results, or verdicts.
        ids: the claims to show; by default all that the results can test.

    Raises:
        ValueError: for an id that no claim has.
    """
    verdicts = [verdict(source, id_) for id_ in ids] if ids else [v for v in _verdicts(source) if v.effect is not None]
    note = _SMOKE if any(v.preset == "smoke" for v in verdicts) else LEGEND
    return Shown(f"{html_verdicts(verdicts)}<p><small>{note}</small></p>", text_verdicts(verdicts))


def verdict(source: xr.Dataset | Sequence[Verdict], id_: str) -> Verdict:
    """Return the verdict on one claim.

    Raises:
        ValueError: for an id that no claim has.
    """
    by_id = {verdict.id: verdict for verdict in _verdicts(source)}
    if id_ not in by_id:
        raise ValueError(f"there is no claim {id_!r}; there are {', '.join(by_id)}")
    return by_id[id_]


def answer(source: xr.Dataset | Sequence[Verdict], id_: str, guess: float) -> str:
    """Return a sentence that compares a reader's guess with a claim's measured effect."""
    judged = verdict(source, id_)
    if judged.effect is None or judged.low is None or judged.high is None:
        return f"You said {guess:g}; this run cannot tell ({judged.note or 'there is no interval'})."
    where = "below" if guess < judged.low else "above" if guess > judged.high else "within"
    verdict_on_guess = _SMOKE if judged.preset == "smoke" else f"Your guess lies {where} the interval."
    measured = f"{judged.measured} {judged.unit}".rstrip()
    return f"You said {guess:g}; measured, with 95 % interval: {measured}. {verdict_on_guess}"


def folded(*shown: Any, title: str = "Show what came out") -> Shown:
    """Fold answers away until a reader asks for them, so that a prediction comes first.

    Args:
        shown: what this module returns, or HTML of marimo's (`mo.md`).
        title: what a reader clicks.

    >>> folded(Shown("<p>42</p>", "42"), title="Answer").html
    '<details><summary>Answer</summary><p>42</p></details>'
    """
    parts = [(one.html, one.text) if isinstance(one, Shown) else (one.text, one.text) for one in shown]
    summary = f"<summary>{html.escape(title)}</summary>"
    return Shown(f"<details>{summary}{''.join(part for part, _ in parts)}</details>", "\n".join(t for _, t in parts))


def _verdicts(source: xr.Dataset | Sequence[Verdict]) -> Sequence[Verdict]:
    return judging.verdicts(source) if isinstance(source, xr.Dataset) else source
