"""Write the lists of the page *What flylab found*: what stands, what fell and what is open, from stored verdicts."""

from collections.abc import Sequence

from flylab.results.verdicts import Verdict, counted, tally
from flylab.study.registry import get_study, list_studies

import stored
from stored import anchor, plain, with_minus

# the claims that carry each study's answer, whatever their verdicts; every other claim that fell is listed, too
HEADLINES: dict[str, tuple[str, ...]] = {
    "architectures": (
        "nonlinear-gap", "spatial-gap", "shuffle-cnn", "shuffle-gru", "shuffle-order", "interpolates-mlp", "logistic",
        "mlp.paper", "mlp.nb", "cnn.paper", "gru.paper", "cnn-shuffled.paper", "gru-shuffled.paper",
        "fresh-spatial-gap", "reshuffle-order", "discriminates", "discriminates-cnn", "cifar-discriminates",
    ),
    "data_params": (
        "gap-grows", "gap-grows.log-odds", "gap-without", "ten-times-the-examples", "examples-close-the-gap",
    ),
    "continuum": (
        "between-local", "between-ticket", "between-attention", "moderate-local", "moderate-ticket",
        "moderate-attention", "equivariant-gru",
    ),
    "lottery": (
        "beats-dense-search", "beats-dense-fresh", "beats-random", "rewind-matters", "reinit", "shuffled", "flipped",
        "advantage-is-spatial", "iterative", "adjacency-2", "adjacency-3", "adjacency-4", "positions-matter",
        "beats-tuned", "shuffled-search-locality",
    ),
    "tickets_at_scale": (
        "clusters-mnist1d", "clusters-mnist1d-80", "clusters-mnist1d-160", "clusters-digits", "clusters-mnist",
        "clusters-cifar10", "widest-clusters-mnist1d",
        "widest-clusters-digits", "widest-clusters-mnist", "widest-clusters-cifar10", "grows-with-width-mnist",
        "grows-with-data-mnist", "grows-with-length", "wins-cifar10", "widest-wins-mnist1d", "widest-wins-mnist",
        "widest-wins-cifar10", "advantage-is-spatial-mnist", "transfers-mnist-to-digits",
        "stable-late-mnist", "barrier-falls-mnist",
    ),
    "double_descent": (
        "mlp-peak", "mlp-descent", "mlp-peak-place", "no-noise", "cnn-peak", "dose-height", "epoch-wise", "sample-wise",
        "nll-threshold.random.n", "nll-threshold.random.k-n", "mse-threshold.random.n", "mse-threshold.random.k-nk",
    ),
    "learning_rate": ("converges", "value", "is-optimal"),
    "activation": ("beats-relu", "beats-elu", "beats-swish", "beats-all.tuned", "train-loss.all", "shape"),
    "transfer": (
        "transfer-early.mnist", "transfer-final.mnist", "transfer-early.cifar10", "transfer-final.cifar10",
    ),
    "activation_at_scale": (
        "own-early.mlp", "own-early.cnn", "own-final.mlp", "own-final.cnn", "final-rank.mlp", "final-rank.cnn",
        "larger-refines.mlp", "larger-refines.cnn", "larger-refines.cnn2d", "transfers.mlp-cnn", "transfers.cnn-mlp",
        "evolved-rank.cnn", "evolved-rank.cnn2d", "gain.mlp", "gain.cnn", "gain.cnn2d",
    ),
    "petri_dish": (
        "dish-beats-subset.mnist1d", "dish-beats-subset.mnist", "dish-beats-early.mnist1d", "dish-beats-early.mnist",
        "dish-beats-size.mnist1d", "dish-beats-size.cifar10", "dish-saves.mnist1d", "dish-saves.mnist",
        "dish-saves.cifar10", "mnist1d-predicts.digits", "mnist1d-predicts.mnist", "mnist1d-predicts.cifar10",
    ),
    "pooling": (
        "low-data-max", "low-data-average", "low-data-l2", "stride-is-not-pooling", "high-data-equal-max",
        "high-data-equal-average", "high-data-equal-l2", "high-data-hinders-max", "high-data-hinders-average",
        "high-data-hinders-l2", "max-vs-l2",
    ),
    "regularisation": (
        "discriminates-regularisers.mnist", "discriminates-regularisers.digits", "seeds.mnist", "seeds.digits",
        "same-order.mnist", "same-order.digits", "helps.batch_norm", "helps.augmentation", "helps.dropout",
    ),
    "self_supervised": (
        "probe", "probe-all", "guillotine-default", "guillotine-none", "guillotine-deep", "peak-place-default.paper",
        "peak-place-none.paper", "peak-place-deep.paper", "deep-learns", "vicreg",
    ),
}  # fmt: skip
SECTIONS = {
    "supported": ("What stands", "The whole interval of the effect lies in the region that the statement claims."),
    "refuted": ("What fell", "The whole interval lies outside. No claim that fell is left out."),
    "undecided": ("What is open", "The interval straddles the border; more seeds may settle it."),
    "not tested": ("What no stored run tests", "These need another preset, or data that are not downloaded."),
}


def lists() -> str:
    """Return the counts of all claims, and the lists, each study's claims in a row, without sections that are empty.

    Raises:
        ValueError: if a study with claims has no headlines, or has no such claim.
    """
    verdicts = {study: _stored(study) for study in list_studies() if get_study(study).claims}
    every = [verdict for of_study in verdicts.values() for verdict in of_study]
    number, confirmed = tally(every), tally([verdict for verdict in every if verdict.kind == "confirmatory"])
    text = (
        f"Of all claims, sanity checks apart, {number['supported']} stand, {number['refuted']} fell, "
        f"{number['undecided']} are open, and no stored run tests {number['not tested']}. "
        f"Confirmatory are {confirmed['supported']} that stand, {confirmed['refuted']} that fell and "
        f"{confirmed['undecided']} open ones. Below are all that fell and, of the others, those that carry a study's "
        "answer.\n\n"
    )
    for word, (title, meaning) in SECTIONS.items():
        of_word = {
            study: [v for v in counted(verdicts[study]) if v.verdict == word and (v.id in ids or word == "refuted")]
            for study, ids in HEADLINES.items()
        }
        n = sum(map(len, of_word.values()))
        if n:
            text += f"## {title} ({n} of {number[word]})\n\n{meaning}\n\n"
            text += "".join(_item(study, found) for study, found in of_word.items() if found) + "\n"
    return text


def _stored(study: str) -> list[Verdict]:
    """Return the stored verdicts on a study's claims, the headlines first.

    Raises:
        ValueError: if it has no headlines, or not these claims.
    """
    claims, headlines = [claim.id for claim in get_study(study).claims], HEADLINES.get(study, ())
    if not headlines or not set(headlines) <= set(claims):
        raise ValueError(f"found.HEADLINES: {study} has no claims {sorted(set(headlines) - set(claims))}")
    by_id = {verdict.id: verdict for verdict in stored.latest(study)}
    return [by_id[id_] for id_ in dict.fromkeys((*headlines, *claims)) if id_ in by_id]


def _item(study: str, verdicts: Sequence[Verdict]) -> str:
    """Return a study's claims; what runs have in common stands at the study."""
    if verdicts[0].verdict == "not tested":
        return f"- [{study}](generated/studies/{study}.md): {', '.join(map(_link, verdicts))}\n"
    runs = {_run(verdict) for verdict in verdicts}
    alone = len(runs) > 1
    lines = (f"  - {_line(verdict, _run(verdict) if alone else '')}\n" for verdict in verdicts)
    return f"- [{study}](generated/studies/{study}.md){'' if alone else f' ({runs.pop()})'}\n" + "".join(lines)


def _run(verdict: Verdict) -> str:
    reduced = ", reduced" if verdict.reduced else ""
    return f"{verdict.preset}, {verdict.n_seeds} seeds, {verdict.kind}{reduced}"


def _link(verdict: Verdict) -> str:
    return f"[{verdict.id}](generated/studies/{verdict.study}.md#{anchor(verdict.study, verdict.id, verdict.preset)})"


def _line(verdict: Verdict, run: str) -> str:
    """Return a claim's statement, its effect and interval, and what was published."""
    effect = f"**{with_minus(verdict.measured)}** {verdict.unit}".rstrip()
    said = f"{verdict.source}: {plain(verdict.published)}" if verdict.published not in ("–", "") else ""
    wide = "" if verdict.verdict == verdict.verdict_adjusted else f"study-wide {verdict.verdict_adjusted}"
    on = f"on {verdict.on}" if verdict.on else ""
    more = "; ".join(filter(None, (_link(verdict), said, on, run, wide)))
    return f"{plain(verdict.statement)}: {effect} ({more})"
