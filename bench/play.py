"""Time the page `docs/play` in Chromium: first paint, bytes, and 2000 steps of each network: `python bench/play.py`."""

import argparse
import functools
import shutil
import statistics
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from app import FLAGS

FOLDER = Path(__file__).parents[1] / "docs" / "play"
TRAIN = """async (job) => {
  const { Pool } = await import(new URL("pool.js", location.href));
  const pool = new Pool(1);
  await pool.train({ ...job, nSteps: 1 }, () => {});  // makes the data and compiles
  const start = performance.now();
  await pool.train(job, () => {});
  return (performance.now() - start) / 1000;
}"""
SIZES = "performance.getEntriesByType('resource').reduce((sum, {transferSize}) => sum + transferSize, 0)"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
READY = """async () => {
  const start = performance.now();
  const seconds = async (selector, words) => {
    while (!words.test(document.querySelector(selector)?.textContent)) await new Promise(requestAnimationFrame);
    return (performance.now() - start) / 1000;
  };
  document.getElementById("train").click();
  const curves = await seconds("#accuracies td", /\\d/);
  return [curves, await seconds("#progress", /[1-9]\\d* of/), await seconds("#progress", /Done/)];
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def visit(browser: Browser, address: str) -> list[float]:
    """Return first paint (ms), bytes, milliseconds until the page answers, and seconds until networks are trained."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    ready = page.evaluate("performance.now()")
    page.wait_for_timeout(1500)  # its workers have fetched what they need
    size = page.evaluate(SIZES) + page.evaluate("performance.getEntriesByType('navigation')[0].transferSize")
    paint, seconds = page.evaluate(PAINT), page.evaluate(READY)
    page.context.close()
    return [paint, size, ready, *seconds]


def main() -> None:
    """Measure, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--screenshot", type=Path, help="also train, and save a screenshot here")
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(FOLDER)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=FLAGS)
        visits = [visit(browser, address) for _ in range(options.rounds)]
        paint, size, ready, curve, network, all_ = map(statistics.median, zip(*visits, strict=True))
        print(f"first paint {paint:.0f} ms, ready {ready:.0f} ms, {size / 1000:.0f} kB transferred")
        print(f"after Train: curves {curve:.1f} s, first of 12 networks {network:.1f} s, all {all_:.1f} s (1000 steps)")
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        if options.screenshot:
            page.evaluate(READY)
            page.wait_for_timeout(1000)
            page.screenshot(path=options.screenshot)
        for model in ("logistic", "mlp", "cnn"):
            job = {"model": model, "data": {"n_valid": 0}, "seed": 0, "nSteps": options.steps, "batchSize": 100,
                   "rate": 1e-2}  # fmt: skip
            seconds = statistics.median(page.evaluate(TRAIN, job) for _ in range(options.rounds))
            print(f"{model}: {options.steps} steps and 40 evaluations in {seconds:.2f} s, one worker")
    server.shutdown()


if __name__ == "__main__":
    main()
