"""What is known of a study: the runs in the user's folder, and the quick run that comes with flylab."""

import contextlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import xarray as xr

from flylab import reporting
from flylab.app import look
from flylab.base.files import read_json
from flylab.results.tables import Table, html_table, html_verdicts
from flylab.results.verdicts import Verdict

# in a wheel, beside this file (see pyproject.toml); in the repository, where `docs/make_results.py` writes them
_PLACES = (Path(__file__).with_name("stored"), Path(__file__).parents[3] / "docs" / "results")
SOURCES = {
    "paper": "Greydanus & Kobak (2024), the paper",
    "blog": "Greydanus (2020), the blog post",
    "nb": "the authors' notebooks as they are now",
    "nb-old": "an older version of the authors' notebooks",
    "here": "flylab's own claim",
}


class Run(NamedTuple):
    """A finished run; of one that comes with flylab, results may be missing.

    Attributes:
        folder: of its files.
        info: study, preset, n_seeds, command and table of a run that comes with flylab; empty for the user's own.
        results: None where they do not come with it.
        verdicts: on the study's claims.
    """

    folder: Path
    info: dict[str, Any]
    results: xr.Dataset | None
    verdicts: list[Verdict]

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        return self.info.get("command") or reporting.repeat_command(
            self.results.attrs if self.results is not None else {}
        )

    @property
    def n_seeds(self) -> int:
        """The number of seeds."""
        return int(self.info["n_seeds"] if self.results is None else self.results.sizes["seed"])


def folders(study: str) -> dict[str, Path]:
    """Return the folders of runs that come with flylab, by names such as "with flylab · quick, 8 seeds"."""
    found = {}
    for place in _PLACES:
        for path in sorted((place / study).glob("*/run.json"), key=lambda path: path.parent.name != "quick"):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                info = read_json(path)
                found.setdefault(f"with flylab · {info['preset']}, {info['n_seeds']} seeds", path.parent)
    return found


def load(folder: Path) -> Run:
    """Open a run.

    Raises:
        ValueError: if it cannot be read.
    """
    if not (folder / "run.json").exists():
        results = reporting.load(folder)
        return Run(folder, {}, results, reporting.verdicts(results))
    results = reporting.load(folder) if (folder / "results.nc").exists() else None
    claims = msgspec.convert(json.loads((folder / "claims.json").read_text()), list[dict[str, Any]])
    return Run(folder, dict(read_json(folder / "run.json")), results, [Verdict(**claim) for claim in claims])


def sentence(run: Run) -> str:
    """Say in one sentence what a run found."""
    words = [verdict.word.partition(":")[0] for verdict in run.verdicts if not verdict.is_sanity_check and verdict.word]
    if not words:
        return f"A comparison of {run.n_seeds} seeds each: this study has no claims to judge."
    claims = "1 claim" if len(words) == 1 else f"{len(words)} claims"
    said = f"Of {claims}, {run.n_seeds} seeds support {words.count('supported')}, refute {words.count('refuted')}"
    rest = [f"{words.count(word)} not tested" for word in ("not tested",) if word in words]
    rest += [f"{words.count(word)} tested under another protocol" for word in ("changed",) if word in words]
    return f"{said} and leave {words.count('undecided')} undecided{'; '.join(['', *rest])}."


def claims(run: Run) -> str:
    """Return claims with verdicts and sources as HTML, and a warning if the device failed the doctor's test."""
    warning = reporting.warning_of(run.folder) if not run.info else ""
    above = f"<p><b>Warning: {look.text(warning)}.</b></p>" if warning else ""
    if not run.verdicts:
        return f"{above}<p>This study has no claims.</p>"
    named = {source for verdict in run.verdicts for source in verdict.source.split(", ")}
    said = "; ".join(f"<b>{source}</b>: {look.text(title)}" for source, title in SOURCES.items() if source in named)
    judged = f'<div class="flylab-scroll">{html_verdicts(run.verdicts)}</div>'
    return f'{above}<p class="flylab-muted">Sources: {said}.</p>{judged}'


def table(run: Run) -> str:
    """Return the run's table as HTML; nothing if it cannot be made of foreign results."""
    try:
        own = None if run.info else run.results
        made = Table(**run.info["table"]) if own is None else reporting.study_of(own).table(own)
    except Exception:  # a study's own code, on results that it did not make
        return ""
    return look.titled(made.title, f'<div class="flylab-scroll">{html_table(made._replace(title=""))}</div>')
