"""Store finished runs, small enough to commit: `python docs/make_results.py FOLDER`, the folder of `flylab run --out`.

Every run of a preset, on whatever data sets, gets `claims.json` (the verdicts), `run.json` (command, seeds, minutes,
protocol, table, provenance), `figure.png`, `figure.svg`, of `paper` also `figure.pdf`, and, up to 2 MB, `results.nc`
(compressed, where it would be larger) in `docs/results/<study>/<preset>/`, which `flylab.load` opens. Members, other
runs and smoke presets are left out. Then the table in README is written anew.

Without a folder, what is stored is judged and drawn again, after a change of claims, verdicts or figures.
"""

import io
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from flylab import reporting
from flylab.base import netcdf
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
    said = _keep_results(folder, place, results)
    _write(place, info, reporting.load(place) if (place / "results.nc").exists() else results)
    return f"is stored in {place}{said}"


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


def _keep_results(folder: Path, place: Path, results: Any) -> str:
    """Copy results; if they are too large, compress them, make them slim, or leave them out."""
    target, said = place / "results.nc", ""
    shutil.copyfile(folder / "results.nc", target)
    if target.stat().st_size > MOST_RESULTS:
        netcdf.save(target, results, compressed=True)
    if (size := target.stat().st_size) > MOST_RESULTS:
        said = f", slim: all has {size / 1e6:.1f} MB"
        netcdf.save(target, get_study(results.attrs["study"]).slim(results), compressed=True)
    if (size := target.stat().st_size) > MOST_RESULTS:
        target.unlink()  # nor may those of an earlier run stay in its place
        said = f", without results.nc, which has {size / 1e6:.1f} MB"
    return said


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
    """Return README with the stored accuracies of `architectures`, by `quick` and by `paper`, between its two marks."""
    (quick, found), (paper, confirmed) = map(_of_architectures, ("quick", "paper"))
    titles = "plain", "positions shuffled"
    columns = ["", *(f"{source}{title}" for source in ("", "`paper`: ", "published: ") for title in titles)]
    lines, shown = [_line(columns), _line(["---"] * len(columns))], quick["rows"]
    sources = (shown, "last step"), (paper["rows"], "last step"), (shown, "paper")
    for name in shown:
        network, _, arrangement = name.rpartition(", ")
        if arrangement == "plain" and (shuffled := f"{network}, shuffled") in shown:
            cells = [rows[place][column] for rows, column in sources for place in (name, shuffled)]
            lines.append(_line([network, *cells]))
    about = (
        f"Test accuracy in percent, mean ± half of the 95 % interval: {quick['n_seeds']} seeds "
        f"({_minutes(quick)}); `flylab run architectures paper`, {paper['n_seeds']} seeds that were held out for it "
        f"({_minutes(paper)}); and as published:"
    )
    said = [
        f"- {found[id_].statement}: {_said(found[id_])}; by `paper`, {confirmed[id_].kind}: {_said(confirmed[id_])}"
        for id_ in ("mlp.paper", "shuffle-cnn", "shuffle-order")
    ]
    parts = (BEGIN, about, "\n".join(lines), "\n".join(said), END)
    return text.partition(BEGIN)[0] + "\n\n".join(parts) + text.partition(END)[2]


def _of_architectures(preset: str) -> tuple[dict[str, Any], dict[str, Verdict]]:
    """Return what is stored of a run, with its table as `rows` by name, and its verdicts by claim."""
    info, claims = (json.loads((RESULTS / "architectures" / preset / f"{name}.json").read_text())
                    for name in ("run", "claims"))  # fmt: skip
    columns = info["table"]["columns"]
    rows = {row[0]: dict(zip(columns, row, strict=True)) for row in info["table"]["rows"]}
    return info | {"rows": rows}, {claim["id"]: Verdict(**claim) for claim in claims}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _minutes(info: dict[str, Any]) -> str:
    return f"{info['provenance']['seconds'] / 60:.0f} minutes on {info['provenance']['cores']} cores"


def _said(verdict: Verdict) -> str:
    return f"{verdict.measured.replace('-', '−')} {verdict.unit}, **{verdict.word}**"


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: python docs/make_results.py [FOLDER]")
    for run in reporting.runs_in(Path(sys.argv[1])) if sys.argv[1:] else ():
        print(run, store(run))
    for stored in () if sys.argv[1:] else sorted(path.parent for path in RESULTS.glob("*/*/run.json")):
        print(stored, again(stored))
    README.write_text(with_table(README.read_text()))
