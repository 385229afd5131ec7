"""marimo's front end, faster: a page is painted before its 250 files are read, and all pages have the same files."""

import asyncio
import gzip
import json
import re
from typing import Any

_PRELOADS = re.compile(rb'<link rel="modulepreload" crossorigin href="([\w./~-]+)" ?/?>\s*')
_ENTRY = re.compile(rb'<script type="module" crossorigin src="([\w./~-]+)"></script>')
# a frame later, or soon where nobody looks at the page
_LOADER = """<script>
(() => {
  let begun = false;
  const add = (name, about) => {
    document.head.append(Object.assign(document.createElement(name), about, { crossOrigin: "" }));
  };
  const begin = () => {
    if (begun) return;
    begun = true;
    for (const href of PRELOADS) add("link", { rel: "modulepreload", href });
    add("script", { type: "module", src: ENTRY });
  };
  requestAnimationFrame(() => setTimeout(begin));
  setTimeout(begin, 300);
})();
</script>"""
_COMPRESSIBLE = ("text/", "application/javascript", "application/json", "application/wasm", "image/svg")


def prepared(page: bytes) -> bytes:
    """Return marimo's page with files from `../assets`, which are read once the skeleton is painted."""
    page = page.replace(b'"./assets/', b'"../assets/')
    entry = _ENTRY.search(page)
    if entry is None:
        return page
    preloads = [path.decode() for path in _PRELOADS.findall(page)]
    loader = _LOADER.replace("PRELOADS", json.dumps(preloads)).replace("ENTRY", json.dumps(entry[1].decode()))
    return _PRELOADS.sub(b"", page).replace(entry[0], loader.encode())


class Assets:
    """An ASGI app with the front end's files, which are in the folder `assets` of any page; they never change.

    Args:
        app: has all pages.
        page: the name of one of them.
        compressed: whether they go through a network.
    """

    def __init__(self, app: Any, page: str, compressed: bool) -> None:
        self._app, self._page, self._compressed = app, page, compressed
        self._kept: dict[str, tuple[list[tuple[bytes, bytes]], bytes]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request for a file."""
        path = scope["path"].removeprefix(scope["root_path"])  # which ends with "/assets"
        if path not in self._kept:
            start, body = await self._read(scope, path)
            if start["status"] != 200:
                await send(start)
                await send({"type": "http.response.body", "body": body})
                return
            self._kept[path] = await asyncio.to_thread(self._packed, start["headers"], body)
        headers, body = self._kept[path]
        takes_gzip = b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b"")
        if (b"content-encoding", b"gzip") in headers and not takes_gzip:
            headers, body = [header for header in headers if header[0] != b"content-encoding"], gzip.decompress(body)
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": body})

    async def _read(self, scope: Any, path: str) -> tuple[dict[str, Any], bytes]:
        messages: list[dict[str, Any]] = []

        async def receive() -> Any:
            return await asyncio.Event().wait()  # nobody ends this request early

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        root = scope["root_path"].removesuffix("/assets")
        inner = {"path": f"{root}/{self._page}/assets{path}", "root_path": root, "headers": []}
        await self._app(scope | inner, receive, send)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])

    def _packed(self, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
        kind = dict(headers).get(b"content-type", b"application/octet-stream")
        # names of files contain a hash of their content
        kept = [(b"content-type", kind), (b"cache-control", b"public, max-age=31536000, immutable")]
        if not self._compressed or not kind.decode("latin1").startswith(_COMPRESSIBLE):
            return kept, body
        return [*kept, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")], gzip.compress(body, 6)
