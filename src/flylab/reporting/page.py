"""Write a finished run's figure, claims and report page, from its saved results."""

import base64
import functools
import io
import json
import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import jinja2
import xarray as xr
from markupsafe import Markup
from matplotlib.figure import Figure

from flylab.base.config import plain
from flylab.base.files import read_bytes, read_json, write_atomic
from flylab.reporting.figures import draw
from flylab.reporting.finished import load, warning_of
from flylab.reporting.judging import claims_json, study_of, understood, verdicts
from flylab.reporting.repeating import repeat_command
from flylab.results.plots import style
from flylab.results.protocols import changes, flat
from flylab.results.tables import LEGEND, Table, html_table, html_verdicts
from flylab.results.verdicts import Verdict, summary
from flylab.runs.plan import RunPlan
from flylab.runs.runner import Run, Watcher, run
from flylab.study.study import Study

# what would differ between equal figures is left out; and where the checksum stands
_METADATA: dict[str, tuple[dict[str, None], str]] = {
    "png": ({"Software": None}, "Description"), "svg": ({"Date": None}, "Description"),
    "pdf": ({"CreationDate": None}, "Subject"),
}  # fmt: skip
FILES = ("figure.png", "figure.svg", "claims.json", "report.html")  # the two figures first


def publish(folder: Path, results: xr.Dataset | None = None) -> list[Verdict]:
    """Write `claims.json`, `figure.png`, `figure.svg` and `report.html` into a run's folder, and return the verdicts.

    All carry the checksum of the results. If the figure cannot be drawn, a warning says so, and the report is without.

    Args:
        folder: the run's folder.
        results: its results; by default they are loaded.

    Raises:
        ValueError: if the folder's results cannot be read.
    """
    results = load(folder) if results is None else results
    study, judged = study_of(results), verdicts(results)
    images = _images(study, results)
    with understood(results):
        page = _page(study, results, judged, images.get("png", b""), folder)
    for kind in ("png", "svg"):
        if kind in images:
            write_atomic(folder / f"figure.{kind}", images[kind])
        else:
            (folder / f"figure.{kind}").unlink(missing_ok=True)  # it may show other results
    write_atomic(folder / "claims.json", claims_json(judged))
    write_atomic(folder / "report.html", page)
    return judged


def _images(study: Study, results: xr.Dataset) -> dict[str, bytes]:
    """Return the figure of results as the content of files; nothing, with a warning, if it cannot be drawn."""
    try:
        drawn = draw(study, results)
        return {kind: image(drawn, kind, results.attrs.get("checksum", "")) for kind in ("png", "svg")}
    except Exception as error:  # matplotlib's, and those of users' studies, may be any
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        warnings.warn(f"the figure of {study.name} cannot be drawn ({said}); all else is written", stacklevel=3)
        return {}


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
    """Return whether all files that are derived from a run's results are there, and are of these results."""
    checksum = done.results.checksum.encode()
    try:
        contents = [read_bytes(done.folder / name) for name in FILES]
    except OSError:
        return False
    return all(checksum in content or content == claims_json([]).encode() for content in contents)


def image(figure: Figure, kind: str, stamp: str = "") -> bytes:
    """Return a figure as the content of a file.

    Args:
        figure: the figure.
        kind: "png", "svg" or "pdf".
        stamp: the checksum of the results it shows, for the file's metadata.
    """
    metadata, place = _METADATA[kind]
    buffer = io.BytesIO()
    with style():  # some of it counts when the file is written
        figure.savefig(buffer, format=kind, metadata=metadata | ({place: stamp} if stamp else {}))
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
    protocol, preset = json.loads(results.attrs["protocol"]), plain(study.presets[results.attrs["preset"]])
    return template("report.html.j2").render(
        study=study, checksum=results.attrs.get("checksum", ""), preset=results.attrs["preset"],
        n_seeds=results.sizes["seed"], answer=summary(judged, results.sizes["seed"]),
        changed=list(changes(protocol, preset).values()),
        files=["results.nc", *FILES[: 2 if png else 0], "claims.json", *(["provenance.json"] if provenance else [])],
        command=repeat_command(results.attrs), figure=base64.b64encode(png).decode(),
        table=Markup(html_table(study.table(results))), legend=LEGEND,
        verdicts=Markup(html_verdicts(judged)) if judged else "",
        warning=warning_of(folder), fields=Markup(html_table(_fields(protocol, preset))),
        protocol=json.dumps(protocol, indent=2), provenance=json.dumps(provenance, indent=2) if provenance else "",
    )  # fmt: skip


def _fields(protocol: dict[str, Any], preset: dict[str, Any]) -> Table:
    """Return the fields of a protocol; those that differ from the preset's are marked."""
    rows: list[tuple[str, str]] = []
    ours, theirs = flat(protocol), flat(preset)
    for name, value in ours.items():
        if name in theirs and value == theirs[name]:
            rows.append((name, _text(value)))
        else:
            usual = f"the preset has {_text(theirs[name])}" if name in theirs else "not in the preset"
            shown = Markup("<mark>{}</mark> changed: {}").format(_text(value), usual)
            rows.append((Markup("<mark>{}</mark>").format(name), shown))
    return Table("", ("field", "value"), rows)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
