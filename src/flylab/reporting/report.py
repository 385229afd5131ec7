"""Claims, figure and report, from saved results and nothing else."""

import base64
import contextlib
import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import xarray as xr
from matplotlib.figure import Figure

from flylab.base.config import plain
from flylab.base.files import read_json, write_atomic
from flylab.base.netcdf import CorruptedError, open_checked
from flylab.results.claims import Verdict, judge
from flylab.results.plots import style
from flylab.runs.runner import SWEEPS, Run, Watcher, execute
from flylab.study.registry import get_study
from flylab.study.study import Study

_COLOURS = {"supported": "#009E73", "refuted": "#D55E00", "undecided": "#E69F00", "not tested": "#777777"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>flylab: {{ study.name }} ({{ attrs.preset }})</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } .lead { font-size: 1.15rem; margin-top: .3rem; }
img { width: 100%; height: auto; background: white; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
td.n { white-space: nowrap; }
td.s { min-width: 10rem; } .v { color: white; border-radius: .3rem; padding: .05rem .4rem; white-space: nowrap; }
pre { background: #8882; padding: .6rem .8rem; overflow-x: auto; border-radius: .3rem; } small { opacity: .75; }
</style></head><body>
<h1>{{ study.name | replace("_", " ") }}</h1>
<p class="lead">{{ study.question }}</p>
<p>Preset <b>{{ attrs.preset }}</b>, {{ n_seeds }} seeds. To repeat it:</p>
<pre>{{ command }}</pre>
<img alt="figure of the study {{ study.name }}" src="data:image/png;base64,{{ figure }}">
<h2>Results</h2><p>{{ table.title }}</p>
<div class="wide"><table><tr>{% for c in table.columns %}<th>{{ c }}</th>{% endfor %}</tr>
{% for row in table.rows %}<tr>{% for c in row %}<td class="n">{{ c }}</td>{% endfor %}</tr>
{% endfor %}</table></div>
<h2>Claims</h2>
{% if warning %}<p><b>Warning: {{ warning }}.</b></p>{% endif %}
<p>An effect is <b>supported</b> if the whole 95 % interval of its mean over seeds lies inside the claim's region,
<b>refuted</b> if it lies outside, else <b>undecided</b>. The last column is the same at the study-wide level
1 − 0.05/m for the m claims tested.</p>
<div class="wide"><table><tr><th>id</th><th>statement</th><th>source</th><th>published</th><th>region</th>
<th>effect (95 % interval)</th><th>verdict</th><th>study-wide</th></tr>
{% for v in verdicts %}<tr><td class="n">{{ v.id }}</td><td class="s">{{ v.statement }}
{% if v.note %}<br><small>{{ v.note }}</small>{% endif %}
{% if v.seeds_needed is not none %}<br><small>about {{ v.seeds_needed }} more seeds would settle it</small>
{% endif %}</td>
<td>{{ v.source }}</td><td class="n">{{ v.published }}</td><td class="n">{{ v.region }} {{ v.unit }}</td>
<td class="n">{{ effect(v) }}</td>
{% for word in (v.verdict, v.verdict_adjusted) %}<td>{% if word %}
<span class="v" style="background:{{ colours[word] }}">{{ word }}</span>{% else %}–{% endif %}</td>{% endfor %}</tr>
{% endfor %}</table></div>
<h2>Protocol</h2><pre>{{ protocol }}</pre>
{% if provenance %}<h2>Provenance</h2><pre>{{ provenance }}</pre>{% endif %}
</body></html>
"""


@contextlib.contextmanager
def understood(results: xr.Dataset) -> Iterator[None]:
    """Whatever results that a study has not made so, but something else or another version, make its code raise.

    Raises:
        ValueError: naming them.
    """
    try:
        yield
    except Exception as error:
        place = results.encoding.get("source") or f"the run {results.attrs.get('run')}"
        raise ValueError(
            f"{place} holds results that this flylab cannot make sense of ({type(error).__name__}: {str(error)[:200]}):"
            " run the study again"
        ) from error


def study_of(results: xr.Dataset) -> Study:
    """The study that made the results.

    Raises:
        ValueError: if they name none that is known.
    """
    name = results.attrs.get("study", "(none)")
    with understood(results):
        return get_study(str(name))


def verdicts(results: xr.Dataset) -> list[Verdict]:
    """The verdict on every claim of the study that made `results`.

    Raises:
        ValueError: if the results name no known study, or are not as it makes them.
    """
    study = study_of(results)
    with understood(results):
        return judge(
            study.claims, results, {name: study.conditions(protocol) for name, protocol in study.presets.items()}
        )


def publish(folder: Path, results: xr.Dataset | None = None) -> list[Verdict]:
    """Write `claims.json`, `figure.png`, `figure.svg` and `report.html` into a run's folder, and return the verdicts.

    Raises:
        ValueError: if the folder's results cannot be read.
    """
    results = open_results(folder) if results is None else results
    study, found = study_of(results), verdicts(results)
    with understood(results):
        drawn = study.figure(results)
        png, svg = image(drawn, "png"), image(drawn, "svg")
        page = _page(study, results, found, png, folder)
    write_atomic(folder / "figure.png", png)
    write_atomic(folder / "figure.svg", svg)
    write_atomic(folder / "claims.json", claims_json(found))
    write_atomic(folder / "report.html", page)
    return found


def run_and_publish(
    study: Study,
    preset: str,
    protocol: Any,
    out: Path,
    *,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """`execute`, then figure, claims and report, unless those there are newer than the results."""
    done = execute(study, preset, protocol, out, force=force, watcher=watcher)
    page, found = done.folder / "report.html", done.folder / "results.nc"  # the report is the last that is written
    if not page.exists() or page.stat().st_mtime_ns < found.stat().st_mtime_ns:
        publish(done.folder, done.results)
    return done


def load(path: str | Path) -> xr.Dataset:
    """The results of a finished run: its folder, or the `results.nc` in it.

    Raises:
        ValueError: if they cannot be read or do not match their checksum.
    """
    path = Path(path)
    return open_results(path.parent if path.name == "results.nc" else path)


def open_results(folder: Path) -> xr.Dataset:
    """The results in a run's folder.

    Raises:
        ValueError: if they cannot be read, saying how to mend it.
    """
    try:
        return open_checked(folder / "results.nc")
    except (FileNotFoundError, CorruptedError) as error:
        raise ValueError(
            f"{error}; run the study again, which takes what is whole from {folder / 'members'}"
        ) from error


def runs_in(out: Path) -> list[Path]:
    """The folders of all finished runs of studies under `out`, or `out` if it is one; sweeps have no claims.

    Raises:
        ValueError: if there are none.
    """
    paths = [*out.glob("results.nc"), *sorted(out.glob("*/*/results.nc"))]
    found = [path.parent for path in paths if path.absolute().parts[-3] != SWEEPS]
    if not found:
        raise ValueError(f"there are no runs in {out}; begin with: flylab run architectures --out {out}")
    return found


def claims_json(found: list[Verdict]) -> str:
    """The verdicts as a JSON list of objects."""
    return json.dumps([verdict._asdict() for verdict in found], indent=2, ensure_ascii=False) + "\n"


def warning_of(folder: Path) -> str:
    """What speaks against a run's verdicts: that its device failed `flylab doctor`. Empty if nothing is known to."""
    try:
        failed = read_json(folder / "provenance.json").get("parity") == "failed"
    except (OSError, ValueError, AttributeError):
        return ""
    return "computed on a device that failed the parity test of flylab doctor: do not trust it" if failed else ""


def effect_text(verdict: Verdict) -> str:
    """An effect with its interval, in the claim's unit."""
    if verdict.effect is None:
        return "–"
    if verdict.low is None or verdict.high is None:
        return f"{verdict.effect:.2f}"
    return f"{verdict.effect:.2f} ({verdict.low:.2f} … {verdict.high:.2f})"


def repeat_command(attrs: dict[str, Any]) -> str:
    """The command line that makes these results, with every option that differs from the preset."""
    study = get_study(attrs["study"])
    asked, preset = json.loads(attrs["protocol"]), plain(study.presets[attrs["preset"]])
    words = ["flylab", "run", study.name.replace("_", "-"), attrs["preset"]]
    for name, value in _flat(asked).items():
        if value != _flat(preset).get(name):
            flag = name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{flag}" if value else f"--no-{flag}")
            else:
                words += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words)


def _flat(protocol: dict[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in protocol.items() if not isinstance(value, dict)}
    for value in protocol.values():
        flat |= value if isinstance(value, dict) else {}
    return flat


def image(drawn: Figure, kind: str) -> bytes:
    """A figure as the content of a file: `kind` is "png" or "svg"."""
    buffer = io.BytesIO()
    with style():  # some of it counts when the file is written
        drawn.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def _page(study: Study, results: xr.Dataset, found: list[Verdict], png: bytes, folder: Path) -> str:
    try:
        provenance = dict(read_json(folder / "provenance.json"))
    except (OSError, ValueError, TypeError):  # what is not known is not shown
        provenance = {}
    provenance.pop("members", None)  # file digests: long, and of no use to a reader
    return jinja2.Environment(autoescape=True).from_string(_PAGE).render(
        study=study, attrs=results.attrs, n_seeds=results.sizes["seed"], command=repeat_command(results.attrs),
        figure=base64.b64encode(png).decode(), table=study.table(results), verdicts=found, effect=effect_text,
        colours=_COLOURS, warning=warning_of(folder),
        protocol=json.dumps(json.loads(results.attrs["protocol"]), indent=2),
        provenance=json.dumps(provenance, indent=2) if provenance else "",
    )  # fmt: skip
