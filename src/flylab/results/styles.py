"""The styles of figures, for the web, for paper and for slides; colours, and the marker that goes with each colour."""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.colors import to_hex, to_rgb

# Hues of Okabe & Ito (2008), moved apart: by 20 (CIELAB, 1976) for normal sight and three colour blindnesses (Machado
# et al. 2009), by 6.5 in lightness alone, for grey prints. `tests/results/test_styles.py` measures both.
COLOURS = ("#0262C2", "#DE5C18", "#1FAB64", "#B54D95", "#FF9101", "#62C9FF", "#000000")
MARKERS: Mapping[Any, str] = dict(zip(COLOURS, "os^Dv*X", strict=True))  # neighbours in lightness differ in shape, too
SEQUENCE = ("magma", 0.62, 0.12)  # a map, and where it starts and ends: 3 : 1 and more on white pages and on dark ones
_COMMON: Any = {
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "large",
    "figure.constrained_layout.use": True,
    "figure.dpi": 120,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.labelspacing": 0.35,
    "pdf.fonttype": 42,  # TrueType, as journals ask for: text stays text
    "svg.hashsalt": "flylab",  # equal results give equal files
}


@dataclass(frozen=True)
class Style:
    """How a figure is drawn.

    Attributes:
        font: size of text in points.
        least: no text is smaller than this.
        widths: widths in inches by name; None leaves a figure as its study made it.
        panel: least width of a panel in inches; rows of panels that do not fit are broken.
        tallest: height in inches that a figure exceeds only where its panels would be too low to read.
        dots: per inch, in a PNG.
        more: further settings of matplotlib.
    """

    font: float
    least: float
    widths: Mapping[str, float | None]
    panel: float
    tallest: float
    dots: int
    more: Mapping[str, Any] = field(default_factory=dict)


STYLES = {
    "web": Style(10, 7, {"full": None, "column": 4.5}, 3.4, 20, 160, {"svg.fonttype": "path", "axes.titlesize": 11}),
    # the widths of ICML's columns and pages; its captions are of 9 points
    "paper": Style(8, 7, {"full": 6.75, "column": 3.25}, 2.9, 8.75, 300,
                   {"svg.fonttype": "none", "lines.linewidth": 1.2, "lines.markersize": 4.5}),
    # half of a slide's size, 13.3 × 7.5 inches, so that all that fills one is twice as large
    "slide": Style(11, 9, {"full": 6.67, "column": 3.33}, 3.3, 3.75, 288,
                   {"svg.fonttype": "path", "axes.titlesize": 12}),
}  # fmt: skip


def shades(n: int) -> list[str]:
    """Return `n` colours for values that have an order, the lowest light and the highest dark.

    >>> shades(2)
    ['#e44f64', '#1a1042']
    """
    name, start, stop = SEQUENCE
    return [to_hex(mpl.colormaps[name](place)) for place in np.linspace(start, stop, n)]


def readable_on(colour: Any) -> str:
    """Return black or white, whichever has more contrast to a colour: at least 4.5 : 1.

    >>> readable_on("yellow"), readable_on("navy")
    ('black', 'white')
    """
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)  # WCAG's relative luminance
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


_current: ContextVar[Style] = ContextVar("style", default=STYLES["web"])


@contextlib.contextmanager
def style(chosen: Style | None = None) -> Iterator[None]:
    """Use a style of flylab's within a `with` block, whatever the user's matplotlibrc or `rcParams` say.

    Args:
        chosen: the style; by default that of the block around this one, or else that of the web.
    """
    chosen = chosen or _current.get()
    token = _current.set(chosen)
    try:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_COMMON | {"font.size": chosen.font, "savefig.dpi": chosen.dots} | dict(chosen.more))
            yield
    finally:
        _current.reset(token)
