"""Build the slides of the lectures from their pages: `python docs/make_slides.py [FOLDER]`, or else docs/_build/slides.

Each lecture is one page of `docs/lectures`: the site shows it as a page, and here each section becomes a slide
(reveal.js). With Chromium on the machine, a PDF is printed of each, one page a slide.
"""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")

OPEN = (
    "addEventListener('DOMContentLoaded', () => document.querySelectorAll('details').forEach((one) => one.open = true))"
)


def _print(folder: Path, slides: list[Path], chromium: str) -> None:
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as play:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = play.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for page in slides:
            shown = browser.new_page()
            shown.add_init_script(OPEN)
            shown.goto(f"http://127.0.0.1:{server.server_port}/lectures/{page.name}?print-pdf")
            shown.wait_for_function("document.querySelector('.pdf-page') !== null")
            shown.wait_for_load_state("networkidle")
            shown.pdf(path=page.with_suffix(".pdf"), prefer_css_page_size=True, print_background=True)
        browser.close()
        server.shutdown()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve a folder without a word."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def main(folder: Path) -> None:
    """Write slides as HTML into a folder, and as PDF beside them."""
    pages = sorted(page for page in (DOCS / "lectures").glob("*.md") if page.stem != "index")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "revealjs", str(DOCS), str(folder), *map(str, pages)]
    subprocess.run(command, check=True)
    slides = [folder / "lectures" / f"{page.stem}.html" for page in pages]
    chromium = shutil.which("chromium")
    if chromium:
        _print(folder, slides, chromium)
    for page in slides:
        print(page, page.with_suffix(".pdf") if chromium else "(no chromium: no PDF)")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: python docs/make_slides.py [FOLDER]")
    main(Path(sys.argv[1]) if sys.argv[1:] else DOCS / "_build" / "slides")
