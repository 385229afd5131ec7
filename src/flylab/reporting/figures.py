"""A study's figure, drawn for the web, for paper or for slides, with panel letters and a line on seeds and bands.

A study draws; what all figures have in common is added here: style, width, letters, the line below, dark pages.
"""

import functools
import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text

from flylab.reporting import layout, legends
from flylab.reporting.dark import darken
from flylab.reporting.judging import study_of, understood
from flylab.results import styles
from flylab.results.digits import write_ticks
from flylab.results.statistics import MANY
from flylab.results.styles import STYLES, Style
from flylab.study.study import Study

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FAINT = "0.35"


def figure(results: xr.Dataset, style: str = "paper", width: str | float = "full", dark: bool = False) -> Figure:
    """Draw the figure of the study that made some results.

    "paper" has the widths of a journal, text of at least 7 points at that size, and fonts that stay text in PDF and
    SVG. "slide" is drawn at half the size of what it fills, so that its text is large: at least 18 points on a slide of
    13.3 inches. "web" is as the study drew it, in PNG for a screen. Where a row of panels is too wide it is broken.

    Args:
        results: a run's results.
        style: "paper", "slide" or "web".
        width: "full" or "column", 6.75 or 3.25 inches on paper; or inches.
        dark: light on dark, for dark pages and slides.

    Returns:
        A matplotlib figure; its `savefig` writes PDF, SVG or PNG in the style it was drawn in.

    Raises:
        ValueError: for an unknown style or width, or if the results cannot be drawn.

    >>> flylab.figure(flylab.load("runs/pooling/quick-…"), width="column").savefig("pooling.pdf")  # doctest: +SKIP
    """
    chosen, inches = chosen_style(style, width)
    study = study_of(results)
    with understood(results):
        return draw(study, results, chosen, inches, dark)


def draw(study: Study, results: xr.Dataset, chosen: Style = STYLES["web"], width: float | None = None,
         dark: bool = False) -> Figure:  # fmt: skip
    """Draw the figure of a study in a style; what the study raises is not caught.

    Args:
        study: the study.
        results: its results.
        chosen: the style.
        width: in inches; None leaves the size that the study chose.
        dark: light on dark.
    """
    with styles.style(chosen):
        drawn = study.figure(results)
    finish(drawn, chosen, caption(results), width)
    if dark:
        darken(drawn)
    return drawn


def finish(drawn: Figure, chosen: Style, text: str = "", width: float | None = None) -> None:
    """Give a figure what all have in common: its width, least size of text, panel letters, a line below.

    Args:
        drawn: the figure.
        chosen: the style it was drawn in.
        text: the line below.
        width: in inches; None leaves its size.
    """
    with styles.style(chosen):
        lines = textwrap.wrap(text, int(72 * (width or drawn.get_figwidth()) / (0.52 * chosen.least)))
        titles = {layout.title_of(ax) for ax in layout.panels_of(drawn)}
        for written in drawn.findobj(Text):  # a study may have chosen sizes for another width
            most = mpl.rcParams["font.size"] * (1.2 if written in titles else 1) if width else 99
            written.set_fontsize(np.clip(written.get_fontsize(), chosen.least, most))  # pyright: ignore[reportAttributeAccessIssue]
        write_ticks(layout.panels_of(drawn))
        if width is not None:
            layout.lay_out(drawn, chosen, width, len(lines))
        else:
            legends.keep_off(drawn, layout.panels_of(drawn))
        panels = layout.panels_of(drawn)
        for letter, ax in zip(LETTERS, panels if len(panels) > 1 else [], strict=False):
            title = layout.title_of(ax)
            place: Any = {"xycoords": title, "va": "top"} if title else {"xycoords": "axes fraction", "va": "bottom"}
            ax.annotate(letter, (0, 1), (-4, 0 if title else 4), textcoords="offset points", ha="right", weight="bold",
                        annotation_clip=False, **place)  # fmt: skip
        if lines:
            drawn.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=chosen.least, color=_FAINT)
    drawn.savefig = functools.partial(_save, drawn, chosen)  # type: ignore[method-assign]


def _save(drawn: Figure, chosen: Style, *args: Any, **options: Any) -> None:
    """Save a figure in its style: some settings of matplotlib count when a file is written."""
    with styles.style(chosen):
        Figure.savefig(drawn, *args, **options)


def caption(results: xr.Dataset) -> str:
    """Return what every figure has to say: study, preset, number of seeds, and what bands and bars are."""
    study, preset = results.attrs["study"].replace("_", " "), results.attrs["preset"]
    smoke = "; a smoke run decides nothing" if preset == "smoke" else ""
    return f"{study}, preset {preset}, {bands_of(results.sizes['seed'])}{smoke}"


def bands_of(n_seeds: int) -> str:
    """Return the number of seeds, and what bands and bars are.

    >>> bands_of(4)
    "n = 4 seeds; bands and bars: 95 % interval of the mean over seeds (Student's t)"
    """
    if n_seeds == 1:
        return "n = 1 seed, which has no interval"
    method = "Student's t" if n_seeds < MANY else "studentised bootstrap"
    return f"n = {n_seeds} seeds; bands and bars: 95 % interval of the mean over seeds ({method})"


def chosen_style(name: str, width: str | float) -> tuple[Style, float | None]:
    """Return a style by its name, and a width in inches, None for that of the study.

    Args:
        name: "paper", "slide" or "web".
        width: "full" or "column", or inches.

    Raises:
        ValueError: for an unknown style or width.
    """
    if name not in STYLES:
        raise ValueError(f"style={name!r} must be one of {', '.join(STYLES)}")
    chosen = STYLES[name]
    if isinstance(width, str) and width in chosen.widths:
        return chosen, chosen.widths[width]
    try:
        inches = float(width)
    except ValueError:
        inches = 0.0
    if not 2 <= inches <= 40:
        raise ValueError(f"width={width!r} must be {', '.join(chosen.widths)}, or 2 to 40 inches")
    return chosen, inches
