"""The ASGI app of all pages, and a server that only its user's browser on this machine can reach."""

import contextlib
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flylab.app import look
from flylab.app.door import MOST_BYTES, Door
from flylab.base import files, runtime
from flylab.base.optional import need

HOST = "127.0.0.1"
OUT = "FLYLAB_OUT"  # environment variable that tells the pages the folder of runs
SESSION_SECONDS = 10  # a session's life after its tab is gone: a reload keeps its training, a closed tab ends it
PATIENCE = 1.0  # seconds that the server has to start before the browser is opened
PAGES = Path(__file__).parent / "pages"


def out() -> Path:
    """Return the folder of runs that the pages show."""
    return Path(os.environ.get(OUT, "runs"))


def build(secret: str) -> Any:
    """Return the ASGI app: every page at `/<secret>/<name>`, and a redirect from `/<secret>/` to the first page.

    Raises:
        MissingExtraError: if marimo is not installed.
    """
    marimo = need("marimo", "app", "flylab app")
    applications = need("starlette.applications", "app", "flylab app")
    from starlette.responses import RedirectResponse
    from starlette.routing import Mount, Route

    pages = marimo.create_asgi_app(quiet=True, include_code=False, session_ttl=SESSION_SECONDS, html_head=look.HEAD)
    for name in look.PAGES:
        pages = pages.with_app(path=f"/{name}", root=str(PAGES / f"{name}.py"))
    first = next(iter(look.PAGES))
    home = Route("/", lambda request: RedirectResponse(f"{request.scope['root_path']}/{first}/"))
    return Door(applications.Starlette(routes=[home, Mount("/", pages.build())]), secret)


def serve(folder: Path, port: int, browser: bool) -> None:
    """Serve the app until Ctrl-C.

    Args:
        folder: the folder of runs.
        port: the port on 127.0.0.1; 0 picks a free one.
        browser: whether to open a browser.

    Raises:
        MissingExtraError: if marimo is not installed.
        OSError: if the port cannot be bound.
    """
    uvicorn = need("uvicorn", "app", "flylab app")
    os.environ[OUT] = str(folder.resolve())
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)  # from here on, connections wait until the server is ready
    except (OSError, OverflowError) as error:
        raise OSError(f"cannot listen on port {port} of {HOST} ({error}); choose another one with --port") from None
    secret = secrets.token_urlsafe(24)
    address = f"http://{HOST}:{listener.getsockname()[1]}/{secret}/"
    runtime.initialise()  # start JAX once for all pages
    options = {
        "log_level": "warning",
        "timeout_graceful_shutdown": 1,
        "ws_max_size": MOST_BYTES,
        "proxy_headers": False,
    }
    threading.Thread(target=_import, daemon=True, name="flylab-import").start()
    server = uvicorn.Server(uvicorn.Config(build(secret), **options))
    print(f"flylab is running at {address} (press Ctrl-C to stop)", flush=True)
    with _opening(address) if browser else contextlib.nullcontext():
        server.run(sockets=[listener])


def _import() -> None:
    """Import what pages need while the browser starts."""
    from flylab.app import answers, drawing, rail, stored  # noqa: F401


@contextlib.contextmanager
def _opening(address: str) -> Iterator[None]:
    """Open an address in a browser, by a file that only this user can read.

    Every user of the machine sees the words with which a browser is started, and so would see the secret.
    """
    path = files.user_cache("app") / f"{secrets.token_hex(8)}.html"
    files.write_atomic(path, f'<meta http-equiv="refresh" content="0; url={address}">', mode=0o600)
    threading.Timer(PATIENCE, webbrowser.open, (path.as_uri(),)).start()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
