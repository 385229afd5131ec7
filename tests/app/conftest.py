"""The app's server, and Debian's Chromium, driven by Playwright."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
PATIENCE = 180_000  # ms; the machine may be busy


@pytest.fixture(scope="module")
def start():
    """Start `flylab app` with options on a free port; return what it prints and its process id."""
    runs = []

    def begin(*options):
        command = [sys.executable, "-m", "flylab", "app", "--port", "0", "--no-browser", *map(str, options)]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        runs.append(run)
        said = ""
        for line in run.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        return said, run.pid

    yield begin
    for run in runs:
        run.terminate()
        run.communicate(timeout=30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("needs Debian's package chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"), executable_path=CHROMIUM, headless=True, args=FLAGS,
            viewport={"width": 1200, "height": 2600}, accept_downloads=True,
        )  # fmt: skip


@pytest.fixture
def open_page(browser):
    """Open pages by their addresses; at the end, their consoles must be free of errors."""
    pages, errors = [], []

    def opened(address):
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("nav.flylab-nav a[aria-current]")
        pages.append(page)
        return page

    yield opened
    if folder := os.environ.get("FLYLAB_SCREENSHOTS"):
        for i, page in enumerate(page for page in pages if not page.is_closed()):
            page.screenshot(
                path=Path(folder) / f"{page.url.rstrip('/').rpartition('/')[2]}-{len(os.listdir(folder))}-{i}.png"
            )
    for page in pages:
        page.close()
    assert errors == []
