"""Store finished runs, small enough to commit: `python docs/make_results.py FOLDER`, the folder of `flylab run --out`.

Every run of an unchanged preset gets `claims.json` (the verdicts), `run.json` (command, seeds, protocol, table,
provenance) and `figure.png` in `docs/results/<study>/<preset>/`. Other runs, and smoke presets, are left out.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from flylab import reporting
from flylab.base.config import plain
from flylab.results.plots import style
from flylab.study.registry import get_study, list_studies

RESULTS = Path(__file__).parent / "results"
KEPT = ("finished", "commit", "platform", "processor", "cores", "parity", "python", "versions", "seconds", "trained")
DOTS = 110  # per inch
MOST = 300_000  # bytes of a figure


def store(folder: Path) -> str:
    """Store one run, and return what was done with it."""
    if not (folder / "report.html").exists():  # the last file that a run writes
        return "is skipped: it is not finished"
    results = reporting.load(folder)
    name, preset = str(results.attrs.get("study")), str(results.attrs.get("preset"))
    if name not in list_studies() or preset == "smoke":
        return "is skipped: it is no run of a study, or a smoke preset"
    study, command = get_study(name), reporting.repeat_command(results.attrs)
    if json.loads(results.attrs["protocol"]) != plain(study.presets[preset]):
        return f"is skipped: its protocol is not its preset's ({command})"
    place = RESULTS / name / preset
    place.mkdir(parents=True, exist_ok=True)
    provenance = json.loads((folder / "provenance.json").read_text())
    info = {
        "study": name,
        "preset": preset,
        "run": results.attrs["run"],
        "command": command,
        "n_seeds": results.sizes["seed"],
        "protocol": json.loads(results.attrs["protocol"]),
        "table": study.table(results)._asdict(),
        "provenance": {key: provenance[key] for key in KEPT if key in provenance},
    }
    (place / "run.json").write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n")
    (place / "claims.json").write_text(reporting.claims_json(reporting.verdicts(results)))
    (place / "figure.png").write_bytes(picture(study.figure(results)))
    return f"is stored in {place}"


def picture(figure: Any) -> bytes:
    """Return a figure as a PNG of 256 colours, which is a third of the size and looks the same."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, dpi=DOTS)
    small = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    if len(small.getvalue()) > MOST:
        raise ValueError(f"the figure has {len(small.getvalue())} bytes, more than {MOST}: draw less, or lower DOTS")
    return small.getvalue()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/make_results.py FOLDER")
    for run in reporting.runs_in(Path(sys.argv[1])):
        print(run, store(run))
