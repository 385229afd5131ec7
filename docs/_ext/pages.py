"""The pages made from stored results: one for each study, their list, and the ledger of all claims."""

import dataclasses
import inspect
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sphinx.pycode import ModuleAnalyzer

from flylab.base.config import plain as as_plain
from flylab.study.registry import get_study, list_studies
from flylab.study.study import Study

import stored
from stored import Stored, anchor, badge, effect, plain, words

WIDE = "---\nhide-toc: true\n---\n\n"  # wide tables take the place of the list of sections
LEGEND = (
    "**Supported**: the whole 95 % interval of the mean over seeds lies inside the claim's region. **Refuted**: it "
    "lies outside. **Undecided**: it straddles the edge. Study-wide is the same at the level 1 − 0.05/m for the m "
    "claims tested ([what a verdict is and is not]({to}explanation/verdicts.md)). Sources: *paper*, *blog*, *nb* (the "
    "authors' notebooks; *nb-old*, an earlier generation of them), *here* (flylab's own addition)."
)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], name: str = "") -> str:
    """A table in Markdown, of conditions that are Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows)]
    return "\n".join(([f"{{.{name}}}"] if name else []) + lines) + "\n"


def slug(name: str) -> str:
    """A study's name on the command line."""
    return name.replace("_", "-")


def study_page(name: str) -> str:
    """Question, and for each stored run command, figure, table, claims and provenance; then the protocol."""
    study, runs = get_study(name), stored.of(name)
    text = f"{WIDE}# {name.replace('_', ' ').capitalize()}\n\n*{study.question}*\n\n"
    if not runs:
        text += (
            "No run of this study is stored here yet. This makes one, with figure, claims and report:\n\n"
            f"```sh\nflylab run {slug(name)} quick\n```\n"
        )
    for preset, run in runs.items():
        text += _run(study, preset, run)
    if runs and study.claims:
        text += f"\n{LEGEND.format(to='../../')}\n"
    code = f"flylab.studies.{name}"
    return text + _protocol(study) + f"\nIts functions: [`{code}`](../reference/{code}.md).\n"


def _run(study: Study, preset: str, run: Stored) -> str:
    info, name = run.info, study.name
    made = info["provenance"]
    conditions = [[plain(condition) for condition in row] for row in info["table"]["rows"]]
    text = f"## Preset `{preset}`, {info['n_seeds']} seeds\n\n```sh\n{info['command']}\n```\n\n"
    text += f"![Figure of the study {name}, preset {preset}](../../results/{name}/{preset}/figure.png)\n\n"
    columns = [plain(column) for column in info["table"]["columns"]]
    text += f"{plain(info['table']['title'])}:\n\n{table(columns, conditions, 'numbers')}\n"
    if run.claims:
        text += f"### Claims ({preset})\n\n{counts(run.claims)}\n\n{claims([run], per_study=True)}\n"
    versions = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
    return text + (
        f"Run {info['run']}: finished {made['finished'][:10]}, {made['seconds'] / 60:.1f} minutes on {made['cores']} "
        f"cores ({plain(made['processor'])}; other work may have run beside it), commit {plain(made['commit'])}, "
        f"Python {made['python']}, {versions}; devices by `flylab doctor`: {made['parity']}.\n\n"
    )


def claims(runs: Iterable[Stored], per_study: bool = False) -> str:
    """All claims of these runs as a table."""
    first = [] if per_study else ["study", "preset"]
    columns = [*first, "claim", "statement", "verdict", "study-wide", "effect (95 % interval)", "region", "published",
               "source"]  # fmt: skip
    rows = []
    for run in runs:
        for said in run.claims:
            study, preset = run.info["study"], run.info["preset"]
            place = anchor(study, said["id"], preset)
            id_ = f"[{plain(said['id'])}]{{#{place}}}" if per_study else f"[{plain(said['id'])}](#{place})"
            notes = [said["note"]] if said["note"] else []
            if said["seeds_needed"] is not None:
                notes.append(f"about {said['seeds_needed']} more seeds would settle it")
            statement = plain(said["statement"]) + "".join(f" [{plain(note)}]{{.note}}" for note in notes)
            head = [] if per_study else [f"[{slug(study)}](studies/{study}.md)", preset]
            region = plain(f"{said['region']} {said['unit']}").replace("-", "−")
            published = [plain(said["published"]), said["source"]]
            rows.append([*head, id_, statement, *map(badge, words(said)), effect(said), region, *published])
    return table(columns, rows, "claims")


def counts(found: list[dict[str, Any]]) -> str:
    """How many claims have which verdict, in a sentence."""
    number = Counter(said["verdict"] for said in found)
    return ", ".join(f"{number[word]} {badge(word)}" for word in stored.WORDS if number[word]) + "."


def _protocol(study: Study) -> str:
    """Every field, what it means, and its values in the presets."""
    presets = {name: as_plain(protocol) for name, protocol in study.presets.items() if name != "smoke"}
    meanings = _meanings(next(iter(study.presets.values())))
    rows = []
    for field in next(iter(presets.values())):
        values = [f"`{_short(protocol[field])}`" for protocol in presets.values()]
        rows.append([f"`--{slug(field)}`", meanings.get(field, ""), *values])
    text = "## Protocol\n\nEvery field is an option of the command line, and a keyword of `flylab.run`"
    return f"{text} (`flylab run {slug(study.name)} --help`).\n\n{table(['option', 'meaning', *presets], rows)}"


def _meanings(protocol: Any) -> dict[str, str]:
    found = {}
    for class_ in reversed(type(protocol).__mro__[:-1]):
        docs = ModuleAnalyzer.for_module(class_.__module__).find_attr_docs()
        for field in dataclasses.fields(protocol):
            if lines := docs.get((class_.__qualname__, field.name)):
                found[field.name] = inspect.cleandoc("\n".join(lines)).replace("\n", " ").replace("|", r"\|")
    return found


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "MNIST-1D" if not value else "the knobs of the data"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("|", r"\|") if len(text) <= 60 else text[:57] + "…"


def studies_index() -> str:
    """The list of studies."""
    rows, shown = [], list_studies()
    for name in shown:
        study, runs = get_study(name), stored.of(name)
        found = [counts(run.claims).rstrip(".") + f" (`{preset}`)" for preset, run in runs.items() if run.claims]
        rows.append([f"[{slug(name)}]({name}.md)", plain(study.question), "<br>".join(found) or "–"])
    tree = "\n".join(shown)
    return (
        "# Studies\n\nEach is one question, answered by one command, with every published claim about it tested on the "
        "spot.\nThe pages are made from stored results; the command that repeats them stands on each.\n\n"
        f"{table(['study', 'question', 'verdicts'], rows)}\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    )


def ledger() -> str:
    """All claims of all stored runs, their counts, and what is not stored."""
    runs = [run for name in list_studies() for run in stored.of(name).values() if run.claims]
    rows = []
    for run in runs:
        number = Counter(said["verdict"] for said in run.claims)
        wide = Counter(said["verdict_adjusted"] for said in run.claims)
        name = run.info["study"]
        conditions = [f"{number[word]} ({wide[word]})" for word in stored.WORDS]
        rows.append([f"[{slug(name)}](studies/{name}.md)", run.info["preset"], str(run.info["n_seeds"]), *conditions])
    latest = [said for name in list_studies() for claim in get_study(name).claims
              if (said := stored.verdict_of(name, claim.id))]  # fmt: skip
    total = Counter(said["verdict"] for said in latest)
    rows.append(["**all claims**", "largest that tests it", "", *(f"**{total[word]}**" for word in stored.WORDS)])
    lacking = [f"`flylab run {slug(name)} {preset}`" for name in list_studies() if get_study(name).claims
               for preset in get_study(name).presets if preset not in ("smoke", *stored.of(name))]  # fmt: skip
    return (
        f"{WIDE}# The ledger\n\nEvery published claim about MNIST-1D that flylab tests, and what the stored runs say "
        "of it.\n\n"
        f"{LEGEND.format(to='../')}\n\n## Counts\n\nIn brackets at the study-wide level.\n\n"
        f"{table(['study', 'preset', 'seeds', *map(badge, stored.WORDS)], rows)}\n"
        "## All claims\n\n```{raw} html\n<p class='filter' id='ledger-filter'></p>\n```\n\n"
        f"{claims(runs)}\n## Not in the ledger\n\nNo results of these presets are stored, so none of their numbers is "
        "above, not even where [findings](../findings.md) quotes one:\n\n"
        + "\n".join(f"- {command}" for command in lacking)
        + "\n"
    )
