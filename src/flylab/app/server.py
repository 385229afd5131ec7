"""One ASGI app of all pages, and the server that shows it on this machine only."""

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
OUT = "FLYLAB_OUT"  # the folder of all runs, for the pages
SESSION_SECONDS = 10  # that a page's session outlives its tab: a reload finds it, a closed tab frees its training
PAGES = Path(__file__).parent / "pages"


def out() -> Path:
    """The folder of all runs that the pages show."""
    return Path(os.environ.get(OUT, "runs"))


def build() -> Any:
    """The ASGI app: every page at its name, and `/` leading to the first.

    Raises:
        MissingExtraError: without marimo.
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
    """Show the app until Ctrl-C.

    Args:
        folder: of all runs.
        port: of 127.0.0.1; 0 takes a free one.
        browser: whether to open one.

    Raises:
        MissingExtraError: without marimo.
        OSError: if the port is taken.
    """
    uvicorn = need("uvicorn", "app", "flylab app")
    os.environ[OUT] = str(folder.resolve())
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((HOST, port))
        taken.listen(128)  # from here on who connects waits, and is not refused
    except (OSError, OverflowError) as error:
        raise OSError(f"port {port} of {HOST} cannot be had ({error}); choose another with --port") from None
    address = f"http://{HOST}:{taken.getsockname()[1]}"
    runtime.initialise()  # JAX starts here, for all pages
    server = uvicorn.Server(uvicorn.Config(build(), log_level="warning", timeout_graceful_shutdown=1))
    print(f"flylab is at {address} (Ctrl-C ends it)", flush=True)
    if browser:
        threading.Timer(1.0, webbrowser.open, (address,)).start()
    server.run(sockets=[taken])
