"""Write a finished run's figure, claims and report page, from its saved results."""

import base64
import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import xarray as xr
from markupsafe import Markup
from matplotlib.figure import Figure

from flylab.base.files import read_json, write_atomic
from flylab.reporting.finished import load, warning_of
from flylab.reporting.judging import claims_json, study_of, understood, verdicts
from flylab.reporting.repeating import repeat_command
from flylab.results.claims import Verdict
from flylab.results.plots import style
from flylab.results.tables import LEGEND, html_table, html_verdicts
from flylab.runs.runner import Run, Watcher, execute
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
        png, svg = image(figure, "png"), image(figure, "svg")
        page = _page(study, results, judged, png, folder)
    write_atomic(folder / "figure.png", png)
    write_atomic(folder / "figure.svg", svg)
    write_atomic(folder / "claims.json", claims_json(judged))
    write_atomic(folder / "report.html", page)
    return judged


def run_and_publish(
    study: Study,
    preset: str,
    protocol: Any,
    out: Path,
    *,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Run a study by `execute`, then write figure, claims and report unless they are newer than the results."""
    run = execute(study, preset, protocol, out, force=force, watcher=watcher)
    report, results = run.folder / "report.html", run.folder / "results.nc"  # the report is written last
    if not report.exists() or report.stat().st_mtime_ns < results.stat().st_mtime_ns:
        publish(run.folder, run.results)
    return run


def image(figure: Figure, kind: str) -> bytes:
    """Return a figure as the content of a file; `kind` is "png" or "svg"."""
    buffer = io.BytesIO()
    with style():  # some of it counts when the file is written
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


@functools.cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("flylab.reporting", "")
    environment = jinja2.Environment(autoescape=True, loader=loader, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html.j2")


def _page(study: Study, results: xr.Dataset, judged: Sequence[Verdict], png: bytes, folder: Path) -> str:
    try:
        provenance = dict(read_json(folder / "provenance.json"))
    except (OSError, ValueError, TypeError):  # what is not known is not shown
        provenance = {}
    provenance.pop("members", None)  # file digests: long, and of no use to a reader
    return _template().render(
        study=study, preset=results.attrs["preset"], n_seeds=results.sizes["seed"],
        command=repeat_command(results.attrs), figure=base64.b64encode(png).decode(),
        table=Markup(html_table(study.table(results))), verdicts=Markup(html_verdicts(judged)), legend=LEGEND,
        warning=warning_of(folder), protocol=json.dumps(json.loads(results.attrs["protocol"]), indent=2),
        provenance=json.dumps(provenance, indent=2) if provenance else "",
    )  # fmt: skip
