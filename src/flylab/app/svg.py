"""Small pictures as SVG text, in the colours of the page, light or dark: positions to the right, values upwards."""

import html
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from flylab.models import list_models
from flylab.models.registry import PUBLISHED
from flylab.results.plots import COLOURS

SIZE = 12  # of text; no picture is drawn smaller than it is
# one colour for each class: those of figures without black, which is invisible on a dark page, and four more
CLASSES = (*(colour for colour in COLOURS if colour != "#000000"), "#8F6FD6", "#9A9400", "#E8638C", "#7D8794")
_FIRST = (*PUBLISHED[::-1], "resnet", "lstm", "local", "tcn", "mixer")  # in the order of the figure of `architectures`
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # one for each run


def ink(model: str) -> str:
    """Return the colour of a model, which is the same everywhere."""
    names = (*_FIRST, *(name for name in list_models() if name not in _FIRST))
    return CLASSES[names.index(model) % len(CLASSES)] if model in names else CLASSES[-1]


class Line(NamedTuple):
    """A curve with a band.

    Attributes:
        label: its name.
        x, y: the curve.
        low, high: the band.
        ink: its colour.
        run: the number of its run, which its dashes show.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    ink: str = CLASSES[0]
    run: int = 0


def picture(width: float, height: float, description: str, parts: Iterable[str], most: float = 0) -> str:
    """Return an SVG that fills its place, up to `most` pixels (by default its own width).

    Screen readers read out `description`.
    """
    look = f"width:100%;max-width:{most or width:.0f}px;height:auto;display:block"
    about = f'role="img" aria-label="{html.escape(description, quote=True)}" style="{look}"'
    return f'<svg viewBox="0 0 {width:g} {height:g}" {about} xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'


def fitting(least: Literal[420, 800], draw: Callable[[bool], str]) -> str:
    """Return two drawings, of which places of at least so many pixels show the wide one, others the narrow one."""
    both = f'<div class="flylab-wide">{draw(True)}</div><div class="flylab-narrow">{draw(False)}</div>'
    return f'<div class="flylab-fit flylab-{least}">{both}</div>'


def element(name: str, tooltip: str = "", **attributes: object) -> str:
    """Return a shape; underscores in names of attributes become hyphens."""
    written = " ".join(f'{key.replace("_", "-")}="{_short(value)}"' for key, value in attributes.items())
    return f"<{name} {written}>{f'<title>{html.escape(tooltip)}</title>' if tooltip else ''}</{name}>"


def _short(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else html.escape(str(value))


def text(x: float, y: float, words: str, size: float = SIZE, anchor: str = "start", more: str = "") -> str:
    """Return text at a place."""
    about = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" fill="currentColor" {more}'
    return f"<text {about}>{html.escape(words)}</text>"


def upright(x: float, y: float, words: str, size: float = SIZE) -> str:
    """Return text turned by 90° to the left, centred at a place."""
    return text(x, y, words, size, "middle", f'transform="rotate(-90 {x:.0f} {y:.0f})"')


def stroke(x: tuple[float, float], y: tuple[float, float], ink: str, **more: object) -> str:
    """Return a straight line between two points."""
    ends = {"x1": float(x[0]), "x2": float(x[1]), "y1": float(y[0]), "y2": float(y[1])}
    return element("line", "", stroke=ink, **ends, **more)


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


def swatch(ink: str, run: int = 0) -> str:
    """Return a short piece of a curve, for a legend."""
    return picture(34, 10, "", [polyline((1, 33), (5, 5), ink, 2.4, DASHES[run % len(DASHES)])])


def curves(
    lines: Sequence[Line], x_label: str, y_label: str, x_range: tuple[float, float], y_range: tuple[float, float]
) -> str:
    """Plot lines with bands; all values have tooltips, and the description has the last ones."""
    drawn = [line for line in lines if len(line.x)]
    ends = "; ".join(f"{line.label}: {line.y[-1]:.1f} at {line.x[-1]:g}" for line in drawn)
    about = f"{y_label} against {x_label}. {ends}"
    return fitting(
        420, lambda wide: _curves(drawn, (x_label, y_label, about), x_range, y_range, (430 if wide else 330, 260))
    )


def _curves(
    lines: Sequence[Line], words: tuple[str, str, str], x_range: tuple[float, float], y_range: tuple[float, float],
    size: tuple[int, int],
) -> str:  # fmt: skip
    (width, height), left, top = size, 50, 12
    w, h = width - left - 22, height - top - 40

    def px(values: Sequence[float]) -> np.ndarray:
        return left + w * (np.asarray(values, float) - x_range[0]) / ((x_range[1] - x_range[0]) or 1)

    def py(values: Sequence[float]) -> np.ndarray:
        clipped = np.clip(np.asarray(values, float), *y_range)
        return top + h * (1 - (clipped - y_range[0]) / ((y_range[1] - y_range[0]) or 1))

    parts = []
    for value, y in zip(ticks(*y_range), py(ticks(*y_range)), strict=True):
        parts.append(stroke((left, left + w), (y, y), "currentColor", opacity=0.15))
        parts.append(text(left - 6, y + 4, f"{value:g}", anchor="end"))
    for value, x in zip(ticks(*x_range, 4), px(ticks(*x_range, 4)), strict=True):
        parts.append(text(x, top + h + 16, f"{value:g}", anchor="middle"))
    parts += [text(left + w / 2, height - 6, words[0], anchor="middle"), upright(14, top + h / 2, words[1])]
    for line in lines:
        xs, ys = px(line.x), py(line.y)
        band = _points([*xs, *xs[::-1]], [*py(line.high), *py(line.low)[::-1]])
        parts.append(element("polygon", points=band, fill=line.ink, opacity=0.18))
        parts.append(polyline(xs, ys, line.ink, 2.2, DASHES[line.run % len(DASHES)]))
        for x, y, at, value, low, high in zip(xs, ys, line.x, line.y, line.low, line.high, strict=True):
            tooltip = f"{line.label}: {value:.2f} ({low:.2f} … {high:.2f}) at {at:g}"
            parts.append(element("circle", tooltip, cx=float(x), cy=float(y), r=5, fill="transparent"))
    return picture(width, height, words[2], parts, 1.15 * width)


def signals(columns: Sequence[tuple[str, np.ndarray, str]], description: str) -> str:
    """Plot signals below their names, each column `(name, (n, length), colour)`, all to one scale."""
    if not columns:
        return ""
    bound = max(float(np.abs(signals).max(initial=1e-9)) for _, signals, _ in columns)
    most = max(len(signals) for _, signals, _ in columns)

    def draw(wide: bool) -> str:
        n = min(len(columns), 10 if wide else 5)
        (w, h), parts = (84 if wide else 330 / n, 40), []
        for i, (name, signals, ink) in enumerate(columns):
            left, top = (i % n) * w, (i // n) * (most * h + 24)
            parts.append(text(left + w / 2, top + 14, name, 13, "middle"))
            for r, signal in enumerate(signals):
                x = left + 4 + (w - 8) * np.linspace(0, 1, len(signal))
                parts.append(polyline(x, top + 20 + r * h + h / 2 - (h / 2 - 2) * signal / bound, ink, 1.6))
        return picture(n * w, -(-len(columns) // n) * (most * h + 24), description, parts, 1.2 * n * w)

    return fitting(800, draw)


def small_multiples(
    named: Sequence[tuple[str, np.ndarray, str]], description: str, columns: tuple[int, int] = (8, 3), size: int = 840
) -> str:
    """Plot signals `(title, values, colour)`, each to its own scale, in so many columns on wide and narrow pages."""

    def draw(wide: bool) -> str:
        n = columns[0 if wide else 1]
        (w, h), parts = ((size if wide else 330) / n, 62), []
        for i, (name, signal, ink) in enumerate(named):
            left, top = (i % n) * w, (i // n) * (h + 24)
            low, high = float(np.min(signal)), float(np.max(signal))
            x = left + 5 + (w - 10) * np.linspace(0, 1, max(len(signal), 1))
            y = top + 24 + (h - 8) * (1 - (np.asarray(signal) - low) / ((high - low) or 1))
            look = {"fill": "currentColor", "opacity": 0.05, "rx": 4}
            parts.append(element("rect", x=left + 1, y=top + 19, width=w - 3, height=h + 2, **look))
            parts += [text(left + 5, top + 14, name), polyline(x, y, ink, 1.8)]
        return picture(min(n, len(named)) * w, -(-len(named) // n) * (h + 24), description, parts,
                       1.2 * min(n, len(named)) * w)  # fmt: skip

    return fitting(800 if size > 600 else 420, draw)


def matrix(values: np.ndarray, labels: Sequence[str], row_label: str, column_label: str) -> str:
    """Plot a square table of percentages as shades, such as a confusion matrix; numbers ≥ 1 are written."""
    n, size, left, top = len(values), 28, 42, 22
    middle = n * size / 2
    parts = [text(left + middle, 14, column_label, anchor="middle"), upright(13, top + middle, row_label)]
    for r in range(n):
        y = top + r * size
        parts.append(text(left - 6, y + 19, labels[r], anchor="end"))
        parts.append(text(left + r * size + size / 2, top + n * size + 16, labels[r], anchor="middle"))
        for c in range(n):
            value, x = float(values[r, c]), left + c * size
            look = {"fill": CLASSES[0] if r == c else CLASSES[1], "opacity": 0.06 + 0.6 * value / 100}
            tooltip = f"{labels[r]} read as {labels[c]}: {value:.1f} %"
            parts.append(element("rect", tooltip, x=x, y=y, width=size - 1, height=size - 1, **look))
            if value >= 1:
                parts.append(text(x + size / 2, y + 18, f"{value:.0f}", SIZE, "middle", 'pointer-events="none"'))
    return picture(left + n * size + 6, top + n * size + 24, f"{row_label} against {column_label}", parts, most=400)


def weights(values: np.ndarray, description: str) -> str:
    """Plot the weights of a layer's first 48 units as rows: blue is positive, orange negative, empty pruned."""
    rows = values[:48]
    bound = float(np.abs(rows).max(initial=1e-9))
    size = max(4, min(12, 290 // max(rows.shape[1], 1)))
    width, height, left = rows.shape[1] * size, len(rows) * size, 42
    parts = []
    for (r, c), value in np.ndenumerate(rows):
        if value:
            look = {"fill": CLASSES[0 if value > 0 else 1], "opacity": float(abs(value) / bound)}
            parts.append(element("rect", x=left + c * size, y=r * size, width=size, height=size, **look))
    look = {"fill": "none", "stroke": "currentColor", "opacity": 0.3}
    parts.append(element("rect", x=left, y=0, width=width, height=height, **look))
    for i in range(0, rows.shape[1], 10 if rows.shape[1] > 12 else 1):
        parts.append(text(left + (i + 0.5) * size, height + 14, str(i), anchor="middle"))
    for i in range(0, len(rows), 10):
        parts.append(text(left - 5, i * size + size / 2 + 5, str(i), anchor="end"))
    parts += [text(left + width / 2, height + 30, "input", anchor="middle"), upright(13, height / 2, "unit")]
    full = max(left + width + 8, 120)
    return picture(full, height + 36, description, parts, 1.2 * full)
