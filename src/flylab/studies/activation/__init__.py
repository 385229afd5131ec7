"""Does an activation function found by gradient descent beat those that people use?

A small scalar network is added to ELU and serves as the activation of an MLP. Gradient descent through whole training
runs learns its weights (Greydanus & Kobak 2024, section 3.4). The learned function and eight usual ones are then tested
on data and initial weights that metalearning never saw: at the published learning rate, for which the function was
learned, and with each usual function at its own best rate.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.data import MNIST1D
from flylab.models import activations
from flylab.results.claims import Claim
from flylab.results.effects import Effect
from flylab.results.plots import COLOURS, band, curves, panels, style
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table
from flylab.studies.activation.method import (
    UNSEEN,
    USUAL,
    Protocol,
    X,
    conditions,
    metalearned,
    n_steps,
    resources,
    run,
)
from flylab.study import Study

__all__ = [
    "CLAIMS",
    "STUDY",
    "UNSEEN",
    "USUAL",
    "Protocol",
    "accuracy",
    "best_rate",
    "conditions",
    "figure",
    "metalearned",
    "n_extrema",
    "n_steps",
    "resources",
    "run",
    "table",
    "weights",
]  # fmt: skip


def _fixed_rate(results: xr.Dataset) -> float:
    """Return the learning rate that the function was learned at, the only one it is tested at."""
    tested = results.test_accuracy.sel(activation="learned").notnull().any(("seed", "step"))
    return float(results.learning_rate[tested.values][0])


def best_rate(results: xr.Dataset, name: str) -> float:
    """Return the learning rate of an activation's best mean validation accuracy after the last step."""
    if name == "learned":
        return _fixed_rate(results)
    accuracy = results.valid_accuracy.sel(activation=name).isel(step=-1).mean("seed")
    return float(accuracy.learning_rate[accuracy.values.argmax()])


def accuracy(results: xr.Dataset, name: str, *, own_rate: bool = False) -> xr.DataArray:
    """Return test accuracy after the last step over `seed`, at the published learning rate or the activation's best."""
    return _at(results, "test_accuracy", name, own_rate).isel(step=-1)


def _at(results: xr.Dataset, variable: str, name: str, own_rate: bool = False) -> xr.DataArray:
    rate = best_rate(results, name) if own_rate else _fixed_rate(results)
    return results[variable].sel(activation=name, learning_rate=rate, drop=True)


def _usual(results: xr.Dataset) -> list[str]:
    return [name for name in USUAL if name in results.activation.values]


def n_extrema(results: xr.Dataset) -> xr.DataArray:
    """Return how often the learned function's slope changes its sign on [−5, 5], over `seed`.

    Returns NaN with fewer than the published 301 outer steps, since the second extremum appears late.
    """
    slope = results.slope.sel(activation="learned").isel(stage=-1).transpose("seed", "x")
    n_changes = (np.diff(np.sign(slope.values)) != 0).sum(1).astype(float)
    return slope.isel(x=0).copy(data=n_changes if int(results.stage[-1]) >= 301 else np.full_like(n_changes, np.nan))


def weights(results: xr.Dataset, seed: int | None = None) -> dict[str, np.ndarray]:
    """Return the learned weights of one seed, by default the first, for `activations.learnable` and `save_weights`."""
    learned = results.sel(activation="learned", seed=results.seed[0] if seed is None else seed)
    return {name: learned[f"weight_{name}"].values for name in ("w", "b", "v", "c")}


FIXED_RATE = ("rates",)  # among which a usual function's own rate is chosen


def _compared(measure: Callable[[xr.Dataset], xr.DataArray], *usual: str) -> Effect:
    return Effect(measure, {"activation": ("learned", *usual)})


def _beats(name: str, source: str, own_rate: bool = False) -> Claim:
    at = f"with {activations.title(name)} at its own best learning rate, " if own_rate else ""
    statement = f"{at}the learned function beats {activations.title(name)} by at least 5 points on unseen data"
    effect = _compared(lambda r: accuracy(r, "learned") - accuracy(r, name, own_rate=own_rate), name)
    id_, published = f"beats-{name}" + (".tuned" if own_rate else ""), "yes" if source == "paper" else "–"
    return Claim(
        id_, statement, source, published, "points", effect, above=5, independent_of=() if own_rate else FIXED_RATE
    )


def _accuracy_lead(results: xr.Dataset) -> xr.DataArray:
    """Return the learned function's accuracy less that of the usual one with the best mean at its own best rate."""
    accuracies = [accuracy(results, name, own_rate=True) for name in _usual(results)]
    usual = xr.concat(accuracies, "usual", coords="minimal")
    return accuracy(results, "learned") - usual.isel(usual=usual.mean("seed").values.argmax())


def _loss_lead(results: xr.Dataset, variable: str, own_rate: bool = False) -> xr.DataArray:
    """Return the learned function's training loss less that of each seed's best usual one."""
    usual = xr.concat([_at(results, variable, name, own_rate) for name in _usual(results)], "usual")
    return _at(results, variable, "learned") - usual.min("usual")


CLAIMS = (
    *(_beats(name, "paper") for name in ("relu", "elu", "swish")),
    *(_beats(name, "here", own_rate=True) for name in ("relu", "elu", "swish")),
    Claim("beats-all.tuned", "it beats the best of eight usual functions, each at its own best rate, at all", "here",
          "–", "points", _accuracy_lead, above=0),
    Claim("train-loss.last", "its training loss over the last 200 inner steps is below every usual function's", "nb",
          "0.884", "nats", lambda r: _loss_lead(r, "loss_last"), below=0, independent_of=FIXED_RATE),
    Claim("train-loss.all", "its training loss over all inner steps is below every usual function's", "nb",
          "best of the usual: 1.337", "nats", lambda r: _loss_lead(r, "loss_all"), below=0, independent_of=FIXED_RATE),
    Claim("train-loss.tuned", "… over all inner steps, with each usual function at its own best rate", "here", "–",
          "nats", lambda r: _loss_lead(r, "loss_all", own_rate=True), below=0),
    Claim("shape", "in most seeds the learned function has two extrema on [−5, 5]", "paper", "2", "% of seeds",
          Effect(n_extrema).holds(lambda n: n == 2), above=50, needs="needs the preset paper",
          independent_of=("rates", "n_tests")),
)  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Tabulate every function's accuracy on unseen data and training loss."""
    rows = []
    for name in ("learned", *_usual(results)):
        losses = [plus_minus(_at(results, variable, name), 3) for variable in ("loss_last", "loss_all")]
        tuned = "–" if name == "learned" else plus_minus(accuracy(results, name, own_rate=True))
        rate = f"{best_rate(results, name):g}" if name != "learned" else "–"
        rows.append((activations.title(name), plus_minus(accuracy(results, name)), tuned, rate, *losses))
    columns = ("", "test accuracy (%)", "at its best rate", "best rate", "training loss, last steps", "… all steps")
    rate, n = _fixed_rate(results), results.sizes["seed"]
    return Table(f"At learning rate {rate:g}: mean over {n} seeds ± half of the 95 % interval", columns, rows)


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot the outer objective, test accuracies, and the function and its slope at stages of learning."""
    learned = results.sel(activation="learned")
    drawn, (outer, tested, function, slope) = panels(
        "Outer objective: training loss, last inner steps",
        f"Test accuracy on unseen data, rate {_fixed_rate(results):g}",
        "The function (mean, band, each seed)", "Its slope", size=(11, 8), n_rows=2,
    )  # fmt: skip
    band(outer, learned.outer_loss, color=COLOURS[0])
    _against_usual(tested, results)
    greys = dict(zip(learned.stage.values.tolist()[::-1], (COLOURS[0], "0.4", "0.6", "0.8"), strict=False))
    for ax, name in ((function, "value"), (slope, "slope")):
        curves(ax, learned[name], "stage", greys, "after {} outer steps".format, linewidth=1.3)
        for seed in learned.seed.values:
            ax.plot(X, learned[name].sel(seed=seed).isel(stage=-1), color=COLOURS[0], linewidth=0.4, alpha=0.6)
        ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    function.legend(fontsize=8)
    return drawn


def _against_usual(ax, results: xr.Dataset) -> None:
    """Plot test accuracy over inner steps at the published rate, and a dot for each function at its own best rate."""
    last = int(results.step[-1])
    band(ax, _at(results, "test_accuracy", "learned"), label="learned", color=COLOURS[0], linewidth=2)
    for i, (name, colour) in enumerate(zip(_usual(results), (*COLOURS[1:], "#8c564b", "#7f7f7f"), strict=False)):
        band(ax, _at(results, "test_accuracy", name), label=activations.title(name), color=colour, linewidth=1.2)
        best = float(accuracy(results, name, own_rate=True).mean())
        ax.plot(last * (1.04 + 0.025 * i), best, "o", color=colour, markersize=4, clip_on=False)
    ax.plot([], [], "o", color="0.4", markersize=4, label="at its own best rate")
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= last])
    ax.set(xlabel="inner steps")
    ax.legend(fontsize=7, ncols=2)


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_outer_steps=3, n_steps=12, window=6, width=8, n_units=5, n_tests=1,
                      rates=(1e-2, 3e-2), data=MNIST1D(n_train=300, n_valid=50, n_test=50)),
    "quick": Protocol(n_seeds=4, n_outer_steps=100),
    "paper": Protocol(n_seeds=10),
}  # fmt: skip
MINUTES = {"smoke": 0.4, "quick": 1.5, "paper": 10}
STUDY = Study.of_module(__name__)
