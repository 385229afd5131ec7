"""Spatial priors: how much of the accuracy of a network comes from knowing that positions have neighbours?

Logistic regression, an MLP, a CNN and a GRU learn MNIST-1D, plain and with the positions shuffled (one fixed
permutation), which destroys what convolution and recurrence presuppose (Greydanus & Kobak 2024, table 1).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from flylab.data import MNIST1D, Splits, published, shuffled
from flylab.ledger import Claim
from flylab.loop import Plan
from flylab.members import Progress, train_members
from flylab.models import zoo
from flylab.objectives import supervised
from flylab.plot import COLOURS, band, style
from flylab.stats import cross_fitted, interval, plus_minus
from flylab.study import BaseProtocol, Cell, Study, Table

NETWORKS = tuple(zoo.ALL)
TITLES = {
    "logistic": "logistic regression", "mlp": "MLP", "cnn": "CNN", "gru": "GRU",
    "neighbours": "10 nearest neighbours", "sklearn_logistic": "logistic regression (scikit-learn)",
}  # fmt: skip
PAPER = {"logistic": (32, 1, None, None), "mlp": (68, 2, 68, 2), "cnn": (94, 2, 56, 2), "gru": (91, 2, 57, 2)}
HUMAN = 95.8  # five quizzes of 100 (Greydanus & Kobak 2024)


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol (Greydanus & Kobak 2024, table 1), with more seeds."""

    n_steps: int = 6000
    """Optimiser steps."""
    batch_size: int = 100
    """Examples per step, taken in fixed order."""
    learning_rate: float = 1e-2
    """Of Adam."""
    eval_every: int = 250
    """Steps between evaluations."""
    fresh_data: bool = False
    """Also train every network on a new data set per seed (generator seed 1000 + 2·seed)."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """The data set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_steps < 1:
            raise ValueError(f"n_steps={self.n_steps} is not allowed: give a whole number ≥ 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate} is not allowed: give a number > 0")
        Plan(self.n_steps, self.batch_size, self.eval_every)


def cells(protocol: Protocol) -> Sequence[Cell]:
    """Networks × arrangements (× arms), slowest first, and two methods without training as references."""
    arms = ("published", "fresh") if protocol.fresh_data else ("published",)
    networks = [
        {"model": model, "arrangement": arrangement, "arm": arm}
        for arm in arms
        for model in NETWORKS[::-1]
        for arrangement in ("plain", "shuffled")
    ]
    return networks + [{"model": model, "arrangement": "plain", "arm": "fresh"} for model in REFERENCES]


def run(
    protocol: Protocol,
    cell: Cell,
    seeds: Sequence[int],
    *,
    key,
    inputs=None,
    progress: Progress | None = None,
    checkpoint=None,
) -> xr.Dataset:
    """Train one cell for all seeds: Adam, batches in fixed order, accuracy on all three sets along the way."""

    def data(seed: int) -> Splits:
        made = protocol.data if cell["arm"] == "published" else replace(protocol.data, seed=1000 + 2 * seed)
        order = shuffled(made.final_seq_length) if cell["arrangement"] == "shuffled" else made.permutation
        return _made(replace(made, permutation=order))

    if cell["model"] in REFERENCES:
        return _references(protocol, REFERENCES[cell["model"]], data, seeds)
    size = {"n_outputs": protocol.data.outputs}
    size["length" if cell["model"] in ("cnn", "gru") else "n_in"] = protocol.data.final_seq_length
    objective = supervised(zoo.ALL[cell["model"]](**size))
    plan = Plan(protocol.n_steps, protocol.batch_size, protocol.eval_every, optimizer="adam")
    grid = {"learning_rate": [protocol.learning_rate], "seed": seeds}
    splits = data(0) if cell["arm"] == "published" else data
    results = train_members(objective, splits, plan, grid, key=key, progress=progress).results
    return _with_labels(results.squeeze("learning_rate", drop=True), data, seeds)


@functools.lru_cache(maxsize=4)
def _made(config: MNIST1D) -> Splits:
    return published(config)


def _neighbours():
    return KNeighborsClassifier(n_neighbors=10)


def _logistic():
    return LogisticRegression(max_iter=1000)


REFERENCES: dict[str, Callable] = {"neighbours": _neighbours, "sklearn_logistic": _logistic}


def _references(protocol: Protocol, make: Callable, data: Callable, seeds: Sequence[int]) -> xr.Dataset:
    accuracy, predictions = [], []
    for seed in seeds:
        train, _, test = data(seed)[:3]
        predictions.append(make().fit(train.x, train.y).predict(test.x).astype(np.uint8))
        accuracy.append([100 * (predictions[-1] == test.y).mean()])
    results = xr.Dataset(
        {
            "test_accuracy": (("seed", "step"), np.array(accuracy, np.float32)),
            "prediction": (("seed", "example"), np.array(predictions)),
        },
        {"seed": list(seeds), "step": [protocol.n_steps]},
    )
    return _with_labels(results, data, seeds)


def _with_labels(results: xr.Dataset, data: Callable, seeds: Sequence[int]) -> xr.Dataset:
    labels = np.array([data(seed).test.y for seed in seeds], np.uint8)
    return results.assign(label=(("seed", "example"), labels))


# ── reading the results ──────────────────────────────────────────────────────────────────────────────────────────────


def last(results: xr.Dataset, model: str, arrangement: str = "plain", arm: str = "published") -> xr.DataArray:
    """Test accuracy at the last step, over `seed`."""
    return results.test_accuracy.sel(model=model, arrangement=arrangement, arm=arm).isel(step=-1)


def stopped(results: xr.Dataset, model: str, arrangement: str = "plain", arm: str = "published") -> xr.DataArray:
    """Test accuracy at the evaluation with the best validation accuracy (the first of several), over `seed`."""
    chosen = results.sel(model=model, arrangement=arrangement, arm=arm)
    return chosen.test_accuracy.isel(step=chosen.valid_accuracy.fillna(-1).argmax("step"))


def best(results: xr.Dataset, model: str, arrangement: str = "plain", arm: str = "published") -> xr.DataArray:
    """Test accuracy at its best evaluation, cross-fitted over seeds."""
    return cross_fitted(results.test_accuracy.sel(model=model, arrangement=arrangement, arm=arm), "step")


def fitted(results: xr.Dataset, model: str) -> xr.DataArray:
    """The best training accuracy of the run, over `seed`."""
    return results.train_accuracy.sel(model=model, arrangement="plain", arm="published").max("step")


def cost_of_shuffling(results: xr.Dataset, model: str) -> xr.DataArray:
    """Points of test accuracy lost by shuffling the positions, paired by seed."""
    return last(results, model) - last(results, model, "shuffled")


# ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _accuracy(id_: str, source: str, published_value: str, within: tuple[float, float]) -> Claim:
    model = id_.partition(".")[0]
    statement = f"{TITLES[model]} reaches {published_value} % test accuracy"
    return Claim(id_, statement, source, published_value, "%", lambda r: last(r, model), within=within)


def _shuffling(model: str, region: tuple[float, float], published_value: str) -> Claim:
    says = "costs 30 to 45 points" if region[0] > 0 else "changes the accuracy by less than 2 points"
    statement = f"shuffling the positions {says} for the {TITLES[model]}"
    return Claim(f"shuffle-{model}", statement, "paper", published_value, "points",
                 lambda r: cost_of_shuffling(r, model), within=region)  # fmt: skip


def _interpolates(model: str) -> Claim:
    if model == "logistic":
        return Claim("interpolates-logistic", "logistic regression does not fit the training set (below 45 %)", "paper",
                     "no", "%", lambda r: fitted(r, "logistic"), below=45)  # fmt: skip
    return Claim(f"interpolates-{model}", f"the {TITLES[model]} fits the training set (best ≥ 99.5 %)", "paper",
                 "yes", "%", lambda r: fitted(r, model), above=99.5)  # fmt: skip


def _untested(id_: str, statement: str, published_value: str, needs: str) -> Claim:
    return Claim(id_, statement, "blog", published_value, "points", above=0, needs=needs)


IMAGES = "needs image data, not loaded yet"
CLAIMS = (
    _accuracy("logistic", "paper", "32 ± 1", (31, 33)),
    _accuracy("mlp.paper", "paper", "68 ± 2", (66, 70)),
    _accuracy("mlp.nb", "nb", "63–65", (63, 65)),
    _accuracy("cnn.paper", "paper", "94 ± 2", (92, 96)),
    _accuracy("cnn.nb", "nb", "92.3–94.2", (92.3, 94.2)),
    _accuracy("gru.paper", "paper", "91 ± 2", (89, 93)),
    _accuracy("gru.nb", "nb", "89–91", (89, 91)),
    Claim("nonlinear-gap", "the MLP beats logistic regression by at least 25 points", "paper", "36", "points",
          lambda r: last(r, "mlp") - last(r, "logistic"), above=25),
    Claim("spatial-gap", "the CNN beats the MLP by at least 20 points", "paper", "26", "points",
          lambda r: last(r, "cnn") - last(r, "mlp"), above=20),
    _shuffling("cnn", (30, 45), "94 → 56 ± 2"),
    _shuffling("gru", (30, 45), "91 → 57 ± 2"),
    _shuffling("mlp", (-2, 2), "0"),
    _shuffling("logistic", (-2, 2), "0"),
    Claim("shuffle-order", "with shuffled positions the CNN is worse than the MLP", "paper", "56 < 68", "points",
          lambda r: last(r, "cnn", "shuffled") - last(r, "mlp", "shuffled"), below=0),
    *(_interpolates(model) for model in NETWORKS[::-1]),
    _untested("discriminates", "accuracies spread at least 5 × as widely as on 28×28 MNIST", "62 vs 5", IMAGES),
    _untested("fashion-harder", "Fashion-MNIST is a bit harder than MNIST", "yes", IMAGES),
    _untested("cifar-discriminates", "CIFAR-10 separates MLP from CNN better than MNIST", "yes", IMAGES),
    _untested("sklearn-easy", "a linear or kernel method reaches 95 % on scikit-learn's digits", "very well", IMAGES),
    Claim("neighbours-knn", "10 nearest neighbours on raw signals reach 59.6 ± 2 % on fresh data", "nb", "59.6", "%",
          lambda r: last(r, "neighbours", arm="fresh"), within=(57.6, 61.6), requires={"model": "neighbours"}),
    Claim("neighbours-logistic", "scikit-learn's logistic regression reaches 32.8 ± 2 % on fresh data", "nb", "32.8",
          "%", lambda r: last(r, "sklearn_logistic", arm="fresh"), within=(30.8, 34.8),
          requires={"model": "sklearn_logistic"}),
    Claim("fresh-spatial-gap", "with fresh data per seed, too, the CNN beats the MLP by at least 20 points", "here",
          "–", "points", lambda r: last(r, "cnn", arm="fresh") - last(r, "mlp", arm="fresh"), above=20,
          needs="needs the preset paper"),
)  # fmt: skip


# ── table and figure ─────────────────────────────────────────────────────────────────────────────────────────────────


def table(results: xr.Dataset) -> Table:
    """Test accuracy by network and arrangement, beside the paper's."""
    columns = ("", "last step", "stopped by validation", "best (cross-fitted)", "paper")
    rows = []
    for arm in results.arm.values:
        for model in (*NETWORKS, *REFERENCES):
            for arrangement in results.arrangement.values:
                place = (results, model, str(arrangement), str(arm))
                if model not in results.model or np.isnan(last(*place)).all():
                    continue
                name = f"{TITLES[model]}, {arrangement}" + (", fresh data" if arm == "fresh" else "")
                curves = model in NETWORKS
                peak = best(*place) if curves and results.sizes["seed"] > 1 else None
                mean, reach = PAPER.get(model, (None,) * 4)[slice(0, 2) if arrangement == "plain" else slice(2, 4)]
                rows.append((
                    name, plus_minus(last(*place)), plus_minus(stopped(*place)) if curves else "–",
                    "–" if peak is None else plus_minus(peak), "–" if mean is None else f"{mean} ± {reach}",
                ))  # fmt: skip
    n = results.sizes["seed"]
    return Table(f"Test accuracy in percent: mean over {n} seeds ± half of the 95 % interval", columns, rows)


def figure(results: xr.Dataset) -> Figure:
    """Learning curves, and the last accuracies beside the paper's."""
    shown = [model for model in NETWORKS[::-1] if model in results.model]
    colours: dict[str, str] = dict(zip(shown, COLOURS, strict=False))
    with style():
        drawn = Figure(figsize=(10, 4.4))
        left, right = drawn.subplots(1, 2, width_ratios=(1.25, 1))
        for model in shown:
            for arrangement, line in (("plain", "-"), ("shuffled", "--")):
                curve = results.test_accuracy.sel(model=model, arrangement=arrangement, arm="published")
                label = TITLES[model] + ("" if arrangement == "plain" else ", shuffled")
                band(left, curve, label=label, color=colours[model], linestyle=line, linewidth=1.5)
        left.set(ylim=(0, 100), title="Learning curves (mean and 95 % interval over seeds)")
        left.legend(fontsize=8, ncols=2, loc="lower right")
        _dots(right, results, shown, colours)
    return drawn


def _dots(ax, results: xr.Dataset, shown: list[str], colours: dict[str, str]) -> None:
    for row, model in enumerate(shown):
        for offset, arrangement, face in ((-0.16, "plain", colours[model]), (0.16, "shuffled", "white")):
            mean, low, high, _ = interval(last(results, model, arrangement))
            reach = None if np.isnan(low) else [[mean - low], [high - mean]]
            ax.errorbar(mean, row + offset, xerr=reach, fmt="o", color=colours[model], markerfacecolor=face, capsize=3)
            published_mean, spread = PAPER[model][:2] if arrangement == "plain" else PAPER[model][2:]
            if published_mean is not None:
                ax.errorbar(published_mean, row + offset + 0.12, xerr=spread, fmt="|", color="0.55", capsize=2, lw=1)
    ax.errorbar([], [], fmt="o", color="0.3", label="plain")
    ax.errorbar([], [], fmt="o", color="0.3", markerfacecolor="white", label="shuffled")
    ax.errorbar([], [], xerr=[], fmt="|", color="0.55", label="published")
    ax.axvline(HUMAN, color="0.7", linestyle=":", linewidth=1)
    ax.text(HUMAN - 1, len(shown) - 0.45, "human", fontsize=8, color="0.4", ha="right", va="center")
    ax.set(
        yticks=range(len(shown)),
        yticklabels=[TITLES[m] for m in shown],
        xlim=(0, 100),
        ylim=(len(shown) - 0.3, -0.5),
    )
    ax.set(xlabel="test accuracy (%)", title="After the last step")
    ax.legend(fontsize=8, loc="lower left")


STUDY = Study(
    question="How much of a network's accuracy comes from knowing that positions have neighbours?",
    presets={
        "smoke": Protocol(n_seeds=2, n_steps=60, eval_every=20, data=MNIST1D(n_train=500, n_valid=100, n_test=100)),
        "quick": Protocol(n_seeds=10),
        "paper": Protocol(n_seeds=30, fresh_data=True),
    },
    cells=cells,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    work=lambda protocol, cell: protocol.n_steps if cell["model"] in NETWORKS else 0,
    minutes={"smoke": 0.4, "quick": 2.7, "paper": 15},
)
