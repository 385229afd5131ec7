"""Read the results that `docs/make_results.py` stored, and format them for pages."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from flylab.results.tables import VERDICT_COLOURS
from flylab.results.verdicts import Verdict
from flylab.study.registry import get_study

RESULTS = Path(__file__).parents[1] / "results"


class Stored(NamedTuple):
    """One stored run."""

    info: dict[str, Any]
    verdicts: list[Verdict]
    figure: Path


def of(study: str) -> dict[str, Stored]:
    """Return the stored runs of a study by preset, the largest preset last."""
    runs = []
    for path in sorted((RESULTS / study).glob("*/run.json")):
        verdicts = [Verdict(**fields) for fields in json.loads((path.parent / "claims.json").read_text())]
        runs.append(Stored(json.loads(path.read_text()), verdicts, path.parent / "figure.png"))
    return {run.info["preset"]: run for run in sorted(runs, key=lambda run: run.info["preset"] != "quick")}


def minutes() -> dict[str, Any]:
    """Return what `docs/estimate_minutes.py` found: the minutes of each `paper` preset, and on which machine."""
    return json.loads((RESULTS / "minutes.json").read_text())


def verdict_of(study: str, claim: str) -> Verdict | None:
    """Return the verdict on a claim by the stored run of most seeds that tested it; None if no run is stored."""
    runs = sorted(of(study).values(), key=lambda run: run.info["n_seeds"])
    verdicts = [verdict for run in runs for verdict in run.verdicts if verdict.id == claim]
    tested = [verdict for verdict in verdicts if verdict.effect is not None]
    return (tested or verdicts or [None])[-1]


def latest(study: str) -> list[Verdict]:
    """Return the verdicts on all claims of a study, each by the run that `verdict_of` names."""
    return [verdict for claim in get_study(study).claims if (verdict := verdict_of(study, claim.id))]


def anchor(study: str, claim: str = "", preset: str = "") -> str:
    """Return the anchor of a claim on its study's page."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(part for part in (study, claim, preset) if part).lower())


def with_minus(text: str) -> str:
    """Return text with proper minus signs before numbers."""
    return re.sub(r"-(?=\d)", "−", text)


def plain(text: Any) -> str:
    """Return Markdown that shows the text unchanged, also in a table."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~^])", r"\\\1", str(text)).replace("\n", " ")


def badge(word: str | None) -> str:
    """Return a verdict as a coloured badge; a dash for None."""
    return f"[{word}]{{.verdict .{class_of(word)}}}" if word else "–"


def class_of(word: str) -> str:
    """Return the CSS class of a verdict."""
    return word.replace(" ", "-")


def style_sheet() -> str:
    """Return the CSS that colours verdicts."""
    rules = (f".verdict.{class_of(word)} {{ background: {colour}; }}" for word, colour in VERDICT_COLOURS.items())
    return "\n".join(rules) + "\n"
