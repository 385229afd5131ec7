"""A class that shares the app: its link with a token and a QR code, and the scoreboard of its quiz.

The scoreboard is in memory only, and gone with the process.
"""

import functools
import io
import secrets
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from flylab.app import quiz
from flylab.base.constraints import refusal
from flylab.base.optional import need

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # of tokens: none looks like another
LONGEST_NAME = 20  # letters of a nickname
MOST_PLAYERS = 200
MOST_ANSWERS = 5000  # of one player that count


def token() -> str:
    """Return a new token of ten letters and digits, 49 bits, which students can type."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(2))


def nickname(words: str) -> str:
    """Return a nickname as it is shown: without spaces at its ends or several in a row.

    Raises:
        ValueError: unless it consists of one to 20 letters, digits, spaces and `- _ . '`, whose accents do not pile up.

    >>> nickname("  Ada   L. ")
    'Ada L.'
    """
    name = " ".join(unicodedata.normalize("NFC", words[: 10 * LONGEST_NAME]).split())
    kinds = "".join("M" if unicodedata.category(c)[0] == "M" else "L" for c in name)
    is_allowed = all(unicodedata.category(c)[0] in "LNM" or c in " -_.'" for c in name)
    if not 1 <= len(name) <= LONGEST_NAME or not is_allowed or kinds[0] == "M" or "MMM" in kinds:
        raise refusal("nickname", words, f"1 to {LONGEST_NAME} letters, digits, spaces and - _ . '")
    return name


@dataclass
class Player:
    """A person on the scoreboard.

    Attributes:
        name: the nickname.
        key: what the person's browser shows to be recognised; nobody else is told.
        right: whether each answer was right, in their order, by arrangement.
    """

    name: str
    key: str
    right: dict[str, tuple[bool, ...]] = field(default_factory=dict)


class Scoreboard:
    """Who reads how many examples correctly; for all pages, in memory only."""

    def __init__(self) -> None:
        self._players: dict[str, Player] = {}  # by key
        self._lock = threading.Lock()
        self.version = 0  # changes with what the board shows

    @property
    def players(self) -> list[Player]:
        """All players, in the order in which they came."""
        return list(self._players.values())

    def join(self, words: str) -> Player:
        """Return a new player.

        Raises:
            ValueError: if the nickname is not allowed, is taken (whatever its capitals), or the board is full.
        """
        name = nickname(words)
        with self._lock:
            if name.casefold() in {player.name.casefold() for player in self.players}:
                raise ValueError(f"{name} is taken; choose another nickname")
            if len(self._players) >= MOST_PLAYERS:
                raise ValueError(f"the scoreboard has {MOST_PLAYERS} people already")
            player = Player(name, secrets.token_urlsafe(16))
            self._players[player.key] = player
            self.version += 1
        return player

    def found(self, key: str) -> Player | None:
        """Return the player with a key."""
        return self._players.get(key)

    def record(self, player: Player, sitting: quiz.Sitting) -> None:
        """Add the answers of a sitting that is over; practice, and players who were removed, do not count."""
        if not sitting.is_over or sitting.is_practice:
            return
        right = tuple(answer == truth for answer, truth in zip(sitting.answers, sitting.truth, strict=True))
        with self._lock:
            before = player.right.get(sitting.arrangement, ())
            player.right[sitting.arrangement] = (*before, *right)[:MOST_ANSWERS]
            self.version += 1

    def remove(self, name: str) -> None:
        """Remove a player, whose nickname is free again."""
        with self._lock:
            self._players = {key: player for key, player in self._players.items() if player.name != name}
            self.version += 1

    def clear(self) -> None:
        """Remove all players."""
        with self._lock:
            self._players = {}
            self.version += 1


class Classroom:
    """A class that shares the app.

    Attributes:
        link: the address that students open, with the token.
        door: counts the open pages.
        board: the scoreboard of the quiz.
    """

    def __init__(self, link: str, door: Any) -> None:
        self.link, self.door, self.board = link, door, Scoreboard()

    @functools.cached_property
    def _code(self) -> Any:
        return need("segno", "app", "QR codes").make(self.link, error="m", micro=False)

    def picture(self) -> str:
        """Return the link's QR code as SVG, dark on white whatever the page's colours are."""
        return self._code.svg_inline(scale=8, border=4, dark="#000", light="#fff", omitsize=True)

    def invitation(self, in_colour: bool = False) -> str:
        """Return what a terminal shows: the link and its QR code, `in_colour` light on black."""
        text = io.StringIO()
        self._code.terminal(text, border=2, compact=True)
        lines = text.getvalue().splitlines()
        drawn = "\n".join(f"\x1b[97;40m{line}\x1b[0m" for line in lines) if in_colour else "\n".join(lines)
        return f"Students open {self.link}\n\n{drawn}\n"


_open: list[Classroom] = []


def open_class(link: str, door: Any) -> Classroom:
    """Begin a class in this process, and return it."""
    _open[:] = [Classroom(link, door)]
    return _open[0]


def now() -> Classroom | None:
    """Return the class of this process, if it has one."""
    return _open[0] if _open else None
