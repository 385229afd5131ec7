"""Read the results that `docs/make_results.py` stored, and format them for pages."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parents[1] / "results"
WORDS = ("supported", "refuted", "undecided", "not tested")


class Stored(NamedTuple):
    """One stored run."""

    info: dict[str, Any]
    claims: list[dict[str, Any]]
    figure: Path


def of(study: str) -> dict[str, Stored]:
    """Return the stored runs of a study by preset, the largest preset last."""
    runs = [
        Stored(json.loads(path.read_text()), json.loads((path.parent / "claims.json").read_text()),
               path.parent / "figure.png")
        for path in sorted((RESULTS / study).glob("*/run.json"))
    ]  # fmt: skip
    order = {"quick": 0, "threshold": 2}
    return {run.info["preset"]: run for run in sorted(runs, key=lambda run: order.get(run.info["preset"], 1))}


def verdict_of(study: str, claim: str) -> dict[str, Any] | None:
    """Return the verdict on a claim by the largest stored preset that tested it; None if no run is stored."""
    verdicts = [verdict for run in of(study).values() for verdict in run.claims if verdict["id"] == claim]
    tested = [verdict for verdict in verdicts if verdict["effect"] is not None]
    return (tested or verdicts or [None])[-1]


def anchor(study: str, claim: str = "", preset: str = "") -> str:
    """Return the anchor of a claim on its study's page."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(part for part in (study, claim, preset) if part).lower())


def effect(verdict: dict[str, Any]) -> str:
    """Return an effect with its interval, as text."""
    if verdict["effect"] is None:
        return "–"
    if verdict["low"] is None or verdict["high"] is None:
        return number(verdict["effect"])
    return f"{number(verdict['effect'])} ({number(verdict['low'])} … {number(verdict['high'])})"


def number(value: float) -> str:
    """Return a number with two decimals, or with three digits if it is small, and a proper minus sign."""
    text = f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"
    return text.replace("-", "−")


def words(verdict: dict[str, Any]) -> tuple[str, str]:
    """Return the verdict and the study-wide one."""
    return verdict["verdict"] or "–", verdict["verdict_adjusted"] or "–"


def plain(text: Any) -> str:
    """Return Markdown that shows the text unchanged, also in a table."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~^])", r"\\\1", str(text)).replace("\n", " ")


def badge(word: str) -> str:
    """Return a verdict as a coloured badge."""
    return f"[{word}]{{.verdict .{word.replace(' ', '-')}}}" if word in WORDS else word
