"""Time the app's pages and the redraw after a slider moves, in Chromium: `python bench/app.py`."""

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import websockets
from playwright.sync_api import Page, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
PAGES = {
    "playground": "role=button[name='Train']",
    "studies": "role=heading[level=2]",
    "quiz": "role=button[name='Begin']",
    "leaderboard": "table.flylab-table",
}
WATCH = """() => new Promise((resolve) => {
  const start = performance.now();
  const observer = new MutationObserver(() => {
    const now = document.querySelector("svg[aria-label*='training examples of each class']");
    if (!now || now.outerHTML === window.before) return;
    observer.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - start));
  });
  window.before = document.querySelector("svg[aria-label*='training examples of each class']").outerHTML;
  observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
})"""


def redraw(page: Page, n: int) -> list[float]:
    """Return the milliseconds from a key press on the slider of white noise to the new examples on screen."""
    slider = page.get_by_role("slider", name="white noise")
    milliseconds = []
    for _ in range(n):
        slider.focus()
        page.wait_for_timeout(800)
        page.evaluate("() => { window.took = null; (" + WATCH + ")().then((ms) => window.took = ms); }")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("() => window.took !== null")
        milliseconds.append(page.evaluate("window.took"))
    return milliseconds


async def visit(address: str, i: int) -> tuple[float, websockets.ClientConnection]:
    """Open a page as a browser does, without drawing it; return the seconds until all of its cells have run."""
    begun = time.perf_counter()
    url = f"{address.replace('http', 'ws', 1)}/playground/ws?session_id=s_{i:06d}"
    socket = await websockets.connect(url, origin=websockets.Origin(address.rpartition("/")[0]), max_size=None)
    while json.loads(await socket.recv())["op"] != "completed-run":
        pass
    return time.perf_counter() - begun, socket


async def visits(address: str, pid: int, n: int) -> str:
    """Open `n` pages at once, as a class does, and say how long that took."""
    before = memory(pid)
    opened = await asyncio.gather(*(visit(address, i) for i in range(n)))
    grown = (memory(pid) - before) / n
    for _, socket in opened:
        await socket.close()
    seconds = [took for took, _ in opened]
    return (
        f"{n} playgrounds at once: the median after {statistics.median(seconds):.1f} s, the last after "
        f"{max(seconds):.1f} s; {grown:.1f} MB each"
    )


def memory(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1000


def main() -> None:
    """Measure, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--screenshot", type=Path, help="also train, and save a screenshot of the playground here")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the server is ended, too
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        contextlib.ExitStack() as stack,
        ThreadPoolExecutor(1) as thread,
    ):
        command = [sys.executable, "-m", "flylab", "app", "--out", folder, "--port", "0", "--no-browser"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        stack.callback(server.kill)
        assert server.stdout is not None
        address = re.search(r"http://\S+(?=/ )", server.stdout.readline())
        assert address is not None
        browser = playwright.chromium.launch_persistent_context(
            Path(folder) / "chromium", executable_path=shutil.which("chromium"), headless=True, args=FLAGS,
            viewport={"width": 1280, "height": 800},
        )  # fmt: skip
        for name, ready in PAGES.items():
            seconds, painted = [], []
            for _ in range(options.rounds):
                page = browser.new_page()
                started = time.perf_counter()
                page.goto(f"{address[0]}/{name}")
                page.wait_for_selector(ready)
                seconds.append(time.perf_counter() - started)
                painted.append(
                    page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
                )
                page.close()
            print(
                f"{name}: painted after {statistics.median(painted):.2f} s, there after "
                f"{statistics.median(seconds):.2f} s (medians of {options.rounds}; the first time {painted[0]:.2f} and "
                f"{seconds[0]:.2f} s)",
                flush=True,
            )
        page = browser.new_page()
        page.goto(f"{address[0]}/playground")
        page.wait_for_selector(PAGES["playground"])
        page.wait_for_timeout(2000)
        times = redraw(page, 3 * options.rounds)
        print(f"redraw of 5000 examples: median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms")
        if options.screenshot is not None:
            page.reload()
            page.wait_for_selector(PAGES["playground"])
            page.wait_for_timeout(2000)
            page.get_by_role("button", name="Train", exact=True).click()
            page.locator("p[role=status]", has_text=re.compile(r"^\s*done")).wait_for()
            page.wait_for_timeout(2000)
            page.screenshot(path=options.screenshot)
        browser.close()
        # Playwright has an event loop in this thread
        print(thread.submit(asyncio.run, visits(address[0], server.pid, 60)).result())


if __name__ == "__main__":
    main()
