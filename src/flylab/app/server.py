"""The ASGI app of all pages, and its server: for its user's browser on this machine only, or for a class."""

import contextlib
import errno
import functools
import importlib
import ipaddress
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flylab.app import front, limits, look
from flylab.app.door import MOST_BYTES, Door
from flylab.base import files, runtime
from flylab.base.constraints import refusal
from flylab.base.optional import need

HOST = "127.0.0.1"
OUT = "FLYLAB_OUT"  # environment variable that tells the pages the folder of runs
SESSION_SECONDS = 10  # a session's life after its tab is gone: a reload keeps its training, a closed tab ends it
PATIENCE = 1.0  # seconds that the server has to start before the browser is opened
PAGES = Path(__file__).parent / "pages"
_COMPILING = threading.Lock()


def out() -> Path:
    """Return the folder of runs that the pages show."""
    return Path(os.environ.get(OUT, "runs"))


def build(folders: Sequence[str]) -> Any:
    """Return the ASGI app of some pages: each at `/<name>`, and a redirect from `/` to the first.

    Raises:
        MissingExtraError: if marimo is not installed.
    """
    marimo = need("marimo", "app", "flylab app")
    applications = need("starlette.applications", "app", "flylab app")
    _compile_in_turn()
    from starlette.responses import RedirectResponse
    from starlette.routing import Mount, Route

    pages = marimo.create_asgi_app(quiet=True, include_code=False, session_ttl=SESSION_SECONDS, html_head=look.HEAD)
    for name in folders:
        pages = pages.with_app(path=f"/{name}", root=str(PAGES / f"{name}.py"))
    home = Route("/", lambda request: RedirectResponse(f"{request.scope['root_path']}/{folders[0]}/"))
    built = pages.build()
    assets = Mount("/assets", front.Assets(built, folders[0], compressed=limits.now().is_class))
    return applications.Starlette(routes=[home, assets, Mount("/", built)])


def _compile_in_turn() -> None:
    """Let marimo compile one cell at a time, when many pages open at once.

    CPython 3.11 counts the depth of syntax trees for all threads together, and so raises a SystemError in some: of 60
    pages that were opened at once, some had cells without results.
    """
    kernel: Any = importlib.import_module("marimo._runtime.runtime")
    compiled = getattr(kernel, "compile_cell", None)  # a private name, which may go
    if compiled is None or hasattr(compiled, "__wrapped__"):
        return

    @functools.wraps(compiled)
    def in_turn(*args: Any, **kwargs: Any) -> Any:
        with _COMPILING:
            return compiled(*args, **kwargs)

    kernel.compile_cell = in_turn


def serve(folder: Path, port: int, browser: bool, host: str = HOST, is_class: bool = False) -> None:
    """Serve the app until Ctrl-C.

    Args:
        folder: the folder of runs.
        port: the port; 0 picks a free one.
        browser: whether to open a browser.
        host: the IPv4 address of this machine to listen on; another one than 127.0.0.1 only for a class.
        is_class: whether a class shares the app, see `flylab.app.classroom`.

    Raises:
        MissingExtraError: if marimo is not installed.
        ValueError: if others could reach the app without its being for a class, or `host` is not one address.
        OSError: if the port cannot be bound.
    """
    _check(host, is_class)
    uvicorn = need("uvicorn", "app", "flylab app")
    os.environ[OUT] = str(folder.resolve())
    listener = _listen(host, port)
    home = f"http://{host}:{listener.getsockname()[1]}"
    runtime.initialise()  # start JAX once for all pages
    limits.choose(limits.CLASS if is_class else limits.ALONE)
    pages = build(list(look.PAGES))
    if is_class:
        from flylab.app import classroom

        token, secret = classroom.token(), secrets.token_urlsafe(24)
        door = Door({token: pages, secret: build(["class", *look.PAGES])}, (host,), limits.CLASS.pages)
        room = classroom.open_class(f"{home}/{token}/", door)
        own, said = f"{home}/{secret}/", f"{room.invitation(sys.stdout.isatty())}\nYour own page, with scores, is"
    else:
        secret = secrets.token_urlsafe(24)
        door, own, said = Door({secret: pages}, most=limits.ALONE.pages), f"{home}/{secret}/", "flylab is running at"
    options = {
        "log_level": "warning",
        "timeout_graceful_shutdown": 1,
        "ws_max_size": MOST_BYTES,
        "proxy_headers": False,
    }
    threading.Thread(target=_import, daemon=True, name="flylab-import").start()
    server = uvicorn.Server(uvicorn.Config(door, **options))
    print(f"{said} {own} (press Ctrl-C to stop)", flush=True)
    with _opening(own) if browser else contextlib.nullcontext():
        server.run(sockets=[listener])


def _check(host: str, is_class: bool) -> None:
    """Raise a ValueError if the app must not listen on an address."""
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        raise refusal("host", host, "an IPv4 address of this machine, such as 192.168.1.5") from None
    if address.is_unspecified or address.is_multicast:
        raise refusal("host", host, "one address, by which the class reaches this machine, such as 192.168.1.5")
    if not address.is_loopback and not is_class:
        raise ValueError(
            f"host={host!r} would show the app to everyone on the network: without --class, it listens on {HOST} only. "
            f"For a class, run flylab app --host {host} --class"
        )


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket on which connections wait until the server is ready."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            raise OSError(f"{host} is no address of this machine ({error}); choose another one with --host") from None
        raise OSError(f"cannot listen on port {port} of {host} ({error}); choose another one with --port") from None
    return listener


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
