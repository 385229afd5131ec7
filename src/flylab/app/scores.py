"""Pictures of a class's scoreboard: people beside networks."""

import functools
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from flylab.app import look, quiz, svg
from flylab.app.classroom import Player, Scoreboard
from flylab.models.registry import PUBLISHED
from flylab.results.tables import Table, html_table

INKS = [ink for ink in svg.CLASSES[:-1] if ink not in {svg.ink(model) for model in PUBLISHED}]  # of the first people
GREY = svg.CLASSES[-1]  # of all others


def ranked(board: Scoreboard, arrangement: str) -> list[tuple[Player, float, float, float]]:
    """Return the players with answers, and percent right with its 95 % interval, by its lower end, the best first."""
    done = [(player, *quiz.accuracy(sum(right), len(right)))
            for player in board.players if (right := player.right.get(arrangement))]  # fmt: skip
    return sorted(done, key=lambda row: (-row[2], row[0].name))


def drawn(board: Scoreboard, arrangement: str = "plain") -> str:
    """Show people and networks in one table, and accuracy against the number of answers."""
    return _drawn(board, arrangement, board.version)


@functools.lru_cache(maxsize=8)
def _drawn(board: Scoreboard, arrangement: str, version: int) -> str:
    """Draw the board once for all pages that look at it."""
    people = ranked(board, arrangement)
    inks = [*INKS, *[GREY] * len(people)][: len(people)]
    rows = [(low, ink, i, player.name, f"{len(player.right[arrangement])}", f"{share:.0f} ({low:.0f} … {high:.0f})")
            for i, ((player, share, low, high), ink) in enumerate(zip(people, inks, strict=True))]  # fmt: skip
    networks = quiz.networks_on(arrangement, [0])
    for (title, (_, on_all)), model in zip(networks.items(), PUBLISHED, strict=True):
        rows.append((on_all, svg.ink(model), -1, title, "all 1000", f"{on_all:.1f}"))
    cells = []
    for _, ink, i, name, n, share in sorted(rows, key=lambda row: -row[0]):
        title = Markup('<span class="flylab-swatch">{}</span>').format(Markup(svg.swatch(ink, 0 if i >= 0 else 1)))
        words = Markup("<b>{}</b>") if i >= 0 else Markup("<i>{}</i>")
        cells.append([title + words.format(Markup(look.text(name))), n, share])
    table = html_table(Table("", ("", "answers", "% right"), cells))
    said = "by the lower end of the 95 % interval, so that more answers make a score surer; networks in italics"
    if not people:
        said = "nobody yet: ten answers after a nickname, and you are here"
    return look.row(
        look.titled(f"Scoreboard, {arrangement}", f'<div class="flylab-scroll">{table}</div>', said),
        _curves([player for player, *_ in people], inks, arrangement),
    )


def _curves(people: Sequence[Player], inks: Sequence[str], arrangement: str) -> str:
    most = max([10, *(len(player.right[arrangement]) for player in people)])
    lines = []
    for player, ink in zip(people, inks, strict=True):
        right = np.asarray(player.right[arrangement])
        n = np.arange(1, len(right) + 1)
        shown = n if len(n) <= 60 else np.unique(np.linspace(1, len(n), 60).astype(int))
        share = (100 * np.cumsum(right) / n)[shown - 1].tolist()
        lines.append(svg.Line(player.name, shown.tolist(), share, share, share, ink))
    for (title, (_, on_all)), model in zip(quiz.networks_on(arrangement, [0]).items(), PUBLISHED, strict=True):
        lines.append(svg.Line(title, [1, most], *[[on_all, on_all]] * 3, ink=svg.ink(model), run=1))
    return svg.curves(lines, "answers", "% right", (1, most), (0, 100))


def standing(board: Scoreboard, player: Player | None, arrangement: str) -> str:
    """Say where a player stands, in one sentence."""
    people = ranked(board, arrangement)
    place = next((i for i, (one, *_) in enumerate(people, 1) if one is player), None)
    if player is None or place is None:
        return ""
    return f'<p class="flylab-verdict">{look.text(player.name)}: place {place} of {len(people)}.</p>'
