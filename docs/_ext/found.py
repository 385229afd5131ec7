"""Write the lists of the page *What flylab found*: what stands, what fell and what is open, from stored verdicts."""

from collections.abc import Sequence

from flylab.results.verdicts import Verdict
from flylab.study.registry import get_study

import stored
from stored import anchor, plain, with_minus

# the claims that carry each study's answer; a claim moves between the lists as its stored verdict does
HEADLINES: dict[str, tuple[str, ...]] = {
    "architectures": (
        "nonlinear-gap", "spatial-gap", "shuffle-cnn", "shuffle-gru", "shuffle-order", "interpolates-mlp", "logistic",
        "mlp.paper", "mlp.nb", "cnn.paper", "gru.paper", "gru-shuffled.paper",
    ),
    "data_params": ("gap-grows", "gap-grows.log-odds", "gap-without"),
    "continuum": ("moderate-local", "moderate-ticket", "equivariant-gru", "moderate-attention"),
    "lottery": (
        "beats-dense-search", "beats-dense-fresh", "beats-random", "rewind-matters", "reinit", "shuffled",
        "advantage-is-spatial", "iterative", "adjacency-2", "adjacency-3", "adjacency-4",
    ),
    "double_descent": (
        "mlp-peak", "mlp-descent", "mlp-peak-place", "no-noise", "dose-height", "epoch-wise", "sample-wise",
        "nll-threshold.random.n", "nll-threshold.random.k-n", "mse-threshold.random.n", "mse-threshold.random.k-nk",
    ),
    "learning_rate": ("converges", "value", "is-optimal"),
    "activation": ("beats-relu", "beats-elu", "beats-all.tuned", "train-loss.all", "shape"),
    "transfer": ("transfer-early.mnist", "transfer-final.mnist"),
    "pooling": ("low-data-max", "stride-is-not-pooling", "high-data-equal-max", "high-data-hinders-max", "max-vs-l2"),
    "self_supervised": (
        "probe", "guillotine-default", "peak-place-default.paper", "peak-place-default.nb", "deep-learns", "vicreg",
    ),
}  # fmt: skip
SECTIONS = {
    "supported": ("What stands", "The whole interval of the effect lies in the region that the statement claims."),
    "refuted": ("What fell", "The whole interval lies outside."),
    "undecided": ("What is open", "The interval straddles the border; more seeds may settle it."),
    "not tested": ("What no stored run tests", "These need another preset, or data that are not downloaded."),
}


def lists() -> str:
    """Return the lists, each study's claims in a row; sections without claims are left out."""
    verdicts = {
        study: [verdict for claim in claims if (verdict := _stored(study, claim))]
        for study, claims in HEADLINES.items()
    }
    text = ""
    for word, (title, meaning) in SECTIONS.items():
        of_word = {study: [v for v in found if v.verdict == word] for study, found in verdicts.items()}
        n = sum(map(len, of_word.values()))
        if n:
            text += f"## {title} ({n})\n\n{meaning}\n\n"
            text += "".join(_item(study, found) for study, found in of_word.items() if found) + "\n"
    return text


def _stored(study: str, claim: str) -> Verdict | None:
    """Return the verdict on a claim, None if no run of its study is stored.

    Raises:
        ValueError: if the study has no such claim.
    """
    if claim not in {known.id for known in get_study(study).claims}:
        raise ValueError(f"found.HEADLINES: {study} has no claim {claim!r}")
    return stored.verdict_of(study, claim)


def _item(study: str, verdicts: Sequence[Verdict]) -> str:
    """Return a study's claims; what runs have in common stands at the study."""
    if verdicts[0].verdict == "not tested":
        return f"- [{study}](generated/studies/{study}.md): {', '.join(map(_link, verdicts))}\n"
    runs = {_run(verdict) for verdict in verdicts}
    alone = len(runs) > 1
    lines = (f"  - {_line(verdict, _run(verdict) if alone else '')}\n" for verdict in verdicts)
    return f"- [{study}](generated/studies/{study}.md){'' if alone else f' ({runs.pop()})'}\n" + "".join(lines)


def _run(verdict: Verdict) -> str:
    return f"{verdict.preset}, {verdict.n_seeds} seeds, {verdict.kind}"


def _link(verdict: Verdict) -> str:
    return f"[{verdict.id}](generated/studies/{verdict.study}.md#{anchor(verdict.study, verdict.id, verdict.preset)})"


def _line(verdict: Verdict, run: str) -> str:
    """Return a claim's statement, its effect and interval, and what was published."""
    effect = f"**{with_minus(verdict.measured)}** {verdict.unit}".rstrip()
    said = f"{verdict.source}: {plain(verdict.published)}" if verdict.published not in ("–", "") else ""
    wide = "" if verdict.verdict == verdict.verdict_adjusted else f"study-wide {verdict.verdict_adjusted}"
    more = "; ".join(filter(None, (_link(verdict), said, run, wide)))
    return f"{plain(verdict.statement)}: {effect} ({more})"
