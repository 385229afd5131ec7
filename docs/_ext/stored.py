"""The results that `docs/make_results.py` stored, and how pages say them."""

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
    """The stored runs of a study by preset, the one with most seeds last."""
    runs = [
        Stored(json.loads(path.read_text()), json.loads((path.parent / "claims.json").read_text()),
               path.parent / "figure.png")
        for path in sorted((RESULTS / study).glob("*/run.json"))
    ]  # fmt: skip
    order = {"quick": 0, "threshold": 2}
    return {run.info["preset"]: run for run in sorted(runs, key=lambda run: order.get(run.info["preset"], 1))}


def verdict_of(study: str, claim: str) -> dict[str, Any] | None:
    """The verdict on a claim by the largest stored preset that tested it; None if no run is stored."""
    found = [said for run in of(study).values() for said in run.claims if said["id"] == claim]
    tested = [said for said in found if said["effect"] is not None]
    return (tested or found or [None])[-1]


def anchor(study: str, claim: str = "", preset: str = "") -> str:
    """The place of a claim on its study's page."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(part for part in (study, claim, preset) if part).lower())


def effect(said: dict[str, Any]) -> str:
    """An effect with its interval."""
    if said["effect"] is None:
        return "–"
    if said["low"] is None or said["high"] is None:
        return number(said["effect"])
    return f"{number(said['effect'])} ({number(said['low'])} … {number(said['high'])})"


def number(value: float) -> str:
    """With two decimals, or three digits where it is small, and a minus sign."""
    text = f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"
    return text.replace("-", "−")


def words(said: dict[str, Any]) -> tuple[str, str]:
    """The verdict, and the study-wide one."""
    return said["verdict"] or "–", said["verdict_adjusted"] or "–"


def plain(text: Any) -> str:
    """Text as Markdown that shows as it is, in a cell of a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~^])", r"\\\1", str(text)).replace("\n", " ")


def badge(word: str) -> str:
    """A verdict in its colour."""
    return f"[{word}]{{.verdict .{word.replace(' ', '-')}}}" if word in WORDS else word
