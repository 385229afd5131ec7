"""Who gets through the app's door, and to what: its own pages with their secrets, and nobody else."""

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


def answer(path=None, kind="http", method="GET", headers=(), door=None, **more):
    """Return the messages that a request gets."""
    sent = []
    if path is None:
        path = {"GET": "quiz/", "POST": "quiz/api/kernel/set_model_value"}[method] if kind == "http" else "quiz/ws"
        path = f"/{SECRET}/{path}"

    async def send(message):
        sent.append(message)

    pairs = [*(OWN | more).items(), *headers]
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in pairs if value is not None]
    scope = {"type": kind, "path": path, "method": method, "headers": raw}
    asyncio.run((door or Door({SECRET: inner}))(scope, None, send))
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

    asyncio.run(Door({SECRET: app})({"type": "http", "path": f"/{SECRET}/a", "method": "GET",
                                   "headers": [(b"host", b"localhost")]}, None, None))  # fmt: skip
    assert (seen["root_path"], seen["path"]) == (f"/{SECRET}", f"/{SECRET}/a")


CLASS = {"host": "192.168.1.5:8000"}


def class_door(most=2):
    return Door({"student": inner, "teacher": inner}, ("192.168.1.5",), most)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("request_", [
    {}, {"host": "127.0.0.1:8000"}, {"host": "localhost:8000"}, {"host": "192.168.1.50:8000"},
    {"host": "school.example"},
    CLASS | {"origin": "http://127.0.0.1:8000"}, CLASS | {"origin": "http://192.168.1.5"}, CLASS | {"origin": "null"},
    CLASS | {"path": "/quiz/"}, CLASS | {"path": "/studen/quiz/"}, CLASS | {"path": "/Student/quiz/"},
    CLASS | {"path": "/studentteacher/quiz/"}, CLASS | {"path": "/student%2Fquiz/"},
    CLASS | {"path": "//student/quiz/"},
])  # fmt: skip
def test_a_class_is_no_wider_open(request_, kind):
    request = {"path": "/student/quiz/" if kind == "http" else "/student/quiz/ws"} | request_
    assert status(kind=kind, door=class_door(), **request) == (403 if kind == "http" else "close")


def test_a_class_has_a_secret_for_its_teacher_too():
    for path in ("/student/quiz/", "/teacher/class/", "/teacher/"):
        start = answer(path=path, door=class_door(), **CLASS)[0]
        assert start["status"] == 200
        assert b"cross-origin-opener-policy" not in dict(start["headers"])  # browsers would complain: it needs TLS


OTHER_PATHS = [
    ("GET", "/quiz/api/kernel/set_model_value"), ("GET", "/quiz/api/status/connections"), ("GET", "/quiz/sse"),
    ("GET", "/quiz/public/../quiz.py"), ("GET", "/quiz/assets/../../../quiz.py"), ("GET", "/quiz/quiz.py"),
    ("GET", "/quiz/@file/9-..//etc/passwd"), ("GET", "/quiz/assets/x\ny"), ("GET", "/quiz/public/quiz.csv"),
    ("GET", "/quiz/auth/login"),
    ("GET", "/api/files/download"), ("GET", "/quiz//"), ("GET", "/../quiz/"), ("POST", "/quiz/"),
    ("POST", "/quiz/api/kernel/run"), ("POST", "/quiz/api/kernel/read_code"), ("POST", "/quiz/api/kernel/instantiate"),
    ("POST", "/quiz/api/kernel/set_model_value/../run"), ("POST", "/quiz/api/home/workspace_files"),
    ("POST", "/quiz/api/export/html"), ("POST", "/quiz/api/files/update"), ("POST", "/quiz/api/ai/chat"),
    ("POST", "/quiz/api/kernel/shutdown"), ("HEAD", "/quiz/"), ("OPTIONS", "/quiz/"), ("DELETE", "/quiz/"),
    ("websocket", "/quiz/terminal/ws"), ("websocket", "/quiz/ws_sync"), ("websocket", "/quiz/lsp/pylsp"),
    ("websocket", "/quiz/"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), OTHER_PATHS)
def test_only_what_a_page_needs_is_open(method, path):
    """marimo closes its editor in run mode, too; this holds whatever marimo does."""
    request = {"kind": "websocket"} if method == "websocket" else {"method": method}
    assert status(path=f"/{SECRET}{path}", **request) == ("close" if method == "websocket" else 404)


def test_so_many_pages_and_no_more():
    async def visit():
        ends, sent, door = asyncio.Event(), [], None

        async def page(scope, receive, send):
            await send({"type": "websocket.accept"})
            await ends.wait()

        door = Door({SECRET: page}, most=2)
        scope = {"type": "websocket", "path": f"/{SECRET}/quiz/ws", "headers": [(b"host", b"localhost")]}

        async def send(message):
            sent.append(message["type"])

        pages = [asyncio.create_task(door(scope, None, send)) for _ in range(2)]
        await asyncio.sleep(0)
        assert door.n_open == 2
        await door(scope, None, send)
        refused = sent[-1]
        ends.set()
        await asyncio.gather(*pages)
        return refused, door.n_open

    assert asyncio.run(visit()) == ("websocket.close", 0)
