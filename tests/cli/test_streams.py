"""Standard output that lacks characters, that nobody reads, or that is full."""

import ast
import io
import os
import sys
from pathlib import Path

import pytest

import flylab.cli
from flylab.cli import streams
from flylab.cli.terminal import print_json, say


@pytest.fixture(autouse=True)
def _streams():
    before = sys.stdout, sys.stderr
    yield
    sys.stdout, sys.stderr = before


def written(encoding, text, tmp_path, monkeypatch):
    """The bytes of text that is printed to a file of an encoding."""
    path = tmp_path / "out"
    with path.open("w", encoding=encoding) as file:
        monkeypatch.setattr(sys, "stdout", file)
        streams.install()
        print(text)
        assert streams.finish(0) == 0
    return path.read_bytes().decode(encoding).rstrip("\r\n")


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", r"region >= 25 ... 30 +/- 1 \xb5 \u1234 \udcff"),
        ("cp1252", "region >= 25 … 30 ± 1 µ \\u1234 \\udcff"),
        ("utf-8", "region ≥ 25 … 30 ± 1 µ \u1234 \\udcff"),
    ],
)
def test_what_an_encoding_lacks_is_degraded(encoding, expected, tmp_path, monkeypatch):
    assert written(encoding, "region ≥ 25 … 30 ± 1 µ \u1234 \udcff", tmp_path, monkeypatch) == expected


def test_nobody_need_read(monkeypatch):
    reader, writer = os.pipe()
    stream = io.TextIOWrapper(os.fdopen(writer, "wb"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    streams.install()
    os.close(reader)
    for _ in range(3):
        print("x" * 100_000, flush=True)
    assert streams.finish(0) == 0
    stream.close()


def test_a_closed_output_is_none(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    streams.install()
    print("nothing")
    assert streams.finish(0) == 0
    sys.stdout.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
@pytest.mark.parametrize(("code", "lines"), [(0, 1), (2, 0)])
def test_a_full_output_is_one_line(code, lines, monkeypatch, capfd):
    with open("/dev/full", "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        streams.install()
        print("lost")
        assert streams.finish(code) == 2
        sys.stdout.close()
    assert capfd.readouterr().err.count("flylab: the output cannot be written") == lines


def test_escape_sequences_are_shown_and_not_obeyed(capsys):
    say("runs/\x1b]0;title\x07\x1b[2J\x9b31m\nnext")
    print_json({"name": "\x1b[31m\x9b31m ≥"})
    said = capsys.readouterr().out
    assert r"runs/\x1b]0;title\x07\x1b[2J\x9b31m\nnext" in said
    assert r"\u001b[31m\u009b31m \u2265" in said
    assert said.replace("\n", "").isprintable()


def test_commands_print_through_say_only():
    for path in Path(flylab.cli.__file__).parent.glob("*.py"):
        names = [node.func.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]  # fmt: skip
        assert path.name == "terminal.py" or "print" not in names, path.name
