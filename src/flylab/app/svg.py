"""Small pictures as SVG text, in the colours of the page, light or dark."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from flylab.results.plots import COLOURS

PALETTE = tuple(colour for colour in COLOURS if colour != "#000000")  # black is invisible on a dark page
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # lines differ by more than their colour


class Line(NamedTuple):
    """A curve with a band.

    Attributes:
        label: the text beside the curve's end.
        x, y: the curve.
        low, high: the band.
        colour: the number of the colour and of the dashes.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: int = 0


def picture(width: float, height: float, description: str, parts: Iterable[str], most: float) -> str:
    """Return an SVG that fills its place, up to `most` pixels; on a phone a wide one scrolls.

    Screen readers read out `description`.
    """
    look = f"width:100%;min-width:{min(0.7 * width, 560):.0f}px;max-width:{most:.0f}px;height:auto;display:block"
    about = f'role="img" aria-label="{html.escape(description, quote=True)}" style="{look}"'
    drawn = f'<svg viewBox="0 0 {width:g} {height:g}" {about} xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    return f'<div style="overflow-x:auto">{drawn}</div>'


def element(name: str, tooltip: str = "", **attributes: object) -> str:
    """Return a shape; underscores in names of attributes become hyphens."""
    written = " ".join(f'{key.replace("_", "-")}="{_short(value)}"' for key, value in attributes.items())
    return f"<{name} {written}>{f'<title>{html.escape(tooltip)}</title>' if tooltip else ''}</{name}>"


def _short(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else html.escape(str(value))


def text(x: float, y: float, words: str, size: float = 11, anchor: str = "start", more: str = "") -> str:
    """Return text at a place."""
    about = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" fill="currentColor" {more}'
    return f"<text {about}>{html.escape(words)}</text>"


def upright(x: float, y: float, words: str, size: float = 11) -> str:
    """Return text turned by 90° to the left, centred at a place."""
    return text(x, y, words, size, "middle", f'transform="rotate(-90 {x:.0f} {y:.0f})"')


def colour(i: int) -> str:
    """Return a colour of the palette, which repeats."""
    return PALETTE[i % len(PALETTE)]


def polyline(x: Iterable[float], y: Iterable[float], ink: str, width: float, dash: str = "") -> str:
    """Return a line through points."""
    look = {"fill": "none", "stroke": ink, "stroke_width": width, "stroke_dasharray": dash}
    return element("polyline", points=_points(x, y), **look)


def _points(x: Iterable[float], y: Iterable[float]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Return about `n` round numbers from `low` to `high`.

    >>> ticks(0, 6000)
    [0.0, 2000.0, 4000.0, 6000.0]
    """
    raw = (high - low) / max(n, 1) or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if raw <= power * m * 1.001)
    return [round(i * step, 10) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def curves(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    size: tuple[int, int] = (640, 320),
) -> str:
    """Plot lines with bands; each line ends with its last value, and all values have tooltips."""
    width, height = size
    left, top = 48, 12
    w, h = width - left - 150, height - top - 40

    def px(values: Sequence[float]) -> np.ndarray:
        return left + w * (np.asarray(values, float) - x_range[0]) / ((x_range[1] - x_range[0]) or 1)

    def py(values: Sequence[float]) -> np.ndarray:
        clipped = np.clip(np.asarray(values, float), *y_range)
        return top + h * (1 - (clipped - y_range[0]) / ((y_range[1] - y_range[0]) or 1))

    parts = []
    for value, y in zip(ticks(*y_range), py(ticks(*y_range)), strict=True):
        parts.append(
            element("line", x1=left, x2=left + w, y1=float(y), y2=float(y), stroke="currentColor", opacity=0.15)
        )
        parts.append(text(left - 6, y + 4, f"{value:g}", anchor="end"))
    for value, x in zip(ticks(*x_range), px(ticks(*x_range)), strict=True):
        parts.append(text(x, top + h + 16, f"{value:g}", anchor="middle"))
    parts += [text(left + w / 2, height - 6, x_label, anchor="middle"), upright(14, top + h / 2, y_label)]
    drawn = [line for line in lines if len(line.x)]
    for line in drawn:
        ink, xs, ys = colour(line.colour), px(line.x), py(line.y)
        band = _points([*xs, *xs[::-1]], [*py(line.high), *py(line.low)[::-1]])
        parts.append(element("polygon", points=band, fill=ink, opacity=0.18))
        parts.append(polyline(xs, ys, ink, 2, DASHES[line.colour % len(DASHES)]))
        for x, y, at, value, low, high in zip(xs, ys, line.x, line.y, line.low, line.high, strict=True):
            tooltip = f"{line.label}: {value:.2f} ({low:.2f} … {high:.2f}) at {at:g}"
            parts.append(element("circle", tooltip, cx=float(x), cy=float(y), r=5, fill="transparent"))
    for line, y in zip(drawn, _apart([float(py(line.y)[-1]) for line in drawn], 15, top + 8, top + h), strict=True):
        parts.append(element("circle", cx=left + w + 10, cy=y, r=4, fill=colour(line.colour)))
        parts.append(text(left + w + 18, y + 4, f"{line.label} {line.y[-1]:.1f}", 12))
    ends = "; ".join(f"{line.label}: {line.y[-1]:.1f} at {line.x[-1]:g}" for line in drawn)
    return picture(width, height, f"{y_label} against {x_label}. {ends}", parts, most=900)


def _apart(heights: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move heights apart, so that labels at them do not overlap."""
    moved, last = list(heights), low - gap
    for i in np.argsort(heights, kind="stable"):
        last = moved[i] = max(heights[i], last + gap)
    excess = max(max(moved, default=high) - high, 0)
    return [y - excess for y in moved]


def signals(rows: Sequence[tuple[str, np.ndarray]], inks: Sequence[int], description: str) -> str:
    """Plot a table of signals, each row `(name, (n, length))`, to one scale."""
    n = max((len(row) for _, row in rows), default=0)
    if not n:
        return ""
    bound = max(float(np.abs(row).max(initial=1e-9)) for _, row in rows)
    (w, h), left, parts = (84, 46), 26, []
    for r, (name, row) in enumerate(rows):
        parts.append(text(left - 8, r * h + h / 2 + 5, name, 13, "end"))
        for c, signal in enumerate(row):
            x = left + c * w + 4 + (w - 8) * np.linspace(0, 1, len(signal))
            parts.append(polyline(x, r * h + h / 2 - (h / 2 - 3) * signal / bound, colour(inks[r]), 1.6))
    width = left + n * w
    return picture(width, len(rows) * h, description, parts, most=1.3 * width)


def small_multiples(
    named: Sequence[tuple[str, np.ndarray, int]], description: str, cell: tuple[int, int] = (128, 84), columns: int = 7
) -> str:
    """Plot signals `(title, values, colour)`, each to its own scale."""
    (w, h), parts = cell, []
    for i, (name, signal, ink) in enumerate(named):
        left, top = (i % columns) * w, (i // columns) * (h + 20)
        low, high = float(np.min(signal)), float(np.max(signal))
        x = left + 6 + (w - 12) * np.linspace(0, 1, max(len(signal), 1))
        y = top + 22 + (h - 10) * (1 - (np.asarray(signal) - low) / ((high - low) or 1))
        parts += [text(left + 6, top + 13, name, 12), polyline(x, y, colour(ink), 1.8)]
    width = min(columns, len(named)) * w
    return picture(width, -(-len(named) // columns) * (h + 20), description, parts, most=1.25 * width)


def matrix(values: np.ndarray, labels: Sequence[str], row_label: str, column_label: str) -> str:
    """Plot a square table of percentages as shades, such as a confusion matrix; numbers ≥ 1 are written."""
    n, size, left, top = len(values), 34, 54, 26
    middle = n * size / 2
    parts = [text(left + middle, 14, column_label, 12, "middle"), upright(14, top + middle, row_label, 12)]
    for r in range(n):
        y = top + r * size
        parts.append(text(left - 6, y + 22, labels[r], 12, "end"))
        parts.append(text(left + r * size + size / 2, top + n * size + 16, labels[r], 12, "middle"))
        for c in range(n):
            value, x = float(values[r, c]), left + c * size
            look = {"fill": PALETTE[0] if r == c else PALETTE[1], "opacity": 0.06 + 0.6 * value / 100}
            tooltip = f"{labels[r]} read as {labels[c]}: {value:.1f} %"
            parts.append(element("rect", tooltip, x=x, y=y, width=size - 1, height=size - 1, **look))
            if value >= 1:
                parts.append(text(x + size / 2, y + 22, f"{value:.0f}", 11, "middle", 'pointer-events="none"'))
    return picture(left + n * size + 6, top + n * size + 24, f"{row_label} against {column_label}", parts, most=440)


def weights(values: np.ndarray, description: str) -> str:
    """Plot the weights of a layer's first 48 units, one row for each: blue is positive, red negative, empty pruned."""
    rows = values[:48]
    bound = float(np.abs(rows).max(initial=1e-9))
    size = max(5, min(12, 440 // max(rows.shape[1], 1)))
    parts = []
    for (r, c), value in np.ndenumerate(rows):
        if value:
            look = {"fill": PALETTE[0 if value > 0 else 1], "opacity": float(abs(value) / bound)}
            parts.append(element("rect", x=c * size, y=r * size, width=size, height=size, **look))
    width, height = rows.shape[1] * size, len(rows) * size
    parts.append(element("rect", x=0, y=0, width=width, height=height, fill="none", stroke="currentColor", opacity=0.3))
    return picture(width, height, description, parts, most=width)
