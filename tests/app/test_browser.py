"""The app as a person uses it, in Debian's Chromium, driven by Playwright."""

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import xarray as xr

from flylab.base import netcdf

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def server(out, start):
    """Start `flylab app`, and return its address and process id."""
    said, pid = start("--out", out)
    address = re.search(r"(http://127\.0\.0\.1:\d+/[\w-]{32})/", said)
    assert address, said
    return address[1], pid


@pytest.fixture
def visit(server, open_page):
    """Open pages by name."""
    return lambda name: open_page(f"{server[0]}/{name}")


def number(page, label, value):
    """Type into one of the rail's number fields."""
    page.get_by_role("textbox", name=label, exact=True).fill(str(value))


def wait_for_status(page, text):
    page.locator("p[role=status]", has_text=text).wait_for()


def test_home_leads_to_the_playground_and_only_this_machine_is_served(server):
    with urllib.request.urlopen(server[0]) as answer:
        assert answer.url.rstrip("/") == f"{server[0]}/playground"
    listening = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True).stdout
    port = f":{urlsplit(server[0]).port:04X}"
    places = {line.split()[1].partition(":")[0] for line in listening.splitlines() if port in line.split()[1]}
    assert places == {"0100007F"}  # 127.0.0.1


FOREIGN_PAGE = """
<script>
async function tried(does) { try { return await does(); } catch (error) { return String(error); } }
async function attack(address) {
  const socket = url => new Promise(done => {
    const ws = new WebSocket(url);
    ws.onopen = () => done("open");
    ws.onerror = () => done("refused");
  });
  const read = options => tried(async () => (await fetch(address + "/studies/", options)).status);
  return [
    await read({}), await read({mode: "no-cors"}), await read({method: "POST", body: "{}"}),
    await tried(() => socket(address.replace("http", "ws") + "/studies/ws?session_id=s_123456")),
  ];
}
</script>
"""


def test_a_foreign_page_gets_nothing_even_with_the_address(server, browser):
    """Neither may it read, nor connect, nor frame: the browser says only that it failed."""

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(FOREIGN_PAGE.encode())

        def log_message(self, *args):
            pass

    foreign = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    threading.Thread(target=foreign.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{foreign.server_port}/")
    failed = "TypeError: Failed to fetch"
    assert page.evaluate("address => attack(address)", server[0]) == [
        failed,
        0,
        failed,
        "refused",
    ]  # 0: it sees nothing
    page.evaluate("address => { document.body.innerHTML = `<iframe src='${address}/quiz/'></iframe>` }", server[0])
    page.wait_for_timeout(2000)
    assert not any(frame.query_selector("nav") for frame in page.frames)
    page.close()
    foreign.shutdown()
    foreign.server_close()


def test_foreign_results_are_text(visit, out):
    """Names, labels and attributes with markup are shown as they are."""
    markup = "<img src=x onerror=alert(1)>[x](javascript:alert(1))"
    values = xr.DataArray(
        np.ones((2, 2, 2)), dims=("step", markup, "seed"), attrs={"long_name": markup, "units": markup}
    )
    attrs = {"study": "train", "preset": "smoke", "protocol": json.dumps({"model": markup})}
    labels = {"step": [0, 5], markup: [markup, "<script>alert(1)</script>"], "seed": [0, 1]}
    folder = out / "train" / "smoke-foreign"
    netcdf.save(folder / "results.nc", xr.Dataset({"test_accuracy": values}, labels, attrs))
    (folder / "provenance.json").write_text(json.dumps({"command": f"\n```\n\n{markup}"}))
    page = visit("studies")
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    page.get_by_label("study").select_option("train")
    page.get_by_role("heading", name="Explore").wait_for()
    page.get_by_label(markup).select_option("<script>alert(1)</script>")
    page.get_by_label("lines").select_option(markup)
    for title, shown in (("Repeat it", "flylab run train smoke --model '<img"), ("Provenance", "[x](javascript")):
        page.get_by_text(title).click()
        page.locator("pre", has_text=shown).last.wait_for()
    page.wait_for_timeout(1000)
    assert page.locator("img[src=x], a[href^=javascript]").count() == 0
    shutil.rmtree(folder)


def test_move_a_slider_train_and_look(visit, tmp_path):
    page = visit("playground")
    examples = page.get_by_role("img", name=re.compile("training examples of each class"))
    before = examples.inner_html()
    noise = page.get_by_role("slider", name="white noise")
    noise.press("End")  # by keyboard
    page.wait_for_function("text => !document.body.innerHTML.includes(text)", arg=before[:2000])
    number(page, "optimiser steps", 300)
    page.get_by_role("button", name="Train", exact=True).click()
    wait_for_status(page, re.compile(r"^\s*done"))
    curves = page.get_by_role("img", name=re.compile("test accuracy"))
    assert re.search(r"CNN: \d", curves.get_attribute("aria-label"))
    for name in ("MLP", "CNN"):
        page.get_by_role("radio", name=name, exact=True).click()
        page.get_by_role("img", name="true class against read as").wait_for()
        page.get_by_role("img", name="weights of the first layer").wait_for()
    # other settings: the results say with which ones they were trained, and so does all that is taken along
    noise.press("Home")
    page.get_by_text("These results were trained with white noise 1.").wait_for()
    page.get_by_text("Copy as Python").click()
    page.get_by_text("iid_noise_scale=1").first.wait_for()
    for label, ending in (("data", ".npz"), ("weights", ".safetensors"), ("results", ".nc")):
        with page.expect_download() as download:
            page.get_by_text(f"{label} ({ending})").click()
        assert download.value.suggested_filename.endswith(ending)
        assert Path(download.value.path()).stat().st_size > 1000
    # loaded again, the page has settings and results as before
    page.reload()
    page.get_by_text("These results were trained with white noise 1.").wait_for()
    assert noise.input_value() == "0"
    page.get_by_role("button", name="Back to these settings").click()
    page.locator(".flylab-notice").wait_for(state="detached")
    assert noise.input_value() == "1"
    page.get_by_role("button", name="Plain beside shuffled").click()
    page.locator("table.flylab-table tr", has_text="CNN, shuffled").wait_for()
    wait_for_status(page, re.compile(r"^\s*done"))
    assert re.search(r"CNN, plain: \d.*CNN, shuffled: \d", curves.get_attribute("aria-label"))


def test_a_huge_number_gets_a_message_at_its_field(visit):
    page = visit("playground")
    page.get_by_text("More of the training", exact=True).click()
    number(page, "seeds", 10**9)
    page.locator("#n_seeds-error", has_text="must be an integer from 1 to 32").wait_for()
    assert page.get_by_role("button", name="Train", exact=True).is_disabled()
    page.get_by_role("button", name="reset seeds", exact=True).click()
    page.get_by_text("More of the data", exact=True).click()
    number(page, "training examples", 10**9)
    page.locator("#n_train-error", has_text="must be an integer from 100 to 20000").wait_for()
    page.get_by_text("Training examples, standardised (4000 in all)").wait_for()  # what was there stays
    number(page, "training examples", 1000)
    page.get_by_text("Training examples, standardised (1000 in all)").wait_for()


def trainings(pid):
    """Return the number of training threads in the server."""
    names = []
    for path in Path(f"/proc/{pid}/task").glob("*/comm"):
        try:
            names.append(path.read_text().strip())
        except OSError:
            continue
    return names.count("flylab-training")


def test_stop_reload_second_tab_and_closed_tab(visit, server):
    page = visit("playground")
    number(page, "optimiser steps", 20_000)  # minutes
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Train", exact=True).click()
    wait_for_status(page, "% done")
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_for_status(page, "stopped at")
    page.get_by_role("button", name="Train", exact=True).click()
    wait_for_status(page, "% done")
    other = visit("playground")  # a second tab trains beside it
    number(other, "optimiser steps", 100)
    other.wait_for_timeout(1000)
    other.get_by_role("button", name="Train", exact=True).click()
    wait_for_status(other, re.compile(r"^\s*done"))
    other.close()
    wait_for_status(page, re.compile("done"))
    page.reload()
    page.wait_for_selector("nav.flylab-nav")
    page.get_by_role("button", name="Train", exact=True).wait_for()
    page.close()
    end = time.monotonic() + 90
    while trainings(server[1]) and time.monotonic() < end:
        time.sleep(0.5)
    assert trainings(server[1]) == 0


def test_run_a_study_and_explore_it(visit):
    page = visit("studies")
    page.get_by_alt_text("figure of the study").wait_for()  # before anything is run
    page.get_by_text(re.compile(r"^Of \d+ claims, \d+ seeds support \d+")).wait_for()
    page.get_by_label("study").select_option("train")
    page.get_by_role("heading", name="How well does one network learn one data set?").wait_for()
    page.get_by_label("preset").select_option("smoke")
    page.get_by_role("button", name="Run", exact=True).click()
    wait_for_status(page, "train smoke: ended")
    figure, sources = page.get_by_alt_text("figure of the study"), []
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(1000)
        sources.append(figure.evaluate("image => image.currentSrc"))
    assert sources[0] != sources[1]
    page.get_by_label("value").select_option("train_loss")
    page.locator("svg, canvas").first.wait_for()
    page.get_by_text("this study has no claims to judge").wait_for()
    page.get_by_text("Repeat it").click()
    page.get_by_text("flylab run train smoke").last.wait_for()


def test_ten_items_of_the_quiz_by_keyboard(visit, out):
    page = visit("quiz")
    page.get_by_role("button", name="Begin").press("Enter")
    page.get_by_role("group", name="your answer").wait_for()
    page.keyboard.press("9")
    page.get_by_text("2 of 10", exact=True).wait_for()
    page.keyboard.press("Backspace")
    for i in range(10):
        page.get_by_text(f"{i + 1} of 10", exact=True).wait_for()
        page.keyboard.press(str(i))
    page.get_by_text(re.compile(r"\d+ of 10 right", re.I)).first.wait_for()
    page.get_by_text("So far, plain:").wait_for()
    assert len(list((out / "quiz").glob("*.json"))) == 1
    with page.expect_download() as download:
        page.get_by_text("all your answers").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 11


def test_the_leaderboard(visit):
    page = visit("leaderboard")
    page.get_by_role("cell", name="MLP-Mixer").wait_for()
    first = page.locator("table.flylab-table tr").nth(1)
    assert "GRU" in first.inner_text()
    page.get_by_role("radio", name="accuracy").click()
    page.locator("table.flylab-table tr", has_text="ResNet").nth(0).wait_for()
    first.filter(has_text="ResNet").wait_for()
    page.get_by_role("img", name=re.compile("test accuracy, plain .* against")).wait_for()


@pytest.mark.parametrize("name", ["playground", "studies", "quiz", "leaderboard"])
def test_phone_width_dark_and_light(name, visit):
    page = visit(name)
    page.set_viewport_size({"width": 360, "height": 740})
    if name == "playground":  # results come into sight
        number(page, "optimiser steps", 100)
        page.wait_for_timeout(1000)
        page.get_by_role("button", name="Train", exact=True).click()
        wait_for_status(page, re.compile(r"^\s*done"))
        box = page.get_by_text("What the networks learn", exact=True).bounding_box()
        assert box is not None
        assert -2 < box["y"] < 200
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(1000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        ink, paper = (page.evaluate(f"getComputedStyle(document.querySelector('{at}')).{what}")
                      for at, what in (("nav.flylab-nav", "color"), ("body", "backgroundColor")))  # fmt: skip
        light, dark = (sum(float(v) for v in re.findall(r"[\d.]+", text)[:3]) for text in (ink, paper))
        assert (light > dark) == (scheme == "dark"), (ink, paper)
