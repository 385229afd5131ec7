"""The leaderboard's table and chart."""

import html
from typing import Any

from flylab.app import look, svg
from flylab.base.optional import need
from flylab.evaluation.leaderboard import Entry, leaderboard_table


def table(found: list[Entry]) -> str:
    """The leaderboard; the user's own models in bold."""
    text = leaderboard_table(found)
    rows = [[html.escape(cell) for cell in row] for row in text.rows]
    rows = [[f"<b>{cell}</b>" for cell in row] if entry.own else row for entry, row in zip(found, rows, strict=True)]
    return f'<p class="flylab-muted">{html.escape(text.title)}</p>' + look.table(list(text.columns), rows)


def chart(found: list[Entry]) -> Any:
    """Accuracy with shuffled positions against that on plain data; names and numbers on hovering.

    Raises:
        MissingExtraError: without altair.
    """
    alt = need("altair", "app", "interactive charts")
    values = [
        {"model": entry.row["title"], "plain": entry.row["plain"]["mean"], "shuffled": entry.row["shuffled"]["mean"],
         "score": (entry.row["score"] or {}).get("mean"), "whose": "your own" if entry.own else "flylab's models"}
        for entry in found
    ]  # fmt: skip
    scale = alt.Scale(zero=False, padding=12)
    base = alt.Chart(alt.Data(values=values)).encode(
        alt.X("plain:Q", title="test accuracy, plain (%)", scale=scale),
        alt.Y("shuffled:Q", title="test accuracy, positions shuffled (%)", scale=scale),
    )
    whose = {"domain": ["flylab's models", "your own"], "range": [svg.PALETTE[0], svg.PALETTE[1]]}
    dots = base.mark_point(size=90, filled=True).encode(
        alt.Color("whose:N", title="", scale=alt.Scale(**whose), legend=alt.Legend(orient="bottom")),
        alt.Shape("whose:N", title="", scale=alt.Scale(domain=whose["domain"], range=["circle", "diamond"])),
        tooltip=["model:N", *(alt.Tooltip(f"{name}:Q", format=".2f") for name in ("plain", "shuffled", "score"))],
    )
    names = base.mark_text(align="left", dx=8, fontSize=11, color="gray").encode(text="model:N")
    return (dots + names).properties(width="container", height=360)
