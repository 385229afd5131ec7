"""Reproduction of every study: one run after another, and one page with all figures and claims."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from markupsafe import Markup

import flylab
from flylab.base import runtime
from flylab.base.files import read_bytes, read_json, write_atomic
from flylab.reporting.finished import warning_of
from flylab.reporting.judging import verdicts
from flylab.reporting.page import run_and_publish, template
from flylab.results.tables import LEGEND, Table, html_table, html_verdicts
from flylab.results.verdicts import WORDS, Verdict, counted, tally
from flylab.runs.plan import RunPlan, plan_of_study
from flylab.runs.progress import Nobody, Watcher, Work
from flylab.runs.runner import Run
from flylab.runs.store import stored
from flylab.study.registry import get_study, list_studies

CITE = """Greydanus, S., & Kobak, D. (2024). Scaling Down Deep Learning with MNIST-1D.
Proceedings of the 41st International Conference on Machine Learning. https://arxiv.org/abs/2011.14439
flylab {version}: the fruit-fly lab of deep learning."""


class Reproduction(NamedTuple):
    """Every study, run under one preset.

    Attributes:
        page: the path of the page.
        runs: a run for each study.
        verdicts: on all claims.
    """

    page: Path
    runs: dict[str, Run]
    verdicts: list[Verdict]


def plans(preset: str) -> list[RunPlan]:
    """Return the plan of every study that has a preset and claims to test, the cheapest first."""
    studies = [study for study in map(get_study, list_studies()) if preset in study.presets and study.claims]
    studies.sort(key=lambda study: study.minutes.get(preset, float("inf")))
    return [plan_of_study(study, preset, study.presets[preset]) for study in studies]


def reproduce(preset: str, out: Path, *, force: bool = False, watcher: Watcher | None = None) -> Reproduction:
    """Run every study, one after another, and write `reproduction.html`; what is finished is not trained again.

    Args:
        preset: "smoke", "quick" or "paper".
        out: the folder of all runs.
        force: train everything again.
        watcher: an observer of the progress of all studies together.

    Raises:
        ValueError: if no study has the preset.
        OSError: if the folder cannot be written.
    """
    runtime.initialise()  # before a study starts JAX
    planned = plans(preset)
    if not planned:
        raise ValueError(f"preset={preset!r} must be smoke, quick or paper: no study has it")
    together = _Together(watcher or Nobody())
    together.expect(preset, planned, out, force)
    runs: dict[str, Run] = {}
    for plan in planned:
        together.study = plan.study.name
        runs[plan.study.name] = run_and_publish(plan, out, force=force, watcher=cast(Any, together))
    judged = {name: verdicts(run.results) for name, run in runs.items()}
    page = out / "reproduction.html"
    write_atomic(page, _page(preset, out, planned, runs, judged))
    return Reproduction(page, runs, [verdict for study in judged.values() for verdict in study])


class _Together:
    """A watcher of several runs as if they were one: each study's work is the minutes that it is known to take."""

    def __init__(self, watcher: Watcher | Nobody) -> None:
        self._watcher, self.study = watcher, ""
        self._scales: dict[str, float] = {}

    def expect(self, preset: str, planned: Sequence[RunPlan], out: Path, force: bool) -> None:
        """Begin with the work that all runs have left."""
        n_members, work = 0, 0.0
        for plan in planned:
            groups = list(plan.groups())
            have = set() if force else stored(out, [name for group in groups for name in group.names])
            left = [part for group in groups if (part := group.only(set(group.names) - have)).names]
            n_members += sum(len(group.names) for group in left)
            guess = Work(plan.study, groups)
            scale = self._scales[plan.study.name] = 60 * plan.study.minutes.get(preset, guess.total / 60) / guess.total
            work += scale * sum(guess.of(group) + guess.begun(group) for group in left)
        self._watcher.begin(n_members, work)

    def worked(self, work: float) -> None:
        """Add finished work of the study that runs."""
        self._watcher.worked(self._scales[self.study] * work)

    def begin(self, n_members: int, work: float) -> None:
        """Pass over the beginning of a run, which is expected already."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watcher, name)


def _page(
    preset: str, out: Path, planned: Sequence[RunPlan], runs: dict[str, Run], judged: dict[str, list[Verdict]]
) -> str:
    reports, rows, machines = [], [], {}
    for plan in planned:
        study, run = plan.study, runs[plan.study.name]
        figure = run.folder / "figure.png"
        about = dict(read_json(run.folder / "provenance.json"))
        seconds = about.pop("seconds")
        trained, reused = about.pop("trained"), about.pop("reused")
        link = Markup('<a href="#{}">{}</a>').format(study.name, study.name.replace("_", " "))
        members = f"{trained} trained, {reused} reused"
        rows.append((link, f"{seconds / 60:.1f}", members, *_counts(judged[study.name])))
        for name in ("finished", "command", "elsewhere"):
            about.pop(name, None)
        machines[json.dumps(about, sort_keys=True)] = about
        reports.append({
            "name": study.name, "question": study.question, "n_seeds": run.results.sizes["seed"],
            "figure": base64.b64encode(read_bytes(figure) if figure.exists() else b"").decode(),
            "table": Markup(html_table(study.table(run.results))), "warning": warning_of(run.folder),
            "verdicts": Markup(html_verdicts(judged[study.name])) if judged[study.name] else "",
        })  # fmt: skip
    everything = [verdict for study in judged.values() for verdict in study]
    counts = Table("", ("claims", *WORDS), [(str(len(counted(everything))), *_counts(everything))])
    table = Table("", ("study", "minutes of the last run", "members in it", *WORDS), rows)
    return template("reproduction.html.j2").render(
        checksum=" ".join(run.results.checksum for run in runs.values()), preset=preset, version=flylab.__version__,
        command=f"flylab reproduce {preset} --out {out}", counts=Markup(html_table(counts)), legend=LEGEND,
        studies=Markup(html_table(table)), reports=reports, cite=CITE.format(version=flylab.__version__),
        machine="\n".join(json.dumps(about, indent=2) for about in machines.values()),
    )  # fmt: skip


def _counts(judged: Sequence[Verdict]) -> tuple[str, ...]:
    number = tally(judged)
    return tuple(str(number[word]) for word in WORDS)
