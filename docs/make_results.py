"""Store finished runs, small enough to commit: `python docs/make_results.py FOLDER`, the folder of `flylab run --out`.

Every run of a preset, on whatever data sets, gets `claims.json` (the verdicts), `run.json` (command, seeds, minutes,
protocol, table, provenance), `figure.png`, `figure.svg`, of `paper` also `figure.pdf`, and, up to 2 MB, `results.nc`
in `docs/results/<study>/<preset>/`, which `flylab.load` opens. Members, other runs and smoke presets are left out. Then
the table in README is written anew.

Without a folder, what is stored is judged and drawn again, after a change of claims, verdicts or figures.
"""

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from flylab import reporting
from flylab.base.config import plain
from flylab.reporting.figures import figure
from flylab.results.protocols import changes
from flylab.results.verdicts import Verdict
from flylab.study.registry import get_study, list_studies

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- begin: written by docs/make_results.py -->", "<!-- end -->"
FREE = ("dataset", "data_dir")  # fields that a stored run may change: a claim on one data set is judged on no other
KEPT = ("finished", "commit", "platform", "processor", "cores", "devices", "parity", "python", "versions", "seconds",
        "trained", "reused")  # fmt: skip
DOTS = 110  # per inch
MOST = 300_000  # bytes of a PNG
MOST_RESULTS = 2_000_000  # bytes of results


def store(folder: Path) -> str:
    """Store one run, and return what was done with it."""
    if not (folder / "report.html").exists():  # the last file that a run writes
        return "is skipped: it is not finished"
    results = reporting.load(folder)
    name, preset = str(results.attrs.get("study")), str(results.attrs.get("preset"))
    if name not in list_studies() or preset == "smoke":
        return "is skipped: it is no run of a study, or a smoke preset"
    study, command = get_study(name), reporting.repeat_command(results.attrs)
    protocol = json.loads(results.attrs["protocol"])
    if changes(protocol, plain(study.presets[preset])).keys() - FREE:
        return f"is skipped: its protocol is not its preset's ({command})"
    place = RESULTS / name / preset
    place.mkdir(parents=True, exist_ok=True)
    provenance = json.loads((folder / "provenance.json").read_text())
    info = {
        "study": name,
        "preset": preset,
        "run": results.attrs["run"],
        "command": command.replace(str(protocol.get("data_dir")), "FOLDER"),
        "n_seeds": results.sizes["seed"],
        "minutes": round(provenance["seconds"] / 60, 2),
        "protocol": protocol,
        "table": study.table(results)._asdict(),
        "provenance": {key: provenance[key] for key in KEPT if key in provenance},
    }
    _write(place, info, results)
    return f"is stored in {place}{_keep_results(folder, place)}"


def again(place: Path) -> str:
    """Judge and draw a stored run again, and return what was done."""
    if not (place / "results.nc").exists():
        return "is as it was: its results are not stored"
    results = reporting.load(place)
    info = json.loads((place / "run.json").read_text())
    _write(place, info | {"table": get_study(info["study"]).table(results)._asdict()}, results)
    return "is judged and drawn again"


def _write(place: Path, info: dict[str, Any], results: Any) -> None:
    (place / "run.json").write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n")
    (place / "claims.json").write_text(reporting.claims_json(reporting.verdicts(results)))
    drawn = figure(results, "web")
    (place / "figure.png").write_bytes(picture(drawn))
    (place / "figure.svg").write_bytes(reporting.image(drawn, "svg", results.checksum))
    if info["preset"] == "paper":  # these are cited
        (place / "figure.pdf").write_bytes(reporting.image(figure(results, "paper"), "pdf", results.checksum))


def _keep_results(folder: Path, place: Path) -> str:
    """Copy results unless they are too large; those of an earlier run must not stay in their place."""
    (place / "results.nc").unlink(missing_ok=True)
    if (size := (folder / "results.nc").stat().st_size) > MOST_RESULTS:
        return f", without results.nc, which has {size / 1e6:.1f} MB"
    shutil.copyfile(folder / "results.nc", place / "results.nc")
    return ""


def picture(drawn: Any) -> bytes:
    """Return a figure as a PNG of 256 colours, which is a third of the size and looks the same."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, dpi=DOTS)
    small = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    if len(small.getvalue()) > MOST:
        raise ValueError(f"the figure has {len(small.getvalue())} bytes, more than {MOST}: draw less, or lower DOTS")
    return small.getvalue()


def with_table(text: str) -> str:
    """Return README with the accuracies of the stored run `architectures quick` between its two marks."""
    info, claims = (json.loads((RESULTS / "architectures" / "quick" / f"{name}.json").read_text())
                    for name in ("run", "claims"))  # fmt: skip
    columns = info["table"]["columns"]
    rows = {row[0]: dict(zip(columns, row, strict=True)) for row in info["table"]["rows"]}
    lines = ["| | plain | positions shuffled | paper: plain | paper: shuffled |", "|---|---|---|---|---|"]
    for name in rows:
        network, _, arrangement = name.rpartition(", ")
        if arrangement == "plain" and (shuffled := rows.get(f"{network}, shuffled")):
            plain_, paper = rows[name]["last step"], rows[name]["paper"]
            lines.append(f"| {network} | {plain_} | {shuffled['last step']} | {paper} | {shuffled['paper']} |")
    said = [Verdict(**claim) for claim in claims if claim["id"] in ("mlp.paper", "shuffle-cnn", "shuffle-order")]
    minutes, cores = info["provenance"]["seconds"] / 60, info["provenance"]["cores"]
    about = f"{info['table']['title']} ({minutes:.0f} minutes on {cores} cores):"
    found = [f"- {one.statement}: {one.measured.replace('-', '−')} {one.unit}, **{one.word}**" for one in said]
    parts = (BEGIN, about, "\n".join(lines), "\n".join(found), END)
    return text.partition(BEGIN)[0] + "\n\n".join(parts) + text.partition(END)[2]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: python docs/make_results.py [FOLDER]")
    for run in reporting.runs_in(Path(sys.argv[1])) if sys.argv[1:] else ():
        print(run, store(run))
    for stored in () if sys.argv[1:] else sorted(path.parent for path in RESULTS.glob("*/*/run.json")):
        print(stored, again(stored))
    README.write_text(with_table(README.read_text()))
