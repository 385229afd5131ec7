"""Build the slides of the lectures from their pages: `python docs/make_slides.py [FOLDER]`, by default docs/_build/slides.

Each lecture is one page of `docs/lectures`: the site shows it as a page, and here each section becomes a slide
(reveal.js). With Chromium on the machine, a PDF is printed of each, one page a slide.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
         "--no-pdf-header-footer", "--virtual-time-budget=20000")  # fmt: skip


def main(folder: Path) -> None:
    """Write slides as HTML into a folder, and as PDF beside them."""
    pages = sorted((DOCS / "lectures").glob("[!i]*.md"))
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "revealjs", str(DOCS), str(folder), *map(str, pages)]
    subprocess.run(command, check=True)
    chromium = shutil.which("chromium")
    for page in pages:
        slides = folder / "lectures" / f"{page.stem}.html"
        print(slides)
        if chromium:
            with tempfile.TemporaryDirectory() as profile:
                subprocess.run(
                    [chromium, *FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={slides.with_suffix('.pdf')}",
                     f"{slides.resolve().as_uri()}?print-pdf"], check=True, capture_output=True)  # fmt: skip
            print(slides.with_suffix(".pdf"))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: python docs/make_slides.py [FOLDER]")
    main(Path(sys.argv[1]) if sys.argv[1:] else DOCS / "_build" / "slides")
