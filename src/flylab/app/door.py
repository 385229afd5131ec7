"""Who may talk to the app: a browser on this machine that has the app's secret address, and no other website."""

import hmac
import re
import secrets
from collections.abc import Callable
from typing import Any

MOST_BYTES = 2**20  # of a request's body, and of a message on a WebSocket
NAMES = ("127.0.0.1", "localhost")
_BODYLESS = "this app takes a request's body whole, with its length"
_SCRIPT = re.compile(rb"<script(?=[\s>])")
_LOCAL_FETCHES = ("same-origin", "none")  # "none": the person typed the address, or opened a bookmark


class Door:
    """An ASGI app that lets requests pass to another one, or refuses them.

    A request passes if its path begins with the secret, its host is this machine by name (another name that leads here
    is an attack by DNS), and it comes from no other website. There are no cookies: browsers would show them to every
    server on this machine, whatever its port. Answers allow other websites nothing, and no script but the app's own.

    Args:
        app: the app.
        secret: the first part of every path.
    """

    def __init__(self, app: Any, secret: str) -> None:
        self._app, self._secret = app, secret

    async def __call__(self, scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer a request, or let the app answer it."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:  # a header given twice counts as both values, and so matches nothing
            key = name.decode("latin1")
            headers[key] = f"{headers[key]}, {value.decode('latin1')}" if key in headers else value.decode("latin1")
        if refusal := self._refusal(scope, headers):
            return await _refuse(scope, send, *refusal)
        nonce = secrets.token_urlsafe(16)
        inner = scope | {"root_path": scope.get("root_path", "") + f"/{self._secret}"}
        await self._app(inner, receive, _Answer(send, _policy(headers["host"], nonce), nonce.encode()))

    def _refusal(self, scope: Any, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return the status and the reason, or None if the request may pass."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not re.fullmatch(rf"({'|'.join(map(re.escape, NAMES))})(:\d{{1,5}})?", host):
            return 403, "this app answers to 127.0.0.1 and localhost only"
        if origin is not None and origin != f"http://{host}":
            return 403, "this app answers to its own pages only"
        is_visit = scope.get("method") == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in _LOCAL_FETCHES and not is_visit:
            return 403, "this app answers to its own pages only"
        given = f"{scope['path']}//".split("/")[1]
        if not hmac.compare_digest(given.encode(errors="replace"), self._secret.encode()):
            return 403, "open the address that flylab app has printed; it is another one each time the app is started"
        if "transfer-encoding" in headers:
            return 411, _BODYLESS
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 20 or int(length) > MOST_BYTES:
            return 413, f"the longest request has {MOST_BYTES} bytes"
        return None


class _Answer:
    """Sends an answer of the app with the headers that protect it."""

    def __init__(self, send: Callable[..., Any], policy: str, nonce: bytes) -> None:
        self._send, self._nonce = send, nonce
        self._protection = [
            (name.encode(), value.encode())
            for name, value in {
                "content-security-policy": policy, "x-content-type-options": "nosniff", "x-frame-options": "DENY",
                "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin",
                "referrer-policy": "no-referrer",
            }.items()
        ]  # fmt: skip
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
            page = _SCRIPT.sub(b'<script nonce="' + self._nonce + b'"', self._page)
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
