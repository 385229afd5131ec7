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
from flylab.app import board, explorer
from flylab.base import netcdf
from flylab.base.units import attach_units
from flylab.evaluation.leaderboard import leaderboard


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
    assert "no claims" in explorer.claims(folder, flylab.load(folder))


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


def test_all_verdicts_are_shown(tmp_path):
    results = flylab.run("learning_rate", preset="smoke", out=tmp_path)
    (folder,) = tmp_path.glob("learning_rate/*")
    shown = explorer.claims(folder, results)
    for verdict in flylab.verdicts(results):
        assert f"<b>{verdict.id}</b>" in shown
    (folder / "provenance.json").write_text('{"parity": "failed"}')
    assert explorer.claims(folder, results).startswith("<p><b>Warning: computed on a device that failed")


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
    points = board.chart(entries).to_dict()["data"]["values"]
    assert {point["model"] for point in points} >= {"MLP", "CNN", "GRU"}


def test_unknown_studies_and_presets_are_refused(tmp_path):
    for study, preset in (("nope", "smoke"), ("train", "nope")):
        with pytest.raises(ValueError, match=r"no study|no preset"):
            explorer.Running(study, preset, tmp_path)


@pytest.mark.slow
def test_a_run_from_the_page(tmp_path):
    running = explorer.Running("train", "smoke", tmp_path)
    running.join(120)
    assert running.is_over
    assert running.error == ""
    assert running.share == 1
    assert list(explorer.runs(tmp_path)) == ["train · smoke, 2 seeds"]


@pytest.mark.slow
def test_a_run_is_stopped_and_ends_with_its_page(tmp_path):
    running = explorer.Running("continuum", "smoke", tmp_path / "stopped")
    time.sleep(3)
    running.stop()
    running.join(60)
    assert running.is_over
    assert running.error == ""
    assert running.share < 1
    runs = []
    page = threading.Thread(target=lambda: runs.append(explorer.Running("continuum", "smoke", tmp_path / "left")))
    page.start()
    page.join()
    (running,) = runs
    running.join(60)
    assert running.is_over
    assert running.share < 1


@pytest.mark.slow
def test_a_run_that_fails_says_why(tmp_path):
    (tmp_path / "train").write_text("a file in the way")
    running = explorer.Running("train", "smoke", tmp_path)
    running.join(60)
    assert "cannot write" in running.error
