"""Store what finished runs found, small enough to commit: `python docs/make_results.py FOLDER` (of `flylab run --out`).

For every run of a preset as it stands, `docs/results/<study>/<preset>/` gets `claims.json` (the verdicts), `run.json`
(command, seeds, protocol, table, provenance) and `figure.png`. Other runs, and presets called smoke, are left out.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from flylab import reporting
from flylab.results.plots import style
from flylab.study.registry import get_study, list_studies

RESULTS = Path(__file__).parent / "results"
KEPT = ("finished", "commit", "platform", "processor", "cores", "parity", "python", "versions", "seconds", "trained")
DOTS = 110  # per inch
MOST = 300_000  # bytes of a figure


def store(folder: Path) -> str:
    """Store one run, and say what was done with it."""
    if not (folder / "report.html").exists():  # the last file that a run writes
        return "is not finished"
    results = reporting.load(folder)
    name, preset = results.attrs.get("study"), results.attrs.get("preset")
    if name not in list_studies() or preset == "smoke":
        return "is no run to store"
    command = reporting.repeat_command(results.attrs)
    if command != f"flylab run {name.replace('_', '-')} --preset {preset}":
        return f"is of another protocol than its preset ({command})"
    place = RESULTS / name / preset
    place.mkdir(parents=True, exist_ok=True)
    study = get_study(name)
    made = json.loads((folder / "provenance.json").read_text())
    info = {
        "study": name,
        "preset": preset,
        "run": results.attrs["run"],
        "command": command,
        "n_seeds": results.sizes["seed"],
        "protocol": json.loads(results.attrs["protocol"]),
        "table": study.table(results)._asdict(),
        "provenance": {key: made[key] for key in KEPT if key in made},
    }
    (place / "run.json").write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n")
    (place / "claims.json").write_text(reporting.claims_json(reporting.verdicts(results)))
    (place / "figure.png").write_bytes(picture(study.figure(results)))
    return f"is stored in {place}"


def picture(drawn: Any) -> bytes:
    """A figure as a PNG of 256 colours, which is a third of the size and looks the same."""
    buffer = io.BytesIO()
    with style():
        drawn.savefig(buffer, dpi=DOTS)
    small = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    if len(small.getvalue()) > MOST:
        raise ValueError(f"the figure takes {len(small.getvalue())} bytes: draw less, or lower DOTS")
    return small.getvalue()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/make_results.py FOLDER")
    for found in reporting.runs_in(Path(sys.argv[1])):
        print(found, store(found))
