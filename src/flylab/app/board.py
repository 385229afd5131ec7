"""The leaderboard's table and chart."""

import math
from typing import Any

from markupsafe import Markup

from flylab.app import look, svg
from flylab.base.optional import need
from flylab.evaluation.leaderboard import Entry, leaderboard_table
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


def chart(entries: list[Entry]) -> Any:
    """Draw plain accuracy against that with shuffled positions; on the dashed line, shuffling costs nothing.

    Raises:
        MissingExtraError: without altair.
    """
    alt = need("altair", "app", "interactive charts")
    values = []
    for entry in entries:
        row = entry.row
        bounds = {
            f"{on}_{end}": row[on]["mean"] if row[on][end] is None else row[on][end]
            for on in ("plain", "shuffled")
            for end in ("low", "high")
        }
        values.append(
            {"model": row["title"], "plain": row["plain"]["mean"], "shuffled": row["shuffled"]["mean"], **bounds,
             "score": (row["score"] or {}).get("mean"), "whose": "your own" if entry.own else "flylab's models"}
        )  # fmt: skip
    low = math.floor(min(value[f"{on}_low"] for value in values for on in ("plain", "shuffled"))) - 2
    top, right = (math.ceil(max(value[f"{on}_high"] for value in values)) + 2 for on in ("plain", "shuffled"))
    # as in the figure of `evaluate`, with room for names to the right
    scale_x, scale_y = alt.Scale(domain=[low, right + 0.5 * (right - low)]), alt.Scale(domain=[low, top])
    words = alt.Axis(titleFontSize=13, labelFontSize=12)
    until = alt.Axis(titleFontSize=13, labelFontSize=12, values=list(range(0, right + 1, 10)))
    across = alt.X("shuffled:Q", title=SHUFFLED, scale=scale_x, axis=until)
    up = alt.Y("plain:Q", title=PLAIN, scale=scale_y, axis=words)
    whose = ["flylab's models", "your own"]
    ink = alt.Color("whose:N", title="", scale=alt.Scale(domain=whose, range=list(svg.CLASSES[:2])),
                    legend=alt.Legend(orient="bottom", labelFontSize=12))  # fmt: skip
    base = alt.Chart(alt.Data(values=values))
    rule = base.mark_rule()
    bars = [
        rule.encode(across, alt.Y("plain_low:Q", title=PLAIN), alt.Y2("plain_high:Q"), ink),
        rule.encode(alt.X("shuffled_low:Q", title=SHUFFLED), alt.X2("shuffled_high:Q"), up, ink),
    ]
    dots = base.mark_point(size=80, filled=True, opacity=1).encode(
        across, up, ink, alt.Shape("whose:N", title="", scale=alt.Scale(domain=whose, range=["circle", "diamond"])),
        tooltip=["model:N", *(alt.Tooltip(f"{name}:Q", format=".2f") for name in ("plain", "shuffled", "score"))],
    )  # fmt: skip
    line = alt.Chart(alt.Data(values=[{"at": end} for end in (low, min(right, top))])).mark_line(
        color="gray", strokeDash=[4, 4]
    )
    nothing = line.encode(alt.X("at:Q", title=SHUFFLED, scale=scale_x), alt.Y("at:Q", title=PLAIN, scale=scale_y))
    names = base.mark_text(align="left", dx=8, fontSize=12, color="gray").encode(across, up, text="model:N")
    return alt.layer(nothing, *bars, dots, names).properties(width="container", height=420, usermeta=look.CHART)
