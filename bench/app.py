"""Time the app's pages and the redraw after a slider moves, in Chromium: `python bench/app.py`."""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def main() -> None:
    """Measure, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--screenshot", type=Path, help="also train, and save a screenshot of the playground here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = [sys.executable, "-m", "flylab", "app", "--out", folder, "--port", "0", "--no-browser"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = re.search(r"http://\S+(?=/ )", server.stdout.readline())
        assert address is not None
        browser = playwright.chromium.launch_persistent_context(
            Path(folder) / "chromium", executable_path=shutil.which("chromium"), headless=True, args=FLAGS,
            viewport={"width": 1280, "height": 800},
        )  # fmt: skip
        for name, ready in PAGES.items():
            seconds = []
            for _ in range(options.rounds):
                page = browser.new_page()
                started = time.perf_counter()
                page.goto(f"{address[0]}/{name}")
                page.wait_for_selector(ready)
                seconds.append(time.perf_counter() - started)
                page.close()
            print(
                f"{name}: first {seconds[0]:.2f} s, median of {options.rounds} {statistics.median(seconds):.2f} s",
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
        server.terminate()


if __name__ == "__main__":
    main()
