"""`flylab run STUDY PRESET`: studies and presets are commands, and a protocol's fields are their options."""

from typing import Any

from cyclopts import App, Group

from flylab.base.config import override_flat
from flylab.cli.options import OPTIONS, RUNS, Force, Out, with_functions, with_options
from flylab.cli.running import DryRun, Part, Scheduler, Workers, carry_out, trained
from flylab.cli.studies import cost, print_warning
from flylab.cli.terminal import console, cost_text, print_table, print_verdicts, say
from flylab.study.registry import get_study, list_studies
from flylab.study.study import Study

run = App(
    name="run",
    usage="Usage: flylab run STUDY [PRESET] [OPTIONS]",
    group_commands=Group("Studies"),
)
for _name in dict.fromkeys(written for name in list_studies() for written in (name.replace("_", "-"), name)):
    run.command(f"{__name__}:{_name}", name=_name, show="_" not in _name)


def __getattr__(name: str) -> App:
    """Return the command of a study, imported when cyclopts first asks for it."""
    if name.replace("-", "_") not in list_studies():
        raise AttributeError(name)
    return of_study(get_study(name), name)


def add_file(path: str) -> None:
    """Add the command of the study that a file defines; its name is the file's path."""
    if path not in run:
        run.command(of_study(get_study(path), path))


def of_study(study: Study, name: str) -> App:
    """Return the command of a study."""
    app = App(
        name=name, help=study.question, usage=f"Usage: flylab run {name} [PRESET] [OPTIONS]",
        group_parameters=OPTIONS, group_commands=Group("Presets", sort_key=-1),
    )  # fmt: skip
    for i, preset in enumerate(study.presets):
        text = f"{cost_text(cost(study, preset))}\n\n{study.question}"
        app.command(_command(study, preset), name=preset, help=text, sort_key=i)
    app.default(_command(study, "quick" if "quick" in study.presets else next(iter(study.presets))))
    return app


def _command(study: Study, preset: str) -> Any:
    def command(
        *, out: Out = RUNS, force: Force = False, dry_run: DryRun = False, part: Part = None,
        workers: Workers = None, scheduler: Scheduler = None, **changes: Any,
    ) -> None:  # fmt: skip
        from flylab.reporting import verdicts
        from flylab.runs.plan import plan_of_study
        from flylab.runs.slots import split

        chosen, fields = split(study, changes)
        plan = plan_of_study(chosen, preset, override_flat(study.presets[preset], fields))
        options = {"dry_run": dry_run, "part": part, "workers": workers, "scheduler": scheduler}
        if (done := carry_out(plan, out, force=force, **options)) is None:
            return
        terminal = console()
        print_table(terminal, study.table(done.results))
        print_verdicts(terminal, verdicts(done.results))
        print_warning(done.folder)
        say(f"{trained(done)}; figure, claims and report are in {done.folder}")

    return with_functions(with_options(command, {preset: study.presets[preset]}), study.slots)
