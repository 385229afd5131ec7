"""Commands for studies and their runs: `flylab list | claims | figures | report | reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flylab.base.text import one_line, visible
from flylab.cli.options import RUNS, Force, Json, Out, Runs, Switch
from flylab.cli.terminal import console, print_json, print_studies, print_verdicts, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flylab.study.study import Study


def list_(*, json: Json = False) -> None:
    """List the studies and what their presets cost."""
    from flylab.study.registry import get_study, list_studies

    studies = []
    for name in list_studies():
        try:
            study = get_study(name)
        except ValueError as error:  # a broken package does not hide the others
            say(f"flylab: {one_line(error)}", error=True)
            continue
        costs = {preset: cost(study, preset) for preset in study.presets}
        studies.append({"study": study.name.replace("_", "-"), "question": study.question, "presets": costs})
    if json:
        print_json(studies)
    else:
        print_studies(console(), studies)


def cost(study: "Study", preset: str) -> dict[str, Any]:
    """Return the seeds and members of a preset, and its minutes on two cores, None if unknown."""
    protocol = study.presets[preset]
    n_members = len(study.conditions(protocol)) * protocol.n_seeds
    return {"n_seeds": protocol.n_seeds, "n_members": n_members, "minutes": study.minutes.get(preset)}


def claims(path: Runs = RUNS, /, *, json: Json = False) -> None:
    """Print the verdict on every claim."""
    from flylab.reporting import load, runs_in, verdicts
    from flylab.results.verdicts import summary

    judged = _of_each(runs_in(path, sweeps=True), lambda folder: verdicts(load(folder)))
    if json:
        print_json([verdict._asdict() for run in judged.values() for verdict in run])
        return
    verdicts_by_run: dict[str, list] = {}
    for folder, run in judged.items():
        for verdict in run:
            place = str(folder) if verdict.run == folder.name else f"{folder} at {verdict.run.partition(': ')[2]}"
            verdicts_by_run.setdefault(place, []).append(verdict)
    terminal = console()
    for place, run_verdicts in verdicts_by_run.items():
        terminal.print(visible(place), style="bold", markup=False, highlight=False)
        print_verdicts(terminal, run_verdicts)
        say(summary(run_verdicts, max(verdict.n_seeds for verdict in run_verdicts)))
    for folder in judged:
        print_warning(folder)


def report(path: Runs = RUNS, /) -> None:
    """Write figure, claims and report again, from saved results."""
    from flylab.reporting import publish, runs_in

    def written(folder: Path) -> None:
        publish(folder)
        say(folder / "report.html")

    _of_each(runs_in(path), written)


def figures(
    out: Runs = RUNS, *, format: Literal["pdf", "svg", "png"] = "pdf",  # noqa: A002
    style: Literal["paper", "slide", "web"] = "paper", width: str = "full", dark: Switch = False,
) -> None:  # fmt: skip
    """Draw the figure of every run for a paper, for slides or for the web, from saved results.

    Args:
        format: Format of the files, which are written into the runs' folders.
        style: paper has text of 7 points and more at its width, and fonts that stay text; slide has large text.
        width: full or column (6.75 or 3.25 inches on paper), or inches.
        dark: Draw light on dark.
    """
    from flylab.base.files import write_atomic
    from flylab.reporting import figure, image, load, runs_in

    def drawn(folder: Path) -> None:
        results = load(folder)
        target = folder / f"figure-{style}{'-dark' if dark else ''}.{format}"
        write_atomic(target, image(figure(results, style, width, dark), format, results.attrs.get("checksum", "")))
        say(target)

    _of_each(runs_in(out), drawn)


def _of_each(folders: "Sequence[Path]", act: "Callable[[Path], Any]") -> dict[Path, Any]:
    """Return the outcome for each run; one that cannot be read is said, and does not stop the others.

    Raises:
        ValueError: if none of them can be read.
    """
    outcomes, refused = {}, []
    for folder in folders:
        try:
            outcomes[folder] = act(folder)
        except (ValueError, OSError) as error:
            refused.append(error)
    if not outcomes:
        raise ValueError("; ".join(map(str, refused[:3])))
    for error in refused:
        say(f"flylab: left out: {one_line(error)}", error=True)
    return outcomes


def reproduce(preset: Literal["smoke", "quick", "paper"] = "quick", *, out: Out = RUNS, force: Force = False) -> None:
    """Run every study, the cheapest first, and write one page with all figures and claims.

    Args:
        preset: Preset of all studies.
    """
    from flylab.reporting.reproduction import plans
    from flylab.reporting.reproduction import reproduce as run_all
    from flylab.results.verdicts import WORDS, counted, tally
    from flylab.runs.progress import Bar

    minutes = sum(plan.study.minutes.get(preset, 0) for plan in plans(preset))
    say(f"{preset} takes about {minutes:.0f} minutes on two cores; a second run resumes", error=True)
    with Bar() as watcher:
        done = run_all(preset, out, force=force, watcher=watcher)
    n, number = len(counted(done.verdicts)), tally(done.verdicts)
    counts = ", ".join(f"{number[word]} {word}" for word in WORDS) if any(number.values()) else f"{preset} decides none"
    say(f"{n} claims: {counts}; {len(done.verdicts) - n} sanity checks apart; the page is {done.page}")


def print_warning(folder: Path) -> None:
    """Print the warning about a run's verdicts, if there is one."""
    from flylab.reporting import warning_of

    if warning := warning_of(folder):
        say(f"flylab: {folder}: {warning}", error=True)
