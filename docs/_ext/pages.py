"""Pages made from stored results: one for each study, their list, and the ledger of all claims."""

import dataclasses
import inspect
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sphinx.pycode import ModuleAnalyzer

from flylab.base.config import plain as as_plain
from flylab.results.claims import Verdict
from flylab.results.tables import LEGEND as PLAIN_LEGEND
from flylab.results.tables import VERDICT_COLOURS
from flylab.study.registry import get_study, list_studies
from flylab.study.study import Study

import stored
from stored import Stored, anchor, badge, plain, with_minus

WIDE = "---\nhide-toc: true\n---\n\n"  # wide tables take the place of the list of sections
LEGEND = (
    re.sub(r"([A-Z][a-z-]+):", r"**\1**:", PLAIN_LEGEND)
    + " See [what a verdict is and is not]({to}explanation/verdicts.md). Sources: *paper*, *blog*, *nb* (the authors' "
    "notebooks; *nb-old*, an earlier generation of them), *here* (flylab's own addition)."
)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], name: str = "") -> str:
    """Return a table in Markdown; its cells are Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows)]
    return "\n".join(([f"{{.{name}}}"] if name else []) + lines) + "\n"


def slug(name: str) -> str:
    """Return a study's name on the command line."""
    return name.replace("_", "-")


def study_page(name: str) -> str:
    """Return a study's page: question, each stored run, and the protocol."""
    study, runs = get_study(name), stored.of(name)
    text = f"{WIDE}# {name.replace('_', ' ').capitalize()}\n\n*{study.question}*\n\n"
    if not runs:
        text += (
            "No run of this study is stored here yet. This makes one, with figure, claims and report:\n\n"
            f"```sh\nflylab run {slug(name)} --preset quick\n```\n"
        )
    for preset, run in runs.items():
        text += _run(study, preset, run)
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
    columns = [plain(column) for column in info["table"]["columns"]]
    text += f"{plain(info['table']['title'])}:\n\n{table(columns, rows, 'numbers')}\n"
    if run.verdicts:
        text += f"### Claims ({preset})\n\n{counts(run.verdicts)}\n\n{claims([run], per_study=True)}\n"
    versions = ", ".join(f"{package} {version}" for package, version in provenance["versions"].items())
    return text + (
        f"Run {info['run']}: finished {provenance['finished'][:10]}, {provenance['seconds'] / 60:.1f} minutes on "
        f"{provenance['cores']} cores ({plain(provenance['processor'])}; other work may have run beside it), commit "
        f"{plain(provenance['commit'])}, "
        f"Python {provenance['python']}, {versions}; devices by `flylab doctor`: {provenance['parity']}.\n\n"
    )


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
            words = badge(verdict.verdict), badge(verdict.verdict_adjusted)
            region = plain(with_minus(verdict.region_and_unit))
            published = plain(verdict.published), verdict.source
            rows.append([*head, id_, statement, *words, with_minus(verdict.measured), region, *published])
    return table(columns, rows, "claims")


def counts(verdicts: list[Verdict]) -> str:
    """Return how many claims have which verdict, in a sentence."""
    number = Counter(verdict.verdict for verdict in verdicts)
    return ", ".join(f"{number[word]} {badge(word)}" for word in VERDICT_COLOURS if number[word]) + "."


def _protocol(study: Study) -> str:
    """Return every field of a protocol, its meaning, and its values in the presets."""
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
        return "MNIST-1D" if not value else "the data's parameters"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("|", r"\|") if len(text) <= 60 else text[:57] + "…"


def studies_index() -> str:
    """Return the list of studies."""
    rows = []
    for name in list_studies():
        runs = {preset: run for preset, run in stored.of(name).items() if run.verdicts}
        totals = [counts(run.verdicts).rstrip(".") + f" (`{preset}`)" for preset, run in runs.items()]
        rows.append([f"[{slug(name)}]({name}.md)", plain(get_study(name).question), "<br>".join(totals) or "–"])
    tree = "\n".join(list_studies())
    return (
        "# Studies\n\nEach is one question, answered by one command, with every published claim about it tested on the "
        "spot.\nThe pages are made from stored results; the command that repeats them stands on each.\n\n"
        f"{table(['study', 'question', 'verdicts'], rows)}\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    )


def ledger() -> str:
    """Return all claims of all stored runs, their counts, and the presets that are not stored."""
    runs = [run for name in list_studies() for run in stored.of(name).values() if run.verdicts]
    rows = []
    for run in runs:
        number = Counter(verdict.verdict for verdict in run.verdicts)
        wide = Counter(verdict.verdict_adjusted for verdict in run.verdicts)
        name = run.info["study"]
        cells = [f"{number[word]} ({wide[word]})" for word in VERDICT_COLOURS]
        rows.append([f"[{slug(name)}](studies/{name}.md)", run.info["preset"], str(run.info["n_seeds"]), *cells])
    latest = [verdict for name in list_studies() for claim in get_study(name).claims
              if (verdict := stored.verdict_of(name, claim.id))]  # fmt: skip
    total = Counter(verdict.verdict for verdict in latest)
    rows.append(["**all claims**", "largest that tests it", "", *(f"**{total[word]}**" for word in VERDICT_COLOURS)])
    lacking = [f"`flylab run {slug(name)} --preset {preset}`" for name in list_studies() if get_study(name).claims
               for preset in get_study(name).presets if preset not in ("smoke", *stored.of(name))]  # fmt: skip
    return (
        f"{WIDE}# The ledger\n\nEvery published claim about MNIST-1D that flylab tests, and what the stored runs say "
        "of it.\n\n"
        f"{LEGEND.format(to='../')}\n\n## Counts\n\nIn brackets at the study-wide level.\n\n"
        f"{table(['study', 'preset', 'seeds', *map(badge, VERDICT_COLOURS)], rows)}\n"
        "## All claims\n\n```{raw} html\n<p class='filter' id='ledger-filter'></p>\n```\n\n"
        f"{claims(runs)}\n## Not in the ledger\n\nNo results of these presets are stored, so none of their numbers is "
        "above, not even where [findings](../findings.md) quotes one:\n\n"
        + "\n".join(f"- {command}" for command in lacking)
        + "\n"
    )
