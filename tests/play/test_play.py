"""The page `docs/play` has flylab's numbers, and works for a person, in Debian's Chromium driven by Playwright."""

import contextlib
import functools
import importlib.util
import io
import re
import shutil
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flylab
from flylab.base.rng import stream
from flylab.data.published import stages
from flylab.models import masks
from flylab.results.statistics import interval

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
DOCS = Path(__file__).parents[2] / "docs"
PLAY = DOCS / "play"
SCRIPTS = {path.name for path in PLAY.glob("*.js")}
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")


def test_what_it_shares_with_flylab_is_up_to_date():
    spec = importlib.util.spec_from_file_location("make_play", DOCS / "make_play.py")
    make_play = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_play)
    assert (PLAY / "constants.js").read_text() == make_play.constants(), "run docs/make_play.py"


def test_every_file_is_loaded_early_and_kept_and_nothing_is_from_elsewhere():
    page, keeper = (PLAY / "index.html").read_text(), (PLAY / "sw.js").read_text()
    kept = set(re.findall(r'"([\w./]+)"', keeper.partition("];")[0]))
    assert kept == SCRIPTS - {"sw.js"} | {"./", "index.html", "play.css"}
    assert set(re.findall(r'modulepreload" href="(\S+)"', page)) == SCRIPTS - {"sw.js", "main.js", "worker.js"}
    addresses = {url for path in PLAY.iterdir() for url in re.findall(r"https?://\S+", path.read_text())}
    assert addresses == set()


@pytest.fixture(scope="module")
def site():
    """Serve the folder `docs`, so that the page is in a subfolder, and return the page's address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(DOCS)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/play/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)


@pytest.fixture
def visit(site, browser):
    """Open the page with settings in its address; at the end, consoles must be free of errors."""
    contexts, errors = [], []

    def opened(settings="", **look):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | look))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{site}#{settings}")
        page.wait_for_selector("#examples svg")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


NUMBERS = """async ([configs, x, y, models, sparsity]) => {
  const load = (name) => import(new URL(name, location.href));
  const { configOf, published, stages } = await load("generator.js");
  const { initialParams, layersOf, leavesOf } = await load("layers.js");
  const { Network } = await load("network.js");
  const { prune } = await load("pruning.js");
  const { interval } = await load("statistics.js");
  const network = (name) => {
    const layers = layersOf(name, 40, 10);
    const leaves = (values) => Object.fromEntries(
      leavesOf(layers).map(({ name, start, size }) => [name, [...values.subarray(start, start + size)]]));
    const params = initialParams(layers, 3);
    const computed = new Network(layers, 100);
    computed.start(params);
    computed.load(Float32Array.from(x.flat()), [...y.keys()]);
    const { loss } = computed.judge(y, true);
    computed.backward();
    const start = computed.forward();
    const logits = y.map((_, j) => [...Array(10).keys()].map((o) => computed.floats[start + o * computed.columns + j]));
    const mask = leaves(prune(params, layers, sparsity));
    return { loss: loss / y.length, logits, params: leaves(params), gradient: leaves(computed.gradient), mask };
  };
  const sets = (changes) => Object.entries(published(configOf(changes)));
  return {
    sets: configs.map((changes) => sets(changes).map(([name, { x, y }]) => [name, [...x], y])),
    stages: configs.map((changes) => stages(configOf(changes), 5).map((steps) => steps.map((signal) => [...signal]))),
    networks: models.map(network),
    interval: interval(x[0].slice(0, 9)),
  };
}"""
CONFIGS = [
    flylab.MNIST1D(n_train=40, n_test=10, n_valid=10),
    flylab.MNIST1D(
        n_train=40, n_test=10, n_valid=12, seed=7, shuffle_seq=True, permutation=tuple(range(71))[::-1],
        scale_coeff=1.1, corr_noise_scale=0.6, iid_noise_scale=0.3, shear_scale=2.0, max_translation=100,
        final_seq_length=71, padding=(3, 17), template_len=21, label_noise=0.4, label_noise_repeats=False,
        classes=(3, 1),
    ),
    flylab.MNIST1D(n_train=30, n_test=10, n_valid=0, max_translation=1, padding=(0, 0), random_labels=4, n_outputs=12),
]  # fmt: skip
MODELS = ("logistic", "mlp", "cnn")


def changes(config):
    """Return the fields of a config that are not the usual ones."""
    return {name: value for name, value in vars(config).items() if value != getattr(flylab.MNIST1D(), name)}


def leaves(name, tree):
    """Return a network's arrays by the page's names."""
    tree = {"output": tree} if name == "logistic" else tree
    return {f"{layer}.{part}": np.ravel(leaf) for layer, parts in tree.items() for part, leaf in parts.items()}


@pytest.mark.slow
@needs_chromium
def test_signals_networks_gradients_and_masks_are_flylabs(visit):
    rng, sparsity = np.random.default_rng(0), 0.83
    x, y = rng.normal(size=(37, 40)).astype(np.float32), rng.integers(10, size=37)
    given = [[changes(config) for config in CONFIGS], x.tolist(), y.tolist(), MODELS, sparsity]
    got = visit().evaluate(NUMBERS, given)
    assert got["interval"] == pytest.approx(interval(x[0, :9])._asdict(), abs=1e-6)
    for config, sets, steps in zip(CONFIGS, got["sets"], got["stages"], strict=True):
        splits = flylab.published(config)
        for name, signals, labels in sets:
            assert labels == getattr(splits, name).y.tolist()
            np.testing.assert_allclose(signals, getattr(splits, name).x.ravel(), atol=1e-6)
        for i, step in enumerate(stages(config, 5)):
            np.testing.assert_allclose([one[i] for one in steps], step, atol=1e-6)
    for name, made in zip(MODELS, got["networks"], strict=True):
        model = flylab.get_model(name)
        params = model.init(stream(jax.random.fold_in(jax.random.key(0), 3), "init"))

        def loss(params, model=model):
            logits = jax.vmap(model.apply, (None, 0))(params, x)
            return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y]), logits

        (value, logits), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        mask = masks.prune(jax.device_get(params), masks.full(params), sparsity, prune_biases=False)
        np.testing.assert_allclose(made["loss"], value, atol=1e-4)
        np.testing.assert_allclose(made["logits"], logits, atol=1e-4)
        for part, tree, atol in (("params", params, 1e-6), ("gradient", gradient, 1e-4), ("mask", mask, 0)):
            for leaf, values in leaves(name, tree).items():
                np.testing.assert_allclose(made[part][leaf], values, atol=atol, err_msg=f"{part} of {name}: {leaf}")


def wait_for(page, words, n_rows):
    """Wait until the page says that it is done, and all rows have numbers."""
    page.wait_for_function(
        """([words, n]) => document.getElementById("status").textContent.startsWith(words)
           && document.querySelectorAll("#accuracies tr").length === n""", arg=[words, n_rows],
    )  # fmt: skip


def accuracies(page):
    """Return the table's accuracies on new signals, by title."""
    cells = "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    rows = page.locator("#accuracies tr").evaluate_all(cells)
    return {title.strip(): float(accuracy.partition(" ± ")[0]) for title, accuracy, _ in rows}


SMALL = "arrangements=shuffled&n_seeds=2&n_steps=100&n_train=200&n_test=100&classes=0,1,2,3,4"


@pytest.mark.slow
@needs_chromium
def test_a_visit(visit):
    """Change the data, train, prune, take the program, share, reload: what a person does."""
    page = visit(f"models=logistic&{SMALL}")
    page.wait_for_timeout(700)  # its workers are there
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    before = page.locator("#examples").inner_html()
    page.get_by_role("slider", name="smooth noise").press("End")
    page.wait_for_function("before => document.getElementById('examples').innerHTML !== before", arg=before)
    page.wait_for_url(re.compile("corr_noise_scale=2"))
    address = page.url
    page.get_by_role("button", name="Train", exact=True).press("Enter")
    wait_for(page, "Done: 2 networks", 1)
    page.get_by_role("slider", name="share of weights pruned").press("ArrowRight")
    page.get_by_role("button", name="Prune and retrain").click()
    wait_for(page, "Done: 2 networks", 2)
    assert page.locator("#masks canvas").evaluate_all("list => list.map((canvas) => canvas.height >= 20)") == [True]
    curves = page.get_by_role("img", name=re.compile("new signals read right.*shuffled, 82 % pruned"))
    assert curves.count() == 1

    table = accuracies(page)  # the program that the page gives has the same results
    page.get_by_text("Copy as Python").click()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(page.locator("#program").inner_text(), {})
    lines = dict(line.split(":") for line in printed.getvalue().strip().splitlines())
    assert {title.replace("logistic regression", "logistic") for title in table} == set(lines)
    for title, accuracy in table.items():
        line = lines[title.replace("logistic regression", "logistic")]
        assert abs(float(line.split()[0]) - accuracy) <= 0.5, (title, line)

    page.get_by_role("slider", name="white noise").press("ArrowRight")  # now the results are of other settings
    page.get_by_text("Trained with white noise 0.02 (now 0.03).").wait_for()
    page.get_by_role("button", name="Back to these settings").click()
    page.get_by_text("Trained with").wait_for(state="hidden")
    page.wait_for_url(lambda url: url == f"{address}&pruned=0.82")
    # on a slow machine its workers still load modules
    assert [url for url in requests if not url.endswith(".js")] == []
    page.reload()  # it has settings and results as before, but no weights to prune
    assert page.get_by_role("slider", name="smooth noise").input_value() == "2"
    assert accuracies(page) == table
    assert page.get_by_role("button", name="Prune and retrain").is_disabled()
    page.get_by_text("train again to prune").wait_for()
    assert "prune" in page.locator("#program").text_content()
    checked = {name: page.get_by_label(name, exact=True).is_checked() for name in ("MLP", "shuffled", "plain")}
    assert checked == {"MLP": False, "shuffled": True, "plain": False}
    page.evaluate("location.hash = 'models=nothing&n_seeds=1000&iid_noise_scale=x&padding_low=99&odd=1'")
    page.wait_for_function("document.querySelector('output[for=n_seeds]').value === '16'")
    assert page.get_by_role("slider", name="least padding").input_value() == "60"


@pytest.mark.slow
@needs_chromium
def test_offline_on_a_phone_dark_and_light(visit):
    """It fits, its text is no smaller than 12 px, and once it is there it needs no network."""
    page = visit(f"models=mlp,cnn&{SMALL}", viewport={"width": 360, "height": 740})
    page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    page.get_by_role("button", name="Train", exact=True).click()
    wait_for(page, "Done: 4 networks", 2)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    sizes = """[...document.querySelectorAll("body *")].filter((part) => part.textContent.trim())
               .map((part) => parseFloat(getComputedStyle(part).fontSize))"""
    assert min(page.evaluate(sizes)) >= 12
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        ink, paper = (
            sum(map(int, re.findall(r"\d+", page.evaluate(f"getComputedStyle(document.body).{what}"))[:3]))
            for what in ("color", "backgroundColor")
        )
        assert (ink > paper) == (scheme == "dark")
    unlabelled = page.locator("input").evaluate_all("list => list.filter((one) => !one.labels.length).length")
    assert unlabelled == 0
    page.reload()
    page.wait_for_selector("#examples svg")
    assert page.get_by_role("slider", name="optimiser steps").input_value() == "100"


TRAIN = """async (jobs) => {
  const { Pool } = await import(new URL("pool.js", location.href));
  const pool = new Pool(2);
  const last = async (job) => {
    let accuracy;
    await pool.train(job, ({ test }) => (accuracy = test.accuracy));
    return accuracy;
  };
  return Promise.all(jobs.map(last));
}"""


@needs_chromium
@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
def test_accuracies_after_training_are_flylabs(visit, model):
    n_seeds, data = 4, replace(flylab.MNIST1D(), n_valid=0)
    job = {"model": model, "data": changes(data), "nSteps": 1000, "batchSize": 100, "rate": 0.01}
    ours = interval(visit().evaluate(TRAIN, [{**job, "seed": seed} for seed in range(n_seeds)]))
    grid = {"learning_rate": [0.01], "seed": range(n_seeds)}
    plan = flylab.Plan(1000, 100, eval_every=1000)
    trained = flylab.train_members(flylab.supervised(flylab.get_model(model)), flylab.published(data), plan, grid)
    theirs = interval(trained.results.test_accuracy.isel(step=-1).values.ravel())
    assert max(ours.low, theirs.low) <= min(ours.high, theirs.high), (ours, theirs)
    assert abs(ours.mean - theirs.mean) < 2
