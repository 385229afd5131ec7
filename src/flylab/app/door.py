"""Who may talk to the app, and about what: a browser that has one of the app's secret addresses, and no website."""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flylab.app import front

MOST_BYTES = 2**20  # of a request's body, and of a message on a WebSocket
NAMES = ("127.0.0.1", "localhost")
_BODYLESS = "this app takes a request's body whole, with its length"
_SCRIPT = re.compile(rb"<script(?=[\s>])")
_LOCAL_FETCHES = ("same-origin", "none")  # "none": the person typed the address, or opened a bookmark


# what a page needs, by kind of request; marimo's other routes, such as those of its editor, are closed
_PATHS = {
    "GET": re.compile(
        r"/|/[a-z]+/?|(/[a-z]+)?/assets/[\w.~-]+|/[a-z]+/(@file/[\w.~-]+|[\w-]+\.(png|ico|json|js)|health)", re.ASCII
    ),
    "POST": re.compile(r"/[a-z]+/api/kernel/(set_ui_element_value|set_model_value|function_call)"),
    "websocket": re.compile(r"/[a-z]+/ws"),
}


class Door:
    """An ASGI app that lets requests pass to others, or refuses them.

    A request passes if its path begins with a secret, its host is this machine by name (another name that leads here is
    an attack by DNS), and it comes from no other website. There are no cookies: browsers would show them to every
    server on this machine, whatever its port. Answers allow other websites nothing, and no script but the app's own.

    Attributes:
        n_open: the number of open pages.

    Args:
        apps: the apps by their secrets, each the first part of its paths.
        names: the hosts that this machine answers to.
        most: the number of pages that may be open.
    """

    def __init__(self, apps: Mapping[str, Any], names: Sequence[str] = NAMES, most: int = 64) -> None:
        self._apps, self._names, self._most, self.n_open = dict(apps), names, most, 0

    async def __call__(self, scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer a request, or let the app answer it."""
        if scope["type"] == "lifespan":
            return await next(iter(self._apps.values()))(scope, receive, send)
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:  # a header given twice counts as both values, and so matches nothing
            key = name.decode("latin1")
            headers[key] = f"{headers[key]}, {value.decode('latin1')}" if key in headers else value.decode("latin1")
        if refusal := self._refusal(scope, headers):
            return await _refuse(scope, send, *refusal)
        nonce, secret = secrets.token_urlsafe(16), self._secret_of(scope["path"])
        inner = scope | {"root_path": scope.get("root_path", "") + f"/{secret}"}
        answer = _Answer(send, _policy(headers["host"], nonce), nonce.encode(), self._names == NAMES)
        if scope["type"] != "websocket":
            return await self._apps[secret](inner, receive, answer)
        self.n_open += 1
        try:
            await self._apps[secret](inner, receive, answer)
        finally:
            self.n_open -= 1

    def _secret_of(self, path: str) -> str:
        """Return the secret that a path begins with, or nothing; the time it takes tells nothing of the secrets."""
        given = f"{path}//".split("/")[1].encode(errors="replace")
        return "".join([secret for secret in self._apps if hmac.compare_digest(given, secret.encode())])

    def _refusal(self, scope: Any, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return the status and the reason, or None if the request may pass."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not re.fullmatch(rf"({'|'.join(map(re.escape, self._names))})(:\d{{1,5}})?", host):
            return 403, f"this app answers to {' and '.join(self._names)} only"
        if origin is not None and origin != f"http://{host}":
            return 403, "this app answers to its own pages only"
        is_visit = scope.get("method") == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in _LOCAL_FETCHES and not is_visit:
            return 403, "this app answers to its own pages only"
        if not (secret := self._secret_of(scope["path"])):
            return 403, "open the address that flylab app has printed; it is another one each time the app is started"
        kind = "websocket" if scope["type"] == "websocket" else scope["method"]
        path = scope["path"].removeprefix(f"/{secret}") or "/"
        if kind not in _PATHS or not _PATHS[kind].fullmatch(path) or ".." in path:
            return 404, "there is nothing here"
        if self.n_open >= self._most and (kind == "websocket" or path.count("/") < 3):
            return 503, f"{self._most} pages are open already; close some, or try again later"
        if "transfer-encoding" in headers:
            return 411, _BODYLESS
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 20 or int(length) > MOST_BYTES:
            return 413, f"the longest request has {MOST_BYTES} bytes"
        return None


class _Answer:
    """Sends an answer of the app with the headers that protect it."""

    def __init__(self, send: Callable[..., Any], policy: str, nonce: bytes, is_local: bool) -> None:
        self._send, self._nonce = send, nonce
        headers = {
            "content-security-policy": policy, "x-content-type-options": "nosniff", "x-frame-options": "DENY",
            "cross-origin-resource-policy": "same-origin", "referrer-policy": "no-referrer",
        }  # fmt: skip
        if is_local:  # browsers ignore it without TLS, elsewhere than on their own machine
            headers["cross-origin-opener-policy"] = "same-origin"
        self._protection = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._begun: dict[str, Any] | None = None  # of a page, held back until its length is known
        self._page = b""

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            kept = [header for header in message["headers"] if not _is_dropped(header[0].lower(), self._protection)]
            message = message | {"headers": [*kept, *self._protection]}
            if any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in kept):
                self._begun = message
                return
        elif message["type"] == "http.response.body" and self._begun is not None:
            self._page += message.get("body", b"")
            if message.get("more_body"):
                return
            page = _SCRIPT.sub(b'<script nonce="' + self._nonce + b'"', front.prepared(self._page))
            # a page from the browser's cache would have an old nonce
            replaced = {b"content-length": str(len(page)).encode(), b"cache-control": b"no-store"}
            headers = [(name, value) for name, value in self._begun["headers"] if name.lower() not in replaced]
            await self._send(self._begun | {"headers": [*headers, *replaced.items()]})
            message = message | {"body": page}
        await self._send(message)


def _is_dropped(name: bytes, protection: list[tuple[bytes, bytes]]) -> bool:
    """Return whether the app must not send a header: it is set here, or would open the app to other websites."""
    return name in dict(protection) or name.startswith(b"access-control-")


def _policy(host: str, nonce: str) -> str:
    """Return the Content-Security-Policy: everything from this server, scripts only by nonce or as its files."""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'nonce-{nonce}'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' ws://{host}",
            "worker-src 'self' blob:",
            "object-src 'none'", "base-uri 'self'", "form-action 'none'", "frame-src 'none'", "frame-ancestors 'none'",
        )
    )  # fmt: skip


async def _refuse(scope: Any, send: Callable[..., Any], status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    content = f"flylab: {reason}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(content)).encode()),
               (b"connection", b"close")]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
