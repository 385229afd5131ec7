"""The command line. The commands around sweeps are in `cli_sweeps`."""

import dataclasses
import io
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.table import Table as RichTable

from flylab.cli import sweeps
from flylab.cli.terminal import Bar, console, one_line, parse, print_table, print_verdicts

USAGE = """usage: flylab COMMAND [OPTIONS]

The fruit-fly lab of deep learning.

commands:
  list         the studies, their presets and what each takes
  run          run a study:          flylab run architectures --preset quick --out runs
  claims       the verdicts on all claims of the runs in a folder
  report       write figure, claims and report of every run in a folder again
  sweep        train a grid:         flylab sweep sweep.toml --out runs
  merge        join a sweep's parts; slurm writes a script that trains them as jobs
  plot         draw results:         flylab plot runs/sweeps/sweep --x width --lines model
  evaluate     place your own model: flylab evaluate my_model.py:Net --preset quick
  leaderboard  the models evaluated in a folder, among flylab's own
  doctor       examine this machine: versions, devices, speed, caches, and whether devices compute rightly
  app          play in the browser: data, networks, studies, a quiz for people, the leaderboard
  data         write the data set:   flylab data --n-train 20000 -o mnist1d.npz
               or draw it:           flylab data --plot mnist1d.png

Each command explains its options with --help.
"""
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
        return COMMANDS[words[0]](words[1:]) or 0
    except (ValueError, OSError) as error:
        return _refuse(str(error))
    except MemoryError as error:
        return _refuse(f"there is not enough memory ({error}): ask for less")
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):  # as JAX says it
            raise
        return _refuse(f"there is not enough memory ({str(error)[:200]}): ask for less")
    except KeyboardInterrupt:
        print(
            "\nflylab: stopped. What is finished is kept; the same command goes on from there.",
            file=sys.stderr,
        )
        return 130


def _refuse(message: str) -> int:
    print(f"flylab: {one_line(message)}", file=sys.stderr)
    return 2


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"flylab: {one_line(str(message))}", file=sys.stderr)


# ── list ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _list(words: list[str]) -> None:
    parse(
        lambda: None,
        prog="flylab list",
        description="The studies, their presets and what each takes.",
        args=words,
    )
    from flylab.study.registry import get_study, list_studies

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
    for name in list_studies():
        study = get_study(name)
        for i, (preset, protocol) in enumerate(study.presets.items()):
            n_members = len(study.conditions(protocol)) * protocol.n_seeds
            minutes = f"{study.minutes[preset]:g}" if preset in study.minutes else "?"
            table.add_row(
                "" if i else name.replace("_", "-"), preset, str(protocol.n_seeds), str(n_members), minutes,
                "" if i else study.question,
            )  # fmt: skip
    console().print(table)


# ── run ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _run(words: list[str]) -> None:
    from flylab.study.registry import get_study, list_studies

    names = ", ".join(name.replace("_", "-") for name in list_studies())
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: flylab run STUDY [OPTIONS]\n\nstudies: {names}\n\nflylab run STUDY --help explains its options.")
        return
    study = get_study(words[0])
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
    asked: Any = parse(options, prog=f"flylab run {words[0]}", config=_CONFIG, args=words[1:])
    _only(asked.preset, preset)
    from flylab.reporting import run_and_publish, verdicts

    with Bar() as watcher:
        done = run_and_publish(study, asked.preset, asked.protocol, asked.out, force=asked.force, watcher=watcher)
    terminal = console()
    print_table(terminal, study.table(done.results))
    if study.claims:
        print_verdicts(terminal, verdicts(done.results))
    _warn(done.folder)
    said = f"trained {done.n_trained} members" if done.n_trained else "found finished, nothing to train"
    print(f"{said}; figure, claims and report are in {done.folder}")


def _warn(folder: Path) -> None:
    from flylab.reporting import warning_of

    if warning := warning_of(folder):
        print(f"flylab: {folder}: {warning}", file=sys.stderr)


def _only(asked: str, preset: str) -> None:
    """The preset says where the other options start from, and names a folder: there cannot be two."""
    if asked != preset:
        raise ValueError(f"--preset {preset} and --preset {asked}: give one of the two")


def _value_of(flag: str, words: Sequence[str], default: str) -> str:
    for i, word in enumerate(words):
        if word == flag and i + 1 < len(words):
            return words[i + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return default


# ── claims, report ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class _Claims:
    """The verdicts on all claims of the runs in a folder."""

    out: Path = Path("runs")
    """The folder of all runs."""
    json: bool = False
    """Print a JSON list of objects."""


def _claims(words: list[str]) -> None:
    asked = parse(_Claims, prog="flylab claims", args=words, config=(tyro.conf.FlagCreatePairsOff,))
    from flylab.reporting import claims_json, load, runs_in, verdicts

    found = {folder: verdicts(load(folder)) for folder in runs_in(asked.out)}
    if asked.json:
        print(claims_json([verdict for verdicts_ in found.values() for verdict in verdicts_]), end="")
        return
    terminal = console()
    for folder, verdicts_ in found.items():
        terminal.print(str(folder), style="bold", markup=False)
        print_verdicts(terminal, verdicts_)
        _warn(folder)


@dataclasses.dataclass
class _Report:
    """Write figure, claims and report of every run in a folder again, from the saved results."""

    out: Path = Path("runs")
    """The folder of all runs."""


def _report(words: list[str]) -> None:
    asked = parse(_Report, prog="flylab report", args=words)
    from flylab.reporting import publish, runs_in

    for folder in runs_in(asked.out):
        publish(folder)
        print(folder / "report.html")


# ── evaluate, leaderboard ────────────────────────────────────────────────────────────────────────────────────────────


def _evaluate(words: list[str]) -> int:
    from flylab.evaluation.evaluation import FLAGS, protocol_of, run
    from flylab.studies import continuum

    preset = _value_of("--preset", words, "quick")
    default = protocol_of(preset)
    options = dataclasses.make_dataclass("Options", [
        ("model", Annotated[str, tyro.conf.Positional], dataclasses.field(default="")),
        ("preset", str, dataclasses.field(default=preset)),
        ("name", str | None, dataclasses.field(default=None)),
        ("out", Path, dataclasses.field(default=Path("runs"))),
        ("force", bool, dataclasses.field(default=False)),
        ("protocol", type(default), dataclasses.field(default=default)),
    ])  # fmt: skip
    options.__doc__ = """Train your model as the study architectures trains its own, and place it between MLP and CNN.

    The model's code is run, with your rights.

    Attributes:
        model: Its place, FILE.py:NAME or package.module:NAME. It may be a flylab.Model or a pair (init, apply), a
            torch.nn.Module class, an Equinox module class, a scikit-learn classifier, or a function that makes one.
        preset: The protocol to start from: smoke, quick, paper. The options below change it.
        name: What to call it; by default its own name.
        out: The folder of all runs.
        force: Train everything again, the references too.
    """
    asked: Any = parse(options, prog="flylab evaluate", config=_CONFIG, args=words)
    _only(asked.preset, preset)
    if not asked.model:
        raise ValueError("which model? give its place, e.g. flylab evaluate my_model.py:Net")
    found = run(asked.model, asked.name, asked.preset, asked.protocol, asked.out, force=asked.force, watcher=Bar)
    terminal = console()
    print_table(terminal, continuum.table_of(found.rows, f"Spatial priors: {found.row.title} among others"))
    print_table(terminal, continuum.details(found.row))
    print(f"figure and numbers are in {found.folder}")
    for flag in found.flags:
        print(f"flylab: {found.row.title} is flagged: {FLAGS[flag]}", file=sys.stderr)
    return 2 if found.flags else 0


@dataclasses.dataclass
class _Leaderboard:
    """The models evaluated in a folder, among flylab's own."""

    out: Path = Path("runs")
    """The folder of all runs."""
    by: Literal["score", "accuracy"] = "score"
    """What to sort by."""
    json: bool = False
    """Print a JSON list of objects."""


def _leaderboard(words: list[str]) -> None:
    asked = parse(_Leaderboard, prog="flylab leaderboard", args=words, config=(tyro.conf.FlagCreatePairsOff,))
    from flylab.evaluation.leaderboard import leaderboard, leaderboard_table

    entries = leaderboard(asked.out, asked.by)
    if asked.json:
        print(json.dumps([entry._asdict() for entry in entries], indent=2, ensure_ascii=False))
        return
    print_table(console(), leaderboard_table(entries))


# ── doctor ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class _Doctor:
    """Examine this machine: versions, devices, speed, caches, and whether devices compute rightly."""

    json: bool = False
    """Print a JSON list of objects."""


def _doctor(words: list[str]) -> int:
    asked = parse(_Doctor, prog="flylab doctor", args=words, config=(tyro.conf.FlagCreatePairsOff,))
    from flylab.cli.doctor import examine

    found = examine()
    if asked.json:
        print(json.dumps([one._asdict() for one in found], indent=2, ensure_ascii=False))
    else:
        for one in found:
            print(f"{'ok  ' if one.is_good else 'BAD '} {one.what:<24} {one.value}")
    return 0 if all(one.is_good for one in found) else 1


# ── app ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class _App:
    """Play in the browser, on this machine only: data, networks, studies, a quiz for people, the leaderboard."""

    out: Path = Path("runs")
    """The folder of all runs."""
    port: int = 8000
    """Of 127.0.0.1; 0 takes a free one."""
    no_browser: bool = False
    """Only say the address."""


def _app(words: list[str]) -> None:
    asked = parse(_App, prog="flylab app", args=words, config=(tyro.conf.FlagCreatePairsOff,))
    from flylab.app.server import serve

    serve(asked.out, asked.port, not asked.no_browser)


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
    asked: Any = parse(options, prog="flylab data", config=_CONFIG, args=words)
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
    from flylab.base.files import write_atomic
    from flylab.results.plots import data_figure

    buffer = io.BytesIO()
    data_figure(config).savefig(buffer, format=_picture_of(path))
    write_atomic(path, buffer.getvalue())
    print(path)


COMMANDS: dict[str, Callable[[list[str]], int | None]] = {
    "list": _list, "run": _run, "claims": _claims, "report": _report, "sweep": sweeps.sweep,
    "merge": sweeps.merge, "slurm": sweeps.slurm, "plot": sweeps.plot, "evaluate": _evaluate,
    "leaderboard": _leaderboard, "doctor": _doctor, "app": _app, "data": _data,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
