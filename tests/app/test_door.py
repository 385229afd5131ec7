"""Who gets through the app's door: its own pages with their secret, and nobody else."""

import asyncio

import pytest

from flylab.app.door import MOST_BYTES, Door

SECRET = "s3cret"
OWN = {"host": "127.0.0.1:8000"}
PAGE = b'<html><script>let a</script><script type="module" src="./a.js"></script><scripture></html>'


async def inner(scope, receive, send):
    """The app behind the door: a page, with headers that open it to everyone."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    headers = [(b"Content-Type", b"text/html; charset=utf-8"), (b"content-length", str(len(PAGE)).encode()),
               (b"Access-Control-Allow-Origin", b"*"), (b"Referrer-Policy", b"unsafe-url")]  # fmt: skip
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE[:9], "more_body": True})
    await send({"type": "http.response.body", "body": PAGE[9:]})


def answer(path=f"/{SECRET}/quiz/", kind="http", method="GET", headers=(), **more):
    """Return the messages that a request gets."""
    sent = []

    async def send(message):
        sent.append(message)

    pairs = [*(OWN | more).items(), *headers]
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in pairs if value is not None]
    scope = {"type": kind, "path": path, "method": method, "headers": raw}
    asyncio.run(Door(inner, SECRET)(scope, None, send))
    return sent


def status(**request):
    first = answer(**request)[0]
    return first["status"] if first["type"] == "http.response.start" else first["type"].removeprefix("websocket.")


ALLOWED = {
    "typed": {},
    "localhost": {"host": "localhost:9000"},
    "no port": {"host": "localhost"},
    "own fetch": {"method": "POST", "origin": "http://127.0.0.1:8000", "sec_fetch_site": "same-origin"},
    "a link elsewhere": {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    "a large body": {"method": "POST", "content_length": str(MOST_BYTES)},
}
REFUSED = {
    "another name": {"host": "evil.example"},
    "another name with a port": {"host": "evil.example:8000"},
    "a name within": {"host": "127.0.0.1.evil.example:8000"},
    "a name with an address as user": {"host": "127.0.0.1@evil.example"},
    "another address": {"host": "192.168.0.1:8000"},
    "all addresses": {"host": "0.0.0.0:8000"},
    "no host": {"host": None},
    "two hosts": {"headers": [("host", "evil.example")]},
    "another origin": {"origin": "https://evil.example"},
    "another port": {"origin": "http://127.0.0.1:9000"},
    "another scheme": {"origin": "https://127.0.0.1:8000"},
    "the other name of this machine": {"origin": "http://localhost:8000"},
    "a sandboxed frame or a file": {"origin": "null"},
    "an empty origin": {"origin": ""},
    "two origins": {"origin": "http://127.0.0.1:8000", "headers": [("origin", "https://evil.example")]},
    "a script tag elsewhere": {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
    "a page on another port": {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"},
    "a form elsewhere": {"method": "POST", "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    "no secret": {"path": "/"},
    "no secret before a page": {"path": "/quiz/"},
    "part of the secret": {"path": f"/{SECRET[:-1]}/quiz/"},
    "more than the secret": {"path": f"/{SECRET}x/quiz/"},
    "the secret elsewhere": {"path": f"/quiz/{SECRET}/"},
    "another alphabet": {"path": "/ſ3cret/quiz/"},
    "an empty path": {"path": ""},
}


@pytest.mark.parametrize("request_", ALLOWED.values(), ids=ALLOWED)
def test_own_requests_pass(request_):
    assert status(**request_) == 200
    assert status(kind="websocket", **request_ | {"sec_fetch_site": "same-origin"}) == "accept"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
def test_others_are_refused(request_, kind):
    sent = answer(kind=kind, **request_)
    assert status(kind=kind, **request_) == (403 if kind == "http" else "close")
    assert SECRET.encode() not in b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(("headers", "expected"), [
    ({"content_length": str(MOST_BYTES + 1)}, 413), ({"content_length": "9" * 30}, 413),
    ({"content_length": "0" * 30 + "9" * 10}, 413), ({"content_length": "-1"}, 413), ({"content_length": "1, 2"}, 413),
    ({"transfer_encoding": "chunked"}, 411), ({"transfer_encoding": "chunked", "content_length": "1"}, 411),
])  # fmt: skip
def test_bodies_are_limited(headers, expected):
    assert status(method="POST", **headers) == expected


def test_answers_open_nothing_and_allow_no_script_but_the_app_s():
    start, body = answer()
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert not [name for name in headers if name.startswith("access-control")]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"  # a page from the cache would have an old nonce
    assert headers["referrer-policy"] == "no-referrer"
    assert int(headers["content-length"]) == len(body["body"])
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    nonce = policy["script-src"].removeprefix("'self' 'nonce-").removesuffix("'")
    assert body["body"] == PAGE.replace(b"<script>", f'<script nonce="{nonce}">'.encode()).replace(
        b"<script type", f'<script nonce="{nonce}" type'.encode()
    )
    assert policy["frame-ancestors"] == policy["object-src"] == policy["form-action"] == "'none'"
    assert policy["connect-src"] == "'self' ws://127.0.0.1:8000"
    assert answer()[0]["headers"] != start["headers"]  # a nonce is used once


def test_the_app_finds_its_own_paths():
    """Redirects and links of the app contain the secret."""
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)

    asyncio.run(Door(app, SECRET)({"type": "http", "path": f"/{SECRET}/a", "method": "GET",
                                   "headers": [(b"host", b"localhost")]}, None, None))  # fmt: skip
    assert (seen["root_path"], seen["path"]) == (f"/{SECRET}", f"/{SECRET}/a")
