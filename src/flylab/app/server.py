"""The ASGI app of all pages, and a server that is reachable from this machine only."""

import os
import socket
import threading
import webbrowser
from pathlib import Path
from typing import Any

from flylab.app import look
from flylab.base import runtime
from flylab.base.optional import need

HOST = "127.0.0.1"
OUT = "FLYLAB_OUT"  # environment variable that tells the pages the folder of runs
SESSION_SECONDS = 10  # a session's life after its tab is gone: a reload keeps its training, a closed tab ends it
PAGES = Path(__file__).parent / "pages"


def out() -> Path:
    """Return the folder of runs that the pages show."""
    return Path(os.environ.get(OUT, "runs"))


def build() -> Any:
    """Return the ASGI app: every page at its name, and a redirect from `/` to the first page.

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
    home = Route("/", lambda request: RedirectResponse(f"/{first}"))
    return applications.Starlette(routes=[home, Mount("/", pages.build())])


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
    address = f"http://{HOST}:{listener.getsockname()[1]}"
    runtime.initialise()  # start JAX once for all pages
    server = uvicorn.Server(uvicorn.Config(build(), log_level="warning", timeout_graceful_shutdown=1))
    print(f"flylab is running at {address} (press Ctrl-C to stop)", flush=True)
    if browser:
        threading.Timer(1.0, webbrowser.open, (address,)).start()
    server.run(sockets=[listener])
