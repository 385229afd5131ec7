"""`flylab reproduce`: every study, one page."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from flylab.cli import studies
from flylab.reporting import reproduction
from flylab.study import get_study, list_studies

SMALLEST = {
    "pooling": {"train_sizes": (1000,), "poolings": ("none", "average"), "endless": False},
    "learning_rate": {"starts": (0.15,), "rates": (0.1,), "n_outer_steps": 1},
}


@pytest.fixture
def two_studies(monkeypatch):
    """Two studies, as small as can be."""
    small = {
        name: replace(study, presets={"smoke": replace(study.presets["smoke"], n_seeds=1, **changes)})
        for name, changes in SMALLEST.items()
        for study in [get_study(name)]
    }
    monkeypatch.setattr(reproduction, "list_studies", lambda: tuple(small))
    monkeypatch.setattr(reproduction, "get_study", small.get)


@pytest.mark.slow
def test_all_studies_are_planned_the_cheapest_first():
    planned = reproduction.plans("quick")
    assert {plan.study.name for plan in planned} == {name for name in list_studies() if get_study(name).claims}
    minutes = [plan.study.minutes["quick"] for plan in planned]
    assert minutes == sorted(minutes)


@pytest.mark.slow
@pytest.mark.usefixtures("two_studies")
def test_a_page_with_everything_and_again_it_trains_nothing(tmp_path, capsys):
    seen = SimpleNamespace(begun=[], work=0.0, saved=0)
    watcher = SimpleNamespace(
        begin=lambda n_members, work: seen.begun.append((n_members, work)), condition=lambda _: None,
        worked=lambda work: setattr(seen, "work", seen.work + work), elsewhere=lambda _: None,
        saved=lambda n: setattr(seen, "saved", seen.saved + n),
    )  # fmt: skip
    done = reproduction.reproduce("smoke", tmp_path, watcher=watcher)
    assert list(done.runs) == ["learning_rate", "pooling"]  # the cheapest first
    ((n_members, work),) = seen.begun  # one bar for all
    assert n_members == seen.saved == sum(run.n_trained for run in done.runs.values())
    assert seen.work == pytest.approx(work)
    page = done.page.read_text()
    assert page.count("data:image/png") == 2
    assert f"<td>{len(done.verdicts)}" in page or f">{len(done.verdicts)}<" in page
    assert all(verdict.id in page for verdict in done.verdicts)
    assert all(word in page for word in ("arxiv.org", "versions", "processor", *done.runs))
    assert not re.search(r"(src|href)=\"http", page)
    again = reproduction.reproduce("smoke", tmp_path)
    assert [run.n_trained for run in again.runs.values()] == [0, 0]
    studies.reproduce("smoke", out=tmp_path)
    assert "claims: smoke decides none" in capsys.readouterr().out


def test_an_unknown_preset_is_refused(tmp_path):
    with pytest.raises(ValueError, match="preset='huge' must be smoke, quick or paper"):
        reproduction.reproduce("huge", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
