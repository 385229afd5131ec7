"""Write a finished run's figure, claims and report page, from its saved results."""

import base64
import functools
import io
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

import jinja2
import xarray as xr
from markupsafe import Markup
from matplotlib.figure import Figure

from flylab.base.files import read_bytes, read_json, write_atomic
from flylab.reporting.finished import load, warning_of
from flylab.reporting.judging import claims_json, study_of, understood, verdicts
from flylab.reporting.repeating import repeat_command
from flylab.results.claims import Verdict
from flylab.results.plots import style
from flylab.results.tables import LEGEND, html_table, html_verdicts
from flylab.runs.plan import RunPlan
from flylab.runs.runner import Run, Watcher, run
from flylab.study.study import Study


def publish(folder: Path, results: xr.Dataset | None = None) -> list[Verdict]:
    """Write `claims.json`, `figure.png`, `figure.svg` and `report.html` into a run's folder, and return the verdicts.

    Args:
        folder: the run's folder.
        results: its results; by default they are loaded.

    Raises:
        ValueError: if the folder's results cannot be read.
    """
    results = load(folder) if results is None else results
    study, judged = study_of(results), verdicts(results)
    with understood(results):
        figure = study.figure(results)
        png, svg = (image(figure, kind, results.attrs.get("checksum", "")) for kind in ("png", "svg"))
        page = _page(study, results, judged, png, folder)
    write_atomic(folder / "figure.png", png)
    write_atomic(folder / "figure.svg", svg)
    write_atomic(folder / "claims.json", claims_json(judged))
    write_atomic(folder / "report.html", page)
    return judged


def run_and_publish(
    plan: RunPlan,
    out: Path,
    *,
    part: tuple[int, int] = (1, 1),
    executor: Executor | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Run a plan like `flylab.runs.run`, then write figure, claims and report, unless they are of these results."""
    done = run(plan, out, part=part, executor=executor, force=force, watcher=watcher)
    if done.results.sizes and "run" in plan.attrs and not _is_published(done):
        publish(done.folder, done.results)
    return done


def _is_published(done: Run) -> bool:
    try:  # the report is written last
        return done.results.checksum.encode() in read_bytes(done.folder / "report.html")
    except OSError:
        return False


def image(figure: Figure, kind: str, stamp: str = "") -> bytes:
    """Return a figure as the content of a file.

    Args:
        figure: the figure.
        kind: "png" or "svg".
        stamp: the checksum of the results it shows, for the file's metadata.
    """
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    buffer = io.BytesIO()
    with style():  # some of it counts when the file is written
        figure.savefig(buffer, format=kind, metadata=metadata | ({"Description": stamp} if stamp else {}))
    return buffer.getvalue()


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return a template of this folder."""
    loader = jinja2.PackageLoader("flylab.reporting", "")
    environment = jinja2.Environment(autoescape=True, loader=loader, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(name)


def _page(study: Study, results: xr.Dataset, judged: Sequence[Verdict], png: bytes, folder: Path) -> str:
    try:
        provenance = dict(read_json(folder / "provenance.json"))
    except (OSError, ValueError, TypeError):  # what is not known is not shown
        provenance = {}
    return template("report.html.j2").render(
        study=study, checksum=results.attrs.get("checksum", ""), preset=results.attrs["preset"],
        n_seeds=results.sizes["seed"],
        command=repeat_command(results.attrs), figure=base64.b64encode(png).decode(),
        table=Markup(html_table(study.table(results))), verdicts=Markup(html_verdicts(judged)), legend=LEGEND,
        warning=warning_of(folder), protocol=json.dumps(json.loads(results.attrs["protocol"]), indent=2),
        provenance=json.dumps(provenance, indent=2) if provenance else "",
    )  # fmt: skip
