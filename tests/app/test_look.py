"""Text from elsewhere becomes markup at one place; the browser learns the app's address from a private file."""

import stat
import threading
import webbrowser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import marimo
from hypothesis import example, given
from hypothesis import strategies as st

from flylab.app import look, server, svg

MARKUP = "<img src=x onerror=alert(1)>"


class Found(HTMLParser):
    """The tags in some markup, and its text."""

    def __init__(self, markup):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *attrs))

    def handle_data(self, data):
        self.text += data


@given(st.text())
@example(MARKUP)
@example("&lt;b&gt;'\"><!--")
@example("`\n```\n[x](javascript:alert(1)) **b** _i_ $x$ ![a](b)")
def test_words_have_no_markup(words):
    shown = Found(f"<i>{look.text(words)}</i>")
    assert shown.tags == [("i",)]
    assert all(c.isprintable() or c in "\n\t" for c in shown.text)
    assert Found(look.code(words)).tags == [("pre", ("class", "flylab-code")), ("code",)]
    assert [tag for tag, *_ in Found(look.titled(words, "", words)).tags] in (["div", "p"], [])
    assert [tag for tag, *_ in Found(svg.element("rect", fill=words, tooltip=words)).tags] in (
        ["rect", "title"],
        ["rect"],
    )


@given(st.text())
@example(MARKUP)
@example("[x](javascript:alert(1)) **b** _i_ `c` $x$ ![a](b) https://example.org ::icon:: # h\n- l")
@example("1. a")
def test_labels_have_neither_markup_nor_markdown(words):
    shown = Found(marimo.md(f"a {look.label(words)}").text)
    assert {tag for tag, *_ in shown.tags} <= {"span"}


def test_plain_words_stay_as_they_are():
    assert look.text("größer than 3 %\n") == "größer than 3 %\n"
    assert Found(look.label("iid_noise_scale")).text == "iid_noise_scale"
    assert look.text("a\x1b[31m") == r"a\x1b[31m"


def test_the_browser_is_given_a_private_file(tmp_path, monkeypatch):
    opened = threading.Event()
    seen = []

    def open_(address):
        path = Path(unquote(urlsplit(address).path))
        seen.append((address, path, stat.S_IMODE(path.stat().st_mode), path.read_text()))
        opened.set()

    monkeypatch.setattr(webbrowser, "open", open_)
    monkeypatch.setattr(server, "PATIENCE", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with server._opening("http://127.0.0.1:1/s3cret/"):
        assert opened.wait(10)
    ((address, path, mode, page),) = seen
    assert "s3cret" not in address
    assert Found(page).tags == [("meta", ("http-equiv", "refresh"), ("content", "0; url=http://127.0.0.1:1/s3cret/"))]
    assert mode == 0o600
    assert not path.exists()
