"""Turn a figure's colours around for dark pages: what is dark becomes light, and hues stay."""

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

GREYS = {"gray": "gray_r", "gray_r": "gray"}
PAGE = 0.09  # brightness of the dark page


def inverted(colours: Any) -> np.ndarray:
    """Return colours whose hue is kept and whose lightness is turned around, white to a nearly black page.

    >>> [float(round(x, 2)) for x in inverted("white")]
    [0.09, 0.09, 0.09, 1.0]
    """
    rgba = np.array(to_rgba_array(colours))
    most, least = rgba[:, :3].max(1, keepdims=True), rgba[:, :3].min(1, keepdims=True)
    turned = rgba[:, :3] + 1 - most - least  # hue and saturation of HLS stay
    rgba[:, :3] = PAGE + (1 - PAGE) * turned
    return rgba if np.ndim(colours) > 1 or isinstance(colours, list) else rgba[0]


def darken(drawn: Figure) -> None:
    """Turn the colours of a figure around, in place; a colour map of grey is reversed, others stay."""
    for artist in drawn.findobj():
        if isinstance(artist, Text):
            artist.set_color(_turned(artist.get_color()))
        elif isinstance(artist, Line2D):
            names = ("color", "markerfacecolor", "markeredgecolor")
            before = {name: getattr(artist, f"get_{name}")() for name in names}  # a marker may follow the line
            artist.set(**{name: _turned(colour) for name, colour in before.items()})
        elif isinstance(artist, AxesImage) and artist.get_cmap().name in GREYS:
            artist.set_cmap(GREYS[artist.get_cmap().name])
        elif isinstance(artist, Patch):
            face, edge = artist.get_facecolor(), artist.get_edgecolor()
            artist.set(facecolor=_turned(face), edgecolor=_turned(edge))
        elif isinstance(artist, Collection) and not _is_mapped(artist):
            face, edge = artist.get_facecolor(), artist.get_edgecolor()
            artist.set(facecolor=inverted(face), edgecolor=inverted(edge))


def _turned(colour: Any) -> Any:
    """Return a colour turned around; names such as "none" and "auto", which are no colours, as they are."""
    if isinstance(colour, str) and colour in ("none", "auto"):
        return colour
    return tuple(inverted(to_rgba(colour)))


def _is_mapped(artist: ScalarMappable) -> bool:
    return artist.get_array() is not None
