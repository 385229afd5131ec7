"""`docs/make_results.py` stores what pages are generated from, small enough to commit, and it opens again."""

import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flylab
from flylab.base import netcdf
from flylab.results.verdicts import Verdict
from flylab.study import get_study
from flylab.study.registry import list_studies

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import found  # noqa: E402
import pages  # noqa: E402
import stored  # noqa: E402

REGISTERED = get_study("learning_rate")
STUDY = replace(REGISTERED, presets={**REGISTERED.presets, "quick": REGISTERED.presets["smoke"]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of `quick`, which is as small as `smoke` here."""
    out = tmp_path_factory.mktemp("runs")
    flylab.run(STUDY, preset="quick", out=out)
    (folder,) = out.glob("learning_rate/*")
    return folder


@pytest.fixture
def unchanged():
    spec = importlib.util.spec_from_file_location("make_results", DOCS / "make_results.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.fixture
def script(unchanged, tmp_path, monkeypatch):
    script = unchanged
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    monkeypatch.setattr(script, "get_study", lambda name: STUDY)
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    return script


@pytest.mark.slow
def test_what_is_stored_opens_again(folder, script, tmp_path):
    place = tmp_path / "learning_rate" / "quick"
    assert script.store(folder) == f"is stored in {place}"
    names = {"claims.json", "figure.png", "figure.svg", "results.nc", "run.json"}
    assert {path.name for path in place.iterdir()} == names
    assert flylab.load(place).identical(flylab.load(folder))
    info = json.loads((place / "run.json").read_text())
    assert info["minutes"] == pytest.approx(info["provenance"]["seconds"] / 60, abs=0.01)
    page = pages.study_page("learning_rate")
    assert 'flylab.load("docs/results/learning_rate/quick")' in page
    assert "No run is stored yet: `flylab run learning-rate paper`" in page


@pytest.mark.slow
def test_a_figure_of_preset_paper_is_also_a_pdf(folder, script, tmp_path):
    script._write(tmp_path, {"study": "learning_rate", "preset": "paper"}, flylab.load(folder))
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_what_is_stored_is_judged_and_drawn_again(folder, script, tmp_path):
    script.store(folder)
    place = tmp_path / "learning_rate" / "quick"
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    for name in ("claims.json", "figure.png", "figure.svg"):
        (place / name).write_text("old")
    assert script.again(place) == "is judged and drawn again"
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    (place / "results.nc").unlink()
    assert "is as it was" in script.again(place)


def test_no_paper_preset_takes_longer_than_it_may():
    """Where this fails: run `python docs/estimate_minutes.py`, and take values from the preset that costs most."""
    estimates = stored.minutes()["paper"]
    assert estimates.keys() == {name for name in list_studies() if "paper" in get_study(name).presets}
    faster = 1.5  # the cores for which presets are designed, against those of the estimates
    # optimizers: its confirmatory run was stored before estimates were right, and a stored protocol stays
    most = {"lottery": 120, "optimizers": 60}
    assert not {name for name, minutes in estimates.items() if minutes / faster > most.get(name, 45)}
    assert f"| {estimates['lottery']} |\n" in pages.studies_index()


@pytest.mark.slow
def test_large_results_are_left_out(folder, script, tmp_path, monkeypatch):
    script.store(folder)
    monkeypatch.setattr(script, "MOST_RESULTS", 1000)
    assert "without results.nc, which has 0." in script.store(folder)
    assert not (tmp_path / "learning_rate" / "quick" / "results.nc").exists()  # nor that of the run before
    assert "flylab.load" not in pages.study_page("learning_rate")


def test_results_of_a_sparse_design_are_compressed(folder, script, tmp_path, monkeypatch):
    results = flylab.load(folder)
    sparse = results.assign(score=(("seed", "place"), np.full((results.sizes["seed"], 50_000), np.nan)))
    netcdf.save(tmp_path / "results.nc", sparse)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(script, "MOST_RESULTS", (folder / "results.nc").stat().st_size + 10_000)
    assert script._keep_results(tmp_path, place, sparse) == ""
    assert netcdf.open_checked(place / "results.nc").equals(sparse)


def test_what_is_known_of_single_examples_is_left_out_first(folder, script, tmp_path, monkeypatch):
    results = flylab.load(folder)
    many = np.random.default_rng(0).integers(10, size=(results.sizes["seed"], 50_000), dtype=np.uint8)
    netcdf.save(tmp_path / "results.nc", larger := results.assign(prediction=(("seed", "example"), many)))
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(script, "MOST_RESULTS", (folder / "results.nc").stat().st_size + 10_000)
    assert "slim" in script._keep_results(tmp_path, place, larger)
    assert netcdf.open_checked(place / "results.nc").equals(results)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "changes", "says"), [("smoke", {}, "a smoke preset"), ("quick", {"n_seeds": 1}, "is not its preset's")]
)
def test_other_runs_are_left_out(preset, changes, says, script, tmp_path):
    flylab.run(STUDY, preset=preset, out=tmp_path / "runs", **changes)
    (run,) = (tmp_path / "runs").glob("learning_rate/*")
    assert says in script.store(run)
    shutil.rmtree(tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_the_numbers_of_readme_are_those_that_are_stored(unchanged):
    """Where this fails: run `python docs/make_results.py runs`."""
    text = unchanged.README.read_text()
    assert unchanged.with_table(text) == text
    assert "| CNN | " in text


@pytest.mark.parametrize(("word", "are_all"), [("refuted", True), ("supported", False)])
def test_no_claim_that_fell_is_left_out(word, are_all, monkeypatch):
    claims = {(study, claim.id): claim for study in list_studies() for claim in get_study(study).claims}

    def verdict_of(study, id_):
        is_check = claims[study, id_].is_sanity_check
        return Verdict(study, "quick", "r", id_, "s", "here", "–", "%", "≥ 0", 1.0, 0.5, 1.5, 4, word, word, None,
                       is_sanity_check=is_check)  # fmt: skip

    monkeypatch.setattr(stored, "verdict_of", verdict_of)
    text = found.lists()
    assert "Confirmatory are 0 that stand" in text  # these are by `quick`
    shown = {place for place in claims if f"[{place[1]}](generated/studies/{place[0]}.md#" in text}
    headlines = {(study, id_) for study, ids in found.HEADLINES.items() for id_ in ids}
    assert shown == ({place for place, claim in claims.items() if not claim.is_sanity_check} if are_all else headlines)
