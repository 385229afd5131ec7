"""The list of commands, their errors and exit codes.

Cyclopts imports a command on first use, raises errors instead of printing them, suggests words and completes them in
the shell. Tyro would take presets without `options.with_options`, but imports all studies for any command, and prints
errors in boxes.
"""

import difflib
import os
import sys
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.exceptions import MissingArgumentError, UnknownCommandError, UnusedCliTokensError
from cyclopts.help import DefaultFormatter, PanelSpec
from rich.box import Box

import flylab
from flylab.base.text import one_line
from flylab.cli import interrupts, studies, sweeps
from flylab.cli.options import OPTIONS, RUNS, Out, Switch, exactly
from flylab.cli.terminal import say

STUDIES, SWEEPS, MODELS, MORE = map(Group.create_ordered, ("Studies", "Sweeps", "Your own model", "More"))
UNBOXED = PanelSpec(box=Box("    \n" * 8), border_style="bold", padding=(0, 0, 0, 3))
RUN = """Run a study: train, test its claims, write a report.

flylab list prints the question of every study, flylab run STUDY PRESET --help the options of a preset.
"""
EVALUATE = """Train your model as flylab trains its own; compare them.

The model may be a flylab.Model or a pair (init, apply), a torch.nn.Module or Equinox class, a scikit-learn classifier,
or a function that makes one. With --as optimizer, train_fn, loss, regulariser or activation, what you bring competes
with flylab's own instead, each tuned by equally many trials; flylab run optimizers --help lists the options of that.
Your code runs with your rights.
"""

app = App(
    name="flylab",
    help="""The fruit-fly lab of deep learning: ask how neural networks learn, and test every answer.

    Begin with flylab run architectures; flylab help COMMAND explains a command.""",
    usage="Usage: flylab COMMAND [OPTIONS]",
    version=f"flylab {flylab.__version__}",
    group_parameters=OPTIONS,
    default_parameter=Parameter(consume_multiple=True, converter=exactly, negative_iterable=(), negative_none=()),
    help_formatter=DefaultFormatter(panel_spec=UNBOXED),
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app["--help"].show = app["--version"].show = False


def _add(group: Group, command: Any, name: str | None = None, **options: Any) -> None:
    """Add a command below those that its group has; one that is written MODULE:NAME is imported on first use."""
    app.command(command, name=name, group=group, sort_key=len(list(app)), **options)


_add(STUDIES, studies.list_)
_add(STUDIES, "flylab.cli.run:run", "run", help=RUN)
_add(STUDIES, studies.claims, usage="Usage: flylab claims [PATH] [OPTIONS]")
_add(STUDIES, studies.figures, usage="Usage: flylab figures [PATH] [OPTIONS]")
_add(STUDIES, studies.report, usage="Usage: flylab report [PATH]")
_add(STUDIES, "flylab.cli.new:new", "new", help="Write the file of a study of your own, to begin with.")
_add(STUDIES, studies.reproduce, usage="Usage: flylab reproduce [PRESET] [OPTIONS]")
_add(SWEEPS, sweeps.sweep)
_add(SWEEPS, sweeps.slurm)
_add(SWEEPS, sweeps.plot)
_add(MODELS, "flylab.cli.evaluation:evaluate", "evaluate", help=EVALUATE,
     usage="Usage: flylab evaluate MODEL [PRESET] [OPTIONS]")  # fmt: skip
_add(MODELS, "flylab.cli.evaluation:leaderboard", "leaderboard",
     help="Rank what was evaluated in a folder among flylab's own.")  # fmt: skip
_add(MODELS, "flylab.cli.evaluation:time", "time", help="Time a training with each contestant of a run.",
     usage="Usage: flylab time RUN [FUNCTION …] [OPTIONS]")  # fmt: skip
_add(MORE, "flylab.cli.data:data", "data", help="Write a data set to a file (-o), or draw it (--plot).")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0; 1 where `doctor` finds a fault; 2 for bad input; 130 when stopped."""
    warnings.showwarning = _complain  # one line, without the source's
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        _require_time()
        words = _of_contest(words)
        _add_file(words)
        return app(words) or 0
    except CycloptsError as error:
        return _complain(_explain(error))
    except (ValueError, OSError, FloatingPointError) as error:  # the last by JAX_DEBUG_NANS
        return _complain(error)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):  # JAX's words
            raise
        return _complain(f"there is not enough memory ({str(error)[:200]}): ask for less")
    except KeyboardInterrupt:
        return interrupts.say()


def _require_time() -> None:
    """Refuse a SOURCE_DATE_EPOCH that is no time: NumPy, when SciPy imports it, and Matplotlib would not name it."""
    if (time := os.environ.get("SOURCE_DATE_EPOCH")) is not None:
        try:
            datetime.fromtimestamp(int(time), UTC)
        except (ValueError, OverflowError, OSError):
            raise ValueError(f"SOURCE_DATE_EPOCH={time} must be seconds since 1970, an integer") from None


def _of_contest(words: list[str]) -> list[str]:
    """Return `flylab evaluate PLACE --as KIND …` as what it means, `flylab run STUDY … --KIND PLACE`, with its options.

    Raises:
        ValueError: for an unknown kind.
    """
    if words[:1] != ["evaluate"] or not (given := [word for word in words if word.partition("=")[0] == "--as"]):
        return words
    from flylab.evaluation import CONTESTS

    i = words.index(given[0])
    kind, n = (given[0][5:], 1) if "=" in given[0] else ("".join(words[i + 1 : i + 2]), 2)
    if kind not in ("model", *CONTESTS):
        raise ValueError(f"--as {kind} must be one of model, {', '.join(CONTESTS)}")
    rest = [*words[1:i], *words[i + n :]]
    place = next((j for j, word in enumerate(rest) if ":" in word), None)
    if kind == "model" or place is None:
        return ["evaluate", *rest]  # which says what is missing
    study, slot = CONTESTS[kind]
    return ["run", study, *rest[:place], *rest[place + 1 :], f"--{slot}", rest[place]]


def _add_file(words: Sequence[str]) -> None:
    """Make a command of the study's file that `flylab run FILE.py`, or help on it, names."""
    asked = list(words[1:] if words[:1] == ["help"] else words)[:2]
    if asked[:1] == ["run"] and asked[-1].endswith(".py"):
        from flylab.cli.run import add_file

        add_file(asked[-1])


def _explain(error: CycloptsError) -> str:
    """Return the text of an error; for a word that is no name of a command, study or preset, the names there are."""
    place = " ".join(("flylab", *(error.command_chain or ())))
    see = f"({place} --help lists the options)"
    if isinstance(error, MissingArgumentError) and error.argument:
        name, n_values = error.keyword or error.argument.name, error.argument.token_count()[0]
        needed = "needs a value" if n_values == 1 else f"needs {n_values} values"
        return f"{name} {needed if name[0] == '-' else 'is missing'} {see}"
    if not isinstance(error, UnknownCommandError | UnusedCliTokensError):
        text = str(error).rstrip(".")
        return f"{text[:1].lower()}{text[1:]} {see}"
    word = (error.unused_tokens or [""])[0]
    kind = ("command", "study", "preset")[min(place.count(" "), 2)]
    names = [name for name in error.app or () if name[0] != "-" and (kind != "study" or "_" not in name)]
    if not names:
        return f"unexpected word {word!r} {see}"
    close = difflib.get_close_matches(word, names, n=1)
    hint = f"did you mean {close[0]!r}? There" if close else "there"
    return f"there is no {kind} {word!r}; {hint} are {', '.join(names)}"


def _complain(message: object, *_: object) -> int:
    say(f"flylab: {one_line(message)}", error=True)
    return 2


def serve(
    *,
    out: Out = RUNS,
    host: str = "127.0.0.1",
    class_: Annotated[Switch, Parameter(name="--class")] = False,
    port: int = 8000,
    no_browser: Switch = False,
) -> None:
    """Open the lab in the browser.

    It has the data, networks, studies, a quiz and the leaderboard. Only this machine can reach the page, unless it is
    for a class.

    Args:
        host: Address of this machine to listen on; another one than 127.0.0.1 needs --class.
        class_: Share the app with a class: a link with a token, as a QR code, too; limits for each page, and a
            scoreboard of the quiz.
        port: Port to listen on; 0 takes a free one.
        no_browser: Only print the address.
    """
    from flylab.app.server import serve

    interrupts.uninstall()
    serve(out, port, not no_browser, host, class_)


def help_(*command: str) -> None:
    """Explain a command, e.g. flylab help run.

    Args:
        command: Command to explain, e.g. run, or run train; by default flylab itself.
    """
    app([*command, "--help"])


def version() -> None:
    """Print the version."""
    app.version_print()


_add(MORE, serve, "app")
_add(MORE, "flylab.cli.store:store", "store", help="List, verify, prune and export what is stored.")
_add(MORE, "flylab.cli.doctor:doctor", "doctor", help="Examine this machine and test its devices.")
_add(MORE, help_, usage="Usage: flylab help [COMMAND]")
_add(MORE, version)
app.register_install_completion_command(
    add_to_startup=False, group=MORE, sort_key=99, help="Complete words in the shell: bash, zsh or fish."
)
