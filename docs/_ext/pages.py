"""Write the pages made from stored results: one for each study, their list, and the ledger of all claims."""

import dataclasses
import inspect
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sphinx.pycode import ModuleAnalyzer

from flylab.base.config import plain as as_plain
from flylab.results import tables
from flylab.results.verdicts import WORDS, Verdict, counted, tally
from flylab.study.registry import get_study, list_studies
from flylab.study.study import Study

import answers
import stored
from stored import Stored, anchor, badge, plain, with_minus

CONCEPTS = Path(__file__).parents[1] / "concepts"  # what each study is about, in plain words
WIDE = "---\nhide-toc: true\n---\n\n"  # wide tables take the place of the list of sections
LEGEND = (
    re.sub(r"([A-Z][a-z-]+):", r"**\1**:", tables.LEGEND)
    + " See [what a verdict is and is not]({to}explanation/verdicts.md). Sources: *paper*, *blog*, *nb* (the authors' "
    "notebooks; *nb-old*, an earlier generation of them), *here* (added by flylab)."
)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], name: str = "") -> str:
    """Return a Markdown table of cells that are Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows)]
    return "\n".join(([f"{{.{name}}}"] if name else []) + lines) + "\n"


def slug(name: str) -> str:
    """Return a study's name as the command line writes it."""
    return name.replace("_", "-")


def study_page(name: str) -> str:
    """Return a study's page: question; command, figure, table, claims and provenance of each stored run; protocol."""
    study, runs = get_study(name), stored.of(name)
    concept = (CONCEPTS / f"{name}.md").read_text()
    title = name.replace("_", " ").capitalize()
    text = f"{WIDE}# {title}\n\n*{study.question}*\n\n{concept}\n{answers.ANSWERS.get(name, '')}\n"
    if not runs:
        text += (
            "No run of this study is stored here yet. This command makes one, with figure, claims and report:\n\n"
            f"```sh\nflylab run {slug(name)} quick\n```\n"
        )
    for preset, run in sorted(runs.items(), key=lambda stored_run: stored_run[0] != "paper"):  # what is cited, first
        text += _run(study, preset, run)
    for preset in study.presets:
        if runs and preset not in ("smoke", *runs):
            text += f"## Preset `{preset}`\n\nNo run is stored yet: `flylab run {slug(name)} {preset}`.\n\n"
    if runs and study.claims:
        text += f"\n{LEGEND.format(to='../../')}\n"
    code = f"flylab.studies.{name}"
    return text + _protocol(study) + f"\nIts functions: [`{code}`](../reference/{code}.md).\n"


def _run(study: Study, preset: str, run: Stored) -> str:
    info, name = run.info, study.name
    provenance = info["provenance"]
    rows = [[plain(cell) for cell in row] for row in info["table"]["rows"]]
    text = f"## Preset `{preset}`, {info['n_seeds']} seeds\n\n```sh\n{info['command']}\n```\n\n"
    text += f"![Figure of the study {name}, preset {preset}](../../results/{name}/{preset}/figure.png)\n\n"
    text += f"{_files(run)}\n\n"
    columns = [plain(column) for column in info["table"]["columns"]]
    text += f"{plain(info['table']['title'])}:\n\n{table(columns, rows, 'numbers')}\n"
    if run.verdicts:
        text += f"### Claims ({preset})\n\n{counts(run.verdicts)}\n\n{claims([run], per_study=True)}\n"
    versions = ", ".join(f"{package} {version}" for package, version in provenance["versions"].items())
    n_reused, n_trained = provenance.get("reused", 0), provenance.get("trained", 0)
    last = f" (its last {n_trained} of {n_reused + n_trained} members; it was interrupted)" if n_reused else ""
    machine = ", ".join(map(plain, (*accelerators(run), provenance["processor"])))
    return text + (
        f"Run {info['run']} finished on {provenance['finished'][:10]} after {provenance['seconds'] / 60:.1f} minutes"
        f"{last} on {provenance['cores']} cores ({machine}; other work may have run at the same time), "
        f"at commit {plain(provenance['commit'])}, with Python {provenance['python']}, {versions}. Devices "
        f"according to `flylab doctor`: {provenance['parity']}.\n\n"
    )


def accelerators(run: Stored) -> list[str]:
    """Return the devices of a run that are no CPU."""
    return [device for device in run.info["provenance"].get("devices", []) if "cpu" not in device.lower()]


def _files(run: Stored) -> str:
    """Return links to what is stored of a run, and how its results are opened again."""
    place = f"docs/results/{run.info['study']}/{run.info['preset']}"
    texts = {"figure.svg": "the figure as SVG", "figure.pdf": "as PDF", "claims.json": "the verdicts",
             "results.nc": "the results"}  # fmt: skip
    links = [f"{{download}}`{text} <../../../{place}/{name}>`" for name, text in texts.items()
             if (run.figure.parent / name).exists()]  # fmt: skip
    opened = f'; `flylab.load("{place}")` opens them' if (run.figure.parent / "results.nc").exists() else ""
    return f"Stored: {', '.join(links)}{opened}."


def claims(runs: Iterable[Stored], per_study: bool = False) -> str:
    """Return all claims of these runs as a table."""
    first = [] if per_study else ["study", "preset"]
    columns = [*first, "claim", "statement", "verdict", "study-wide", "effect (95 % interval)", "region", "published",
               "source"]  # fmt: skip
    rows = []
    for run in runs:
        for verdict in run.verdicts:
            study, preset = run.info["study"], run.info["preset"]
            place = anchor(study, verdict.id, preset)
            id_ = f"[{plain(verdict.id)}]{{#{place}}}" if per_study else f"[{plain(verdict.id)}](#{place})"
            statement = plain(verdict.statement) + "".join(f" [{plain(note)}]{{.note}}" for note in verdict.notes)
            head = [] if per_study else [f"[{slug(study)}](studies/{study}.md)", preset]
            words = badge(verdict.word), badge(verdict.word_adjusted)
            region = plain(with_minus(verdict.region_and_unit))
            published = plain(verdict.published), verdict.source
            rows.append([*head, id_, statement, *words, with_minus(verdict.measured), region, *published])
    return table(columns, rows, "claims")


def counts(verdicts: list[Verdict]) -> str:
    """Return how many claims have each verdict, as a sentence."""
    number = tally(verdicts)
    return ", ".join(f"{number[word]} {badge(word)}" for word in WORDS if number[word]) + "."


def _protocol(study: Study) -> str:
    """Return a table of all fields, their meanings, and their values in the presets."""
    presets = {name: as_plain(protocol) for name, protocol in study.presets.items() if name != "smoke"}
    meanings = _meanings(next(iter(study.presets.values())))
    rows = []
    for field in next(iter(presets.values())):
        values = [f"`{_short(protocol[field])}`" for protocol in presets.values()]
        rows.append([f"`--{slug(field)}`", meanings.get(field, ""), *values])
    text = "## Protocol\n\nEvery field is an option of the command line and a keyword of `flylab.run`"
    return f"{text} (`flylab run {slug(study.name)} --help`).\n\n{table(['option', 'meaning', *presets], rows)}"


def _meanings(protocol: Any) -> dict[str, str]:
    meanings = {}
    for class_ in reversed(type(protocol).__mro__[:-1]):
        docs = ModuleAnalyzer.for_module(class_.__module__).find_attr_docs()
        for field in dataclasses.fields(protocol):
            if lines := docs.get((class_.__qualname__, field.name)):
                meanings[field.name] = inspect.cleandoc("\n".join(lines)).replace("\n", " ").replace("|", r"\|")
    return meanings


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "MNIST-1D" if not value else "data parameters"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("|", r"\|") if len(text) <= 60 else text[:57] + "…"


def studies_index() -> str:
    """Return the list of studies."""
    rows, shown = [], list_studies()
    for name in shown:
        study, runs = get_study(name), stored.of(name)
        verdicts = [counts(run.verdicts).rstrip(".") + f" (`{preset}`)" for preset, run in runs.items() if run.verdicts]
        rows.append([f"[{slug(name)}]({name}.md)", plain(study.question), "<br>".join(verdicts) or "–"])
    tree = "\n".join(shown)
    return (
        "# Studies\n\nEach study is one question. One command answers it and tests every published claim about it.\n"
        "The pages are generated from stored results, and each shows the command that repeats them.\n\n"
        f"{table(['study', 'question', 'verdicts'], rows)}\n{_minutes(shown)}```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    )


def _minutes(names: Sequence[str]) -> str:
    """Return what the presets cost: `quick` as it was stored, `paper` as `docs/estimate_minutes.py` found."""
    found = stored.minutes()
    rows = []
    for name in names:
        runs, guess = stored.of(name), found["paper"].get(name)
        known = [_cost(runs[preset]) if preset in runs else "–" for preset in ("quick", "paper")]
        rows.append([f"[{slug(name)}]({name}.md)", *known, f"{guess:.1f}" if guess else "–"])
    columns = ["study", "`quick`", "`paper`", "`paper`, estimated"]
    return (
        "## What the presets cost\n\nIn minutes. `quick` and `paper` are the times of the stored runs, beside which "
        "other work may have run; of one that was interrupted, the last part counts. Each study's page names the "
        f"processor. The estimates are from short trials on {found['cores']} cores ({plain(found['processor'])}), of "
        "the data sets that a preset has by itself; stored runs may have images beside them. "
        "`flylab run STUDY PRESET --dry-run` says what it costs on yours.\n\n"
        f"{table(columns, rows)}\n"
    )


def _cost(run: Stored) -> str:
    """Return the minutes of a stored run."""
    is_part, on = run.info["provenance"].get("reused", 0), " on a GPU" * bool(accelerators(run))
    return f"{'more than ' * bool(is_part)}{run.info['minutes']:.1f}{on}"


def ledger() -> str:
    """Return the ledger: all claims of all stored runs, their counts, and the presets without a stored run."""
    runs = [run for name in list_studies() for run in stored.of(name).values() if run.verdicts]
    rows = []
    for run in runs:
        number, wide = tally(run.verdicts), tally(run.verdicts, is_wide=True)
        name = run.info["study"]
        numbers = [f"{number[word]} ({wide[word]})" for word in WORDS]
        rows.append([f"[{slug(name)}](studies/{name}.md)", run.info["preset"], str(run.info["n_seeds"]), *numbers])
    latest = [verdict for name in list_studies() for verdict in stored.latest(name)]
    total, n_judged = tally(latest), sum(len(counted(run.verdicts)) for run in runs)
    rows.append(["**each claim once**", "", "", *(f"**{total[word]}**" for word in WORDS)])
    confirmed = tally([verdict for verdict in latest if verdict.kind == "confirmatory"])
    rows.append(["**confirmatory of these**", "`paper`", "", *(f"**{confirmed[word]}**" for word in WORDS)])
    n_claims = len(counted(latest))
    lacking = [f"`flylab run {slug(name)} {preset}`" for name in list_studies() if get_study(name).claims
               for preset in get_study(name).presets if preset not in ("smoke", *stored.of(name))]  # fmt: skip
    return (
        f"{WIDE}# The ledger\n\nThe ledger lists every published claim about MNIST-1D that flylab tests, with the "
        "verdicts of the stored runs.\n\n"
        f"{LEGEND.format(to='../')}\n\n## Counts\n\nNumbers in brackets are at the study-wide level. "
        f"The rows have {n_judged} verdicts on {n_claims} claims, of which several runs judge some: the row *each "
        "claim once* counts the run of most seeds that tested it, as [What flylab found](../findings.md) does.\n\n"
        f"{table(['study', 'preset', 'seeds', *map(badge, WORDS)], rows)}\n"
        "## All claims\n\n```{raw} html\n<p class='filter' id='ledger-filter'></p>\n```\n\n"
        f"{claims(runs)}\n## Not in the ledger\n\nNo results of these presets are stored, so none of their numbers is "
        "above:\n\n" + "\n".join(f"- {command}" for command in lacking) + "\n"
    )
