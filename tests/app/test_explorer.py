"""The page of studies: the runs that it finds, charts of any two dimensions, and runs that can be stopped."""

import base64
import io
import re
import threading
import time

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import flylab
from flylab.app import board, explorer, running, stored
from flylab.base import netcdf
from flylab.base.units import attach_units
from flylab.evaluation.leaderboard import leaderboard
from flylab.study import list_studies


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    flylab.run("train", preset="smoke", out=folder, n_steps=4, eval_every=2, model="logistic")
    return folder


def test_finished_runs_are_found_and_others_skipped(out):
    (name,) = explorer.runs(out)
    assert name == "train · smoke, 2 seeds"
    for folder, content in (("damaged", b"x"), ("foreign", netcdf.encoded(xr.Dataset({"a": ("seed", [1.0])})))):
        (out / folder / "quick-1").mkdir(parents=True)
        (out / folder / "quick-1" / "results.nc").write_bytes(content)
    assert list(explorer.runs(out)) == [name]
    folder = explorer.runs(out)[name]
    assert "no claims" in stored.claims(stored.load(folder))


def test_a_figure_is_dark_on_dark_pages(out, tmp_path):
    (folder,) = (path.parent for path in out.glob("train/*/results.nc"))
    results = flylab.load(folder)
    shown = explorer.figure(folder, results)
    light, dark = (re.search(pattern, shown)[1] for pattern in ('src="([^"]+)"', 'srcset="([^"]+)" media="[^"]*dark'))
    brightness = [np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("L")).mean()
                  for data in (light, dark)]  # fmt: skip
    assert brightness[0] > 200 > 60 > brightness[1]
    assert "srcset" not in explorer.figure(folder, results.assign_attrs(study="nobody's"))
    assert explorer.figure(tmp_path, results) == ""


@pytest.mark.slow
def test_all_verdicts_are_shown(tmp_path):
    results = flylab.run("learning_rate", preset="smoke", out=tmp_path)
    (folder,) = tmp_path.glob("learning_rate/*")
    shown = stored.claims(stored.load(folder))
    for verdict in flylab.verdicts(results):
        assert f"<b>{verdict.id}</b>" in shown
    (folder / "provenance.json").write_text('{"parity": "failed"}')
    assert stored.claims(stored.load(folder)).startswith("<p><b>Warning: computed on a device that failed")


@pytest.fixture
def results(rng):
    values = rng.normal(50, 5, (3, 4, 5)).astype("f4")
    data = {"test_accuracy": (("model", "width", "seed"), values), "n": (("seed",), np.arange(5.0))}
    return attach_units(xr.Dataset(data, {"model": ["a", "b", "c"], "width": [2, 8, 32, 128], "seed": range(5)}))


def test_a_chart_of_any_dimensions(results):
    axes = explorer.Axes.of(results)
    assert (axes.values, axes.dims) == (["test_accuracy"], ["model", "width"])
    drawn = explorer.chart(results, "test_accuracy", "width", "model", {}).to_dict()
    points = {(point["line"], point["x"]): point["mean"] for point in drawn["data"]["values"]}
    assert len(drawn["data"]["values"]) == len(points) == 12
    mean = results.test_accuracy.sel(model="b", width=8).mean().item()
    assert points["b", 8] == pytest.approx(mean, abs=1e-3)
    assert drawn["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
    assert "%" in drawn["layer"][1]["encoding"]["y"]["title"]
    by_model = explorer.chart(results, "test_accuracy", "model", None, {"width": 32}).to_dict()["data"]["values"]
    assert [point["x"] for point in by_model] == ["a", "b", "c"]
    mean = results.test_accuracy.sel(model="a", width=32).mean().item()
    assert by_model[0]["mean"] == pytest.approx(mean, abs=1e-3)


def test_the_leaderboard(tmp_path):
    entries = leaderboard(tmp_path, "score")
    assert "MLP-Mixer" in board.table(entries)
    drawn = board.chart(entries)
    for entry in entries:
        assert drawn.count(f">{board._short(entry.row['title'])}</text>") == 2  # on wide pages and on narrow ones
    narrow = drawn.partition("flylab-narrow")[2]
    places = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" font-size="12" text-anchor="start"', narrow)
    rows = sorted(float(y) for x, y in places if x == places[-1][0])
    assert len(rows) == len(entries)
    assert min(np.diff(rows)) >= 14.9  # no name covers another


@pytest.mark.parametrize("study", [name for name in list_studies() if stored.folders(name)])
def test_every_study_comes_with_a_run(study):
    """Figure, sentence, claims or table are there before anything is run, with the whole results or without."""
    name, folder = next(iter(stored.folders(study).items()))
    assert name.startswith("with flylab · quick, ")
    run = stored.load(folder)
    small = run._replace(results=None)
    for one in (run, small):
        assert re.match(r"Of \d+ claims?, \d+ seeds support \d+|A comparison of \d+ seeds", stored.sentence(one))
        assert one.command.startswith("flylab run")
    assert "<img" in explorer.figure(folder, None)
    assert "<table" in stored.table(small)
    assert {source for verdict in run.verdicts for source in verdict.source.split(", ")} <= set(stored.SOURCES)


def test_unknown_studies_and_presets_are_refused(tmp_path):
    for study, preset in (("nope", "smoke"), ("train", "nope")):
        with pytest.raises(ValueError, match=r"no study|no preset"):
            running.Running(study, preset, tmp_path)


@pytest.mark.long
def test_a_run_from_the_page(tmp_path):
    process = running.Running("train", "smoke", tmp_path)
    process.join(120)
    assert process.is_over
    assert process.error == ""
    assert process.share == 1
    assert list(explorer.runs(tmp_path)) == ["train · smoke, 2 seeds"]


@pytest.mark.long
def test_a_run_is_stopped_and_ends_with_its_page(tmp_path):
    process = running.Running("continuum", "smoke", tmp_path / "stopped")
    time.sleep(3)
    process.stop()
    process.join(60)
    assert process.is_over
    assert process.error == ""
    assert process.share < 1
    runs = []
    page = threading.Thread(target=lambda: runs.append(running.Running("continuum", "smoke", tmp_path / "left")))
    page.start()
    page.join()
    (process,) = runs
    process.join(60)
    assert process.is_over
    assert process.share < 1


@pytest.mark.long
def test_a_run_that_fails_says_why(tmp_path):
    (tmp_path / "train").write_text("a file in the way")
    process = running.Running("train", "smoke", tmp_path)
    process.join(180)
    assert "cannot write" in process.error
