"""A class that shares the app: its token, the nicknames and the scoreboard, and where the app listens."""

import re
import string

import pytest

from flylab.app import classroom, quiz, scores, server
from flylab.cli.main import main


@pytest.fixture
def room():
    return classroom.Classroom("http://192.168.1.5:8000/abcde-fghjk/", None)


def sat(n_right, n=10, arrangement="plain", **more):
    """Return a sitting with so many right answers."""
    sitting = quiz.Sitting.begun(n, arrangement, seed=0, **more)
    for i, truth in enumerate(sitting.truth):
        sitting = sitting.answered(truth if i < n_right else (truth + 1) % 10)
    return sitting


def test_a_token_can_be_typed_and_not_guessed():
    tokens = {classroom.token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[a-z2-9]{5}-[a-z2-9]{5}", token) for token in tokens)
    assert not set("il01o") & set("".join(tokens))


def test_the_link_as_a_qr_code(room):
    said = room.invitation()
    assert said.startswith(f"Students open {room.link}\n")
    widths = {len(line) for line in said.splitlines()[2:]}
    assert len(widths) == 1
    assert widths.pop() <= 60
    assert room.picture().startswith("<svg")
    assert "\x1b[97;40m" in room.invitation(in_colour=True)


@pytest.mark.parametrize(
    ("words", "name"),
    [("Ada", "Ada"), ("  Ada\t L. ", "Ada L."), ("Zoë", "Zoë"), ("Zoe\u0308", "Zoë"), ("李 雷", "李 雷"),
     ("x" * 20, "x" * 20), ("हिन्दी", "हिन्दी"), ("O'Neil-2_b", "O'Neil-2_b")],
)  # fmt: skip
def test_nicknames(words, name):
    assert classroom.nickname(words) == name


@pytest.mark.parametrize(
    "words",
    ["", "   ", "x" * 21, "x" * 10**6, "<b>", "a&b", 'a"b', "a\x00b", "\u202eadA", "a\u200bb", "e" + "\u0301" * 9,
     "\u0489", "[x](y)", "`a`", "a\ud800", "😀", "$x$", "../a", "a/b", "\N{RIGHT-TO-LEFT MARK}"],
)  # fmt: skip
def test_nicknames_that_are_refused(words):
    with pytest.raises(ValueError, match=r"nickname=.* must be 1 to 20 letters"):
        classroom.nickname(words)


def test_who_is_on_the_scoreboard(room):
    board = room.board
    ada, bob = board.join("Ada"), board.join("Bob")
    assert board.found(ada.key) is ada
    assert board.found("") is None
    with pytest.raises(ValueError, match="ADA is taken"):
        board.join("ADA")
    board.record(ada, sat(9))
    board.record(bob, sat(10))
    board.record(bob, sat(10, is_practice=True))
    board.record(bob, quiz.Sitting.begun(10, "plain").answered(3))
    board.record(ada, sat(49, 50))  # more answers make a score surer
    assert [(player.name, len(player.right["plain"])) for player, *_ in scores.ranked(board, "plain")] == [
        ("Ada", 60), ("Bob", 10),
    ]  # fmt: skip
    board.remove("Ada")
    assert board.found(ada.key) is None
    board.join("ada")
    board.clear()
    assert board.players == []


def test_the_board_is_bounded(room, monkeypatch):
    monkeypatch.setattr(classroom, "MOST_PLAYERS", 1)
    monkeypatch.setattr(classroom, "MOST_ANSWERS", 15)
    ada = room.board.join("Ada")
    with pytest.raises(ValueError, match="1 people already"):
        room.board.join("Bob")
    for _ in range(2):
        room.board.record(ada, sat(5))
    assert len(ada.right["plain"]) == 15


def test_people_stand_between_the_networks(room):
    assert "nobody yet" in scores.drawn(room.board)
    player = room.board.join("O'Neil")
    room.board.record(player, sat(8, 10))
    shown = scores.drawn(room.board)
    order = re.findall(r"<(?:b|i)>([^<]+)</", shown)
    assert order == ["CNN", "GRU", "MLP", "O&#x27;Neil", "logistic regression"]
    assert "O&#x27;Neil: 80.0 at 10" in shown
    assert scores.standing(room.board, player, "plain") == '<p class="flylab-verdict">O&#x27;Neil: place 1 of 1.</p>'
    assert scores.standing(room.board, player, "shuffled") == scores.standing(room.board, None, "plain") == ""
    assert scores.drawn(room.board) is shown  # drawn once for all pages
    assert player.key not in shown


@pytest.mark.parametrize(
    ("host", "message"),
    [("192.168.1.5", "without --class, it listens on 127.0.0.1 only.*flylab app --host 192.168.1.5 --class"),
     ("0.0.0.0", "must be one address"), ("224.0.0.1", "must be one address"),
     *((host, "must be an IPv4 address") for host in ("::1", "school.example", "127.0.0.1:80", ""))],
)  # fmt: skip
def test_others_reach_the_app_only_in_a_class(host, message, capsys):
    assert main(["app", "--host", host, "--no-browser"]) == 2
    assert re.search(message, capsys.readouterr().err)
    if "--class" not in message:
        assert main(["app", "--host", host, "--class", "--no-browser"]) == 2


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(OSError, match="is no address of this machine"):
        server._listen("198.51.100.7", 0)


def test_letters_of_tokens():
    assert set(classroom.LETTERS) < set(string.ascii_lowercase + string.digits)
    assert len(set(classroom.LETTERS)) == len(classroom.LETTERS) == 31
