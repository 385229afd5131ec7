"""The leaderboard's table and chart."""

from typing import Any

from markupsafe import Markup

from flylab.app import look, svg
from flylab.base.optional import need
from flylab.evaluation.leaderboard import Entry, leaderboard_table
from flylab.results.tables import html_table


def table(entries: list[Entry]) -> str:
    """Return the leaderboard as HTML, the user's own models in bold."""
    board = leaderboard_table(entries)
    rows = [
        [Markup("<b>{}</b>").format(cell) for cell in row] if entry.own else row
        for entry, row in zip(entries, board.rows, strict=True)
    ]
    return html_table(board._replace(rows=rows))


def chart(entries: list[Entry]) -> Any:
    """Draw accuracy with shuffled positions against accuracy on plain data; show names and numbers on hovering.

    Raises:
        MissingExtraError: without altair.
    """
    alt = need("altair", "app", "interactive charts")
    values = [
        {"model": entry.row["title"], "plain": entry.row["plain"]["mean"], "shuffled": entry.row["shuffled"]["mean"],
         "score": (entry.row["score"] or {}).get("mean"), "whose": "your own" if entry.own else "flylab's models"}
        for entry in entries
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
    return (dots + names).properties(width="container", height=360, usermeta=look.CHART)
