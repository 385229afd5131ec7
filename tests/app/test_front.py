"""The front end's page is painted first, and its files are read once, compressed where they go through a network."""

import asyncio
import gzip

import pytest
from starlette.responses import FileResponse

from flylab.app import front

PAGE = b"""<link rel="modulepreload" crossorigin href="./assets/a-1.js">
    <link rel="modulepreload" crossorigin href="./assets/b.js">
<script type="module" crossorigin src="./assets/index-x.js"></script><link rel="stylesheet" href="./assets/c.css">"""


def test_scripts_wait_for_the_first_paint():
    page = front.prepared(PAGE).decode()
    assert "modulepreload" not in page.partition("<script>")[0]
    assert '["../assets/a-1.js", "../assets/b.js"]' in page
    assert 'src: "../assets/index-x.js"' in page
    assert '<link rel="stylesheet" href="../assets/c.css">' in page
    assert front.prepared(b"<html>another front end</html>") == b"<html>another front end</html>"


@pytest.mark.parametrize("compressed", [False, True])
def test_files_are_read_once(compressed):
    asked = []

    async def pages(scope, receive, send):
        asked.append((scope["root_path"], scope["path"]))
        found = scope["path"] == "/s3cret/quiz/assets/a.js"
        await send({"type": "http.response.start", "status": 200 if found else 404,
                    "headers": [(b"content-type", b"text/javascript"), (b"etag", b"x")]})  # fmt: skip
        for part in (b"let a;" * 50, b"let b;"):
            await send({"type": "http.response.body", "body": part, "more_body": part == b"let a;" * 50})

    app = front.Assets(pages, "quiz", compressed)

    def get(name, *headers):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "path": f"/s3cret/assets/{name}", "root_path": "/s3cret/assets", "headers": [*headers]}
        asyncio.run(app(scope, None, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    for accepted in (b"gzip, br", b"br"):
        status, headers, body = get("a.js", (b"accept-encoding", accepted))
        assert status == 200
        assert b"immutable" in headers[b"cache-control"]
        assert int(headers[b"content-length"]) == len(body)
        is_packed = compressed and accepted != b"br"
        assert (headers.get(b"content-encoding") == b"gzip") == is_packed
        assert (gzip.decompress(body) if is_packed else body) == b"let a;" * 50 + b"let b;"
    assert asked == [("/s3cret", "/s3cret/quiz/assets/a.js")]
    assert get("b.js")[0] == 404


def test_large_file_is_read_whole_and_nobody_leaves_early(tmp_path):
    (tmp_path / "a.png").write_bytes(bytes(3_000_000))

    async def pages(scope, receive, send):
        with pytest.raises(TimeoutError):  # an answer that is no disconnect is asked for again, without end
            await asyncio.wait_for(receive(), 0.01)
        await FileResponse(tmp_path / "a.png")(scope, receive, send)

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/assets/a.png", "root_path": "/assets", "headers": []}
    asyncio.run(front.Assets(pages, "quiz", compressed=False)(scope, None, send))
    assert sent[0]["status"] == 200
    assert sent[1]["body"] == bytes(3_000_000)
