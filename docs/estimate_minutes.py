"""Estimate how long each `paper` preset takes: `python docs/estimate_minutes.py [STUDY …]`, some minutes for all.

It writes `docs/results/minutes.json`, from which the page of studies is made. As `flylab run STUDY paper --dry-run`, it
trains some members for seconds; but it counts the time that the cores work for it, so that other work on the machine
does not matter.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from flylab.runs.estimate import estimate
from flylab.runs.plan import plan_of_study
from flylab.runs.provenance import origin, processor_class
from flylab.study.registry import get_study, list_studies

MINUTES = Path(__file__).parent / "results" / "minutes.json"


def minutes(study: str) -> float | None:
    """Return the minutes of a study's preset `paper` on all cores of this machine; None if it gives no steps."""
    found = get_study(study)
    plan = plan_of_study(found, "paper", found.presets["paper"])
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as empty:
        seconds = estimate(plan, Path(empty), clock=lambda: time.process_time() / cores).seconds
    return None if seconds is None else round(seconds / 60, 1)


if __name__ == "__main__":
    known: dict[str, Any] = json.loads(MINUTES.read_text()) if MINUTES.exists() else {"paper": {}}
    for name in sys.argv[1:] or [name for name in list_studies() if "paper" in get_study(name).presets]:
        known["paper"][name] = minutes(name)
        print(f"{name}: {known['paper'][name]} minutes", flush=True)
        where = origin()
        known |= {"processor": f"{where['processor']}, {processor_class()}", "cores": where["cores"]}
        MINUTES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
