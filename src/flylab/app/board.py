"""The leaderboard's table and chart."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from flylab.app import svg
from flylab.evaluation.leaderboard import Entry, leaderboard_table
from flylab.models import list_models, model_title
from flylab.results.tables import html_table

SHUFFLED, PLAIN = "test accuracy, positions shuffled (%)", "test accuracy, plain (%)"


def table(entries: list[Entry]) -> str:
    """Return the leaderboard as HTML, the user's own models in bold."""
    board = leaderboard_table(entries)
    rows = [
        [Markup("<b>{}</b>").format(cell) for cell in row] if entry.own else row
        for entry, row in zip(entries, board.rows, strict=True)
    ]
    return html_table(board._replace(rows=rows))


def chart(entries: list[Entry]) -> str:
    """Plot plain accuracy against that with shuffled positions; on the dashed line, shuffling costs nothing.

    Names stand in a column to the right, in the order of their points, so that none covers another.
    """
    rows = [entry.row for entry in entries]
    about = "; ".join(f"{row['title']}: {row['plain']['mean']:.1f}, {row['shuffled']['mean']:.1f}" for row in rows)
    said = f"{PLAIN} against {SHUFFLED}. {about}"
    return svg.fitting(420, lambda wide: _chart(entries, said, (700, 430) if wide else (350, 400)))


def _bounds(row: dict[str, Any], on: str) -> tuple[float, float, float]:
    mean = row[on]["mean"]
    return mean, *(mean if row[on][end] is None else row[on][end] for end in ("low", "high"))


def _chart(entries: list[Entry], about: str, size: tuple[int, int]) -> str:
    inks = {model_title(name): svg.ink(name) for name in list_models()}
    longest = max(len(_short(entry.row["title"])) for entry in entries)
    left, top, column = 50, 10, min(7 * longest + 14, size[0] // 3)
    w, h = size[0] - left - column - 14, max(size[1] - top - 40, 15 * len(entries))
    points = [(entry, _bounds(entry.row, "shuffled"), _bounds(entry.row, "plain")) for entry in entries]
    low = math.floor(min(bounds[1] for _, *both in points for bounds in both)) - 2
    x_high, y_high = (math.ceil(max(point[i][2] for point in points)) + 2 for i in (1, 2))

    def px(value: float) -> float:
        return left + w * (value - low) / (x_high - low)

    def py(value: float) -> float:
        return top + h * (1 - (value - low) / (y_high - low))

    parts = []
    for value in svg.ticks(low, y_high):
        parts.append(svg.stroke((left, left + w), (py(value), py(value)), "currentColor", opacity=0.15))
        parts.append(svg.text(left - 6, py(value) + 4, f"{value:g}", anchor="end"))
    parts += [svg.text(px(value), top + h + 16, f"{value:g}", anchor="middle") for value in svg.ticks(low, x_high, 4)]
    parts += [svg.text(left + w / 2, top + h + 34, SHUFFLED, anchor="middle"), svg.upright(14, top + h / 2, PLAIN)]
    end, look = min(x_high, y_high), {"opacity": 0.5, "stroke_dasharray": "4 4"}
    parts.append(svg.stroke((px(low), px(end)), (py(low), py(end)), "currentColor", **look))
    points.sort(key=lambda point: -point[2][0])
    places = _apart([py(point[2][0]) for point in points], 15, top + h)
    for (entry, across, up), y in zip(points, places, strict=True):
        ink = "currentColor" if entry.own else inks.get(entry.row["title"], svg.CLASSES[-1])
        tooltip = f"{entry.row['title']}: {up[0]:.1f} plain, {across[0]:.1f} shuffled"
        parts.append(svg.stroke((px(across[0]), left + w + 4), (py(up[0]), y), ink, opacity=0.35))
        parts.append(svg.stroke((px(across[1]), px(across[2])), (py(up[0]), py(up[0])), ink))
        parts.append(svg.stroke((px(across[0]), px(across[0])), (py(up[1]), py(up[2])), ink))
        mark = {"cx": px(across[0]), "cy": py(up[0]), "r": 5, "fill": ink}
        parts.append(svg.element("circle", tooltip, **mark))
        more = 'font-weight="700"' if entry.own else ""
        parts.append(svg.text(left + w + 8, y + 4, _short(entry.row["title"]), more=more))
    return svg.picture(size[0], top + h + 42, about, parts, 1.25 * size[0])


def _short(title: str) -> str:
    return title if len(title) <= 20 else f"{title[:19]}…"


def _apart(wanted: Sequence[float], gap: float, end: float) -> list[float]:
    """Return places that are at least `gap` apart and not beyond `end`, near the wanted ones, which rise.

    >>> _apart([10, 12, 90], 15, 100)
    [10, 25, 90]
    """
    places = []
    for i, place in enumerate(wanted):
        places.append(max(place, places[-1] + gap) if i else place)
    for i in reversed(range(len(places))):
        most = places[i + 1] - gap if i + 1 < len(places) else end
        places[i] = min(places[i], most)
    return places
