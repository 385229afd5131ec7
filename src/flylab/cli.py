"""The command line: `flylab list | run | claims | report | data`."""

import contextlib
import dataclasses
import io
import itertools
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table as RichTable

if TYPE_CHECKING:
    from flylab.ledger import Verdict
    from flylab.study import Table

USAGE = """usage: flylab COMMAND [OPTIONS]

The fruit-fly lab of deep learning.

commands:
  list      the studies, their presets and what each takes
  run       run a study:          flylab run architectures --preset quick --out runs
  claims    the verdicts on all claims of the runs in a folder
  report    write figure, claims and report of every run in a folder again
  data      write the data set:   flylab data --n-train 20000 -o mnist1d.npz
            or draw it:           flylab data --plot mnist1d.png

Each command explains its options with --help.
"""
_STYLES = {"supported": "green", "refuted": "red", "undecided": "yellow", "not tested": "dim"}
_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 for bad input, 130 when interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.showwarning = _show_warning
    try:
        if not words or words[0] in ("-h", "--help"):
            print(USAGE, end="")
            return 0
        if words[0] == "--version":
            import flylab

            print(f"flylab {flylab.__version__}")
            return 0
        if words[0] not in COMMANDS:
            raise ValueError(f"there is no command {words[0]!r}; there are {', '.join(COMMANDS)}")
        COMMANDS[words[0]](words[1:])
        return 0
    except (ValueError, OSError) as error:
        print(f"flylab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nflylab: stopped. What is finished is kept; the same command goes on from there.",
            file=sys.stderr,
        )
        return 130


def _parse(what: Any, **kwargs: Any) -> Any:
    """`tyro.cli`, its complaint in one line instead of a box.

    Raises:
        ValueError: for bad input.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(what, **kwargs)
    except SystemExit as exit_:
        if exit_.code != 2:
            raise
    lines = [line.strip("│╭╮╰╯ ") for line in said.getvalue().splitlines()]
    first = itertools.takewhile(lambda line: not line.startswith("───"), (line for line in lines if "─ " not in line))
    message = re.sub(r"^Error parsing (protocol|config)[a-z.]*: ", "", " ".join(first).strip())
    raise ValueError(f"{message} ({kwargs['prog']} --help explains the options)")


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"flylab: {message}", file=sys.stderr)


# ── list ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _list(words: list[str]) -> None:
    _parse(
        lambda: None,
        prog="flylab list",
        description="The studies, their presets and what each takes.",
        args=words,
    )
    from flylab import studies

    table = RichTable(
        "study",
        "preset",
        "seeds",
        "members",
        "minutes on 2 cores",
        "question",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for name in studies.names():
        study = studies.find(name)
        for i, (preset, protocol) in enumerate(study.presets.items()):
            n_members = len(study.cells(protocol)) * protocol.n_seeds
            minutes = f"{study.minutes[preset]:g}" if preset in study.minutes else "?"
            table.add_row(
                "" if i else name.replace("_", "-"), preset, str(protocol.n_seeds), str(n_members), minutes,
                "" if i else study.question,
            )  # fmt: skip
    _console().print(table)


# ── run ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _run(words: list[str]) -> None:
    from flylab import studies

    names = ", ".join(name.replace("_", "-") for name in studies.names())
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: flylab run STUDY [OPTIONS]\n\nstudies: {names}\n\nflylab run STUDY --help explains its options.")
        return
    study = studies.find(words[0])
    preset = _value_of("--preset", words, "quick")
    if preset not in study.presets:
        raise ValueError(f"{study.name} has no preset {preset!r}; it has {', '.join(study.presets)}")
    options = dataclasses.make_dataclass("Options", [
        ("preset", str, dataclasses.field(default=preset)),
        ("out", Path, dataclasses.field(default=Path("runs"))),
        ("force", bool, dataclasses.field(default=False)),
        ("protocol", type(study.presets[preset]), dataclasses.field(default=study.presets[preset])),
    ])  # fmt: skip
    options.__doc__ = f"""{study.question}

    Attributes:
        preset: The protocol to start from: {", ".join(study.presets)}. The options below change it.
        out: The folder of all runs.
        force: Train everything again.
    """
    asked: Any = _parse(options, prog=f"flylab run {words[0]}", config=_CONFIG, args=words[1:])
    from flylab.api import run_and_publish
    from flylab.reporting import verdicts

    with _Bar() as watcher:
        done = run_and_publish(study, asked.preset, asked.protocol, asked.out, force=asked.force, watcher=watcher)
    console = _console()
    _print_table(console, study.table(done.results))
    _print_verdicts(console, verdicts(done.results))
    said = f"trained {done.n_trained} members" if done.n_trained else "found finished, nothing to train"
    print(f"{said}; figure, claims and report are in {done.folder}")


def _console() -> Console:
    """The terminal; where there is none, wide enough for whole rows."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _value_of(flag: str, words: Sequence[str], default: str) -> str:
    for i, word in enumerate(words):
        if word == flag and i + 1 < len(words):
            return words[i + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return default


class _Bar:
    """A progress bar on the terminal's error stream: steps, members, time left."""

    def __enter__(self) -> "_Bar":
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.percentage:>3.0f} % of steps"),
            TextColumn("{task.fields[members]}"), TimeElapsedColumn(), TextColumn("elapsed,"), TimeRemainingColumn(),
            TextColumn("left"), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self.task, self.n_members, self.n_saved = TaskID(0), 0, 0
        self.begun = False
        return self

    def __exit__(self, *_: object) -> None:
        if self.begun:
            self.bar.stop()

    def begin(self, n_members: int, n_steps: int) -> None:
        if n_members:
            self.begun, self.n_members = True, n_members
            self.task = self.bar.add_task("", total=max(n_steps, 1), members=f"0/{n_members} members")
            self.bar.start()

    def cell(self, cell: Any) -> None:
        self.bar.update(self.task, description=" ".join(str(value) for value in cell.values()))

    def steps(self, n_steps: int) -> None:
        self.bar.advance(self.task, n_steps)

    def saved(self, n_members: int) -> None:
        self.n_saved += n_members
        self.bar.update(self.task, members=f"{self.n_saved}/{self.n_members} members")


def _print_table(console: Console, table: "Table") -> None:
    drawn = RichTable(*table.columns, title=table.title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for row in table.rows:
        drawn.add_row(*row)
    console.print(drawn)


def _print_verdicts(console: Console, found: "Sequence[Verdict]") -> None:
    from flylab.reporting import effect_text

    drawn = RichTable("claim", "published", "region", "effect (95 % interval)", "verdict", "study-wide", title="Claims",
                      title_justify="left", box=None, padding=(0, 2, 0, 0))  # fmt: skip
    for one in found:
        words = [f"[{_STYLES[word]}]{word}[/]" if word else "–" for word in (one.verdict, one.verdict_adjusted)]
        if one.seeds_needed is not None:
            words[0] += f" (~{one.seeds_needed} more seeds)"
        if one.verdict and one.note:
            words[0] += f" [dim]({one.note})[/]"
        drawn.add_row(one.id, one.published, f"{one.region} {one.unit}", effect_text(one), *words)
    console.print(drawn)


# ── claims, report, data ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class _Claims:
    """The verdicts on all claims of the runs in a folder."""

    out: Path = Path("runs")
    """The folder of all runs."""
    json: bool = False
    """Print a JSON list of objects."""


def _claims(words: list[str]) -> None:
    asked = _parse(_Claims, prog="flylab claims", args=words, config=(tyro.conf.FlagCreatePairsOff,))
    from flylab.reporting import claims_json, open_results, runs_in, verdicts

    found = {folder: verdicts(open_results(folder)) for folder in runs_in(asked.out)}
    if asked.json:
        print(claims_json([verdict for verdicts_ in found.values() for verdict in verdicts_]), end="")
        return
    console = _console()
    for folder, verdicts_ in found.items():
        console.print(f"[bold]{folder}[/]")
        _print_verdicts(console, verdicts_)


@dataclasses.dataclass
class _Report:
    """Write figure, claims and report of every run in a folder again, from the saved results."""

    out: Path = Path("runs")
    """The folder of all runs."""


def _report(words: list[str]) -> None:
    asked = _parse(_Report, prog="flylab report", args=words)
    from flylab.reporting import publish, runs_in

    for folder in runs_in(asked.out):
        publish(folder)
        print(folder / "report.html")


def _data(words: list[str]) -> None:
    from flylab.data import MNIST1D, formats, published

    options = dataclasses.make_dataclass("Options", [
        ("output", Annotated[Path | None, tyro.conf.arg(aliases=["-o"])], dataclasses.field(default=None)),
        ("format", Literal["npz", "parquet", "csv", "safetensors"] | None, dataclasses.field(default=None)),
        ("plot", Path | None, dataclasses.field(default=None)),
        ("config", MNIST1D, dataclasses.field(default_factory=MNIST1D)),
    ])  # fmt: skip
    options.__doc__ = """Write a data set to a file (-o), with its config and a checksum inside, or draw it (--plot).

    Attributes:
        output: The file to write; `flylab.data.load` reads it.
        format: Of the file; by default its ending says it.
        plot: A picture to write, of ten examples of each class and of the construction of one in six steps; its ending
            says the format (.png, .svg, .pdf).
    """
    asked: Any = _parse(options, prog="flylab data", config=_CONFIG, args=words)
    if asked.output is None and asked.plot is None:
        raise ValueError("nothing to do: -o FILE writes the data set, --plot FILE.png draws it")
    for path, check in ((asked.plot, _picture_of), (asked.output, lambda path: formats.format_of(path, asked.format))):
        if path is not None:  # before any work
            check(path)
            if path.is_dir():
                raise ValueError(f"{path} is a folder: give the name of a file in it")
    if asked.plot is not None:
        _draw(asked.plot, asked.config)
    if asked.output is not None:
        formats.save(asked.output, published(asked.config), asked.format)
        print(asked.output)


def _picture_of(path: Path) -> str:
    kind = path.suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise ValueError(f"--plot {path} has no ending .png, .svg or .pdf; give it one")
    return kind


def _draw(path: Path, config: Any) -> None:
    from flylab.files import write_atomic
    from flylab.plot import data_figure

    buffer = io.BytesIO()
    data_figure(config).savefig(buffer, format=_picture_of(path))
    write_atomic(path, buffer.getvalue())
    print(path)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "list": _list, "run": _run, "claims": _claims, "report": _report, "data": _data,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
