"""Does an activation function found by gradient descent beat those that people use?

A small scalar network is added to ELU and serves as the activation of an MLP. Gradient descent through whole training
runs learns its weights (Greydanus & Kobak 2024, section 3.4). The learned function, the authors' own and eight usual
ones are then tested on data and initial weights that metalearning never saw: at the published learning rate, for which
the functions were learned, and with each usual function at its own best rate.
"""

from collections.abc import Callable

import xarray as xr

from flylab.data import MNIST1D
from flylab.results.claims import Claim
from flylab.results.effects import Effect
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table
from flylab.studies.activation.drawing import AUTHORS_ACCURACY, LEARNED_ACCURACY, figure
from flylab.studies.activation.measures import (
    accuracy,
    accuracy_lead,
    at_rate,
    best_rate,
    fixed_rate,
    loss_lead,
    n_extrema,
    tested,
    title,
    weights,
)
from flylab.studies.activation.method import UNSEEN, metalearned, run
from flylab.studies.activation.protocol import USUAL, Protocol, conditions, n_steps, resources
from flylab.study import Study

__all__ = [
    "CLAIMS", "STUDY", "UNSEEN", "USUAL", "Protocol", "accuracy", "best_rate", "conditions", "figure",
    "metalearned", "n_extrema", "n_steps", "resources", "run", "table", "weights",
]  # fmt: skip

FIXED_RATE = ("rates",)  # among which a usual function's own rate is chosen
SAMPLING_ERROR = 4.1  # points: 1.96 · √(0.66 · 0.34 / 500), of the notebook's 500 test examples
OUTER = ("n_outer_steps", "outer_rate", "clip", "window", "n_units", "fresh_start", "fresh_noise")  # of metalearning


def _compared(measure: Callable[[xr.Dataset], xr.DataArray], *usual: str) -> Effect:
    return Effect(measure, {"activation": ("learned", *usual)})


def _beats(name: str, source: str, own_rate: bool = False) -> Claim:
    at = f"with {title(name)} at its own best learning rate, " if own_rate else ""
    statement = f"{at}the learned function beats {title(name)} by at least 5 points on unseen data"
    effect = _compared(lambda r: accuracy(r, "learned") - accuracy(r, name, own_rate=own_rate), name)
    id_, published = f"beats-{name}" + (".tuned" if own_rate else ""), "yes" if source == "paper" else "–"
    return Claim(
        id_, statement, source, published, "points", effect, above=5, independent_of=() if own_rate else FIXED_RATE
    )


def _level(id_: str, what: str, value: float, name: str, independent_of: tuple[str, ...]) -> Claim:
    statement = f"{what} reaches {value:g} % on unseen data (by {SAMPLING_ERROR:g} points, the error of 500 examples)"
    return Claim(
        id_, statement, "nb", f"{value:g}", "%", Effect(lambda r: accuracy(r, name), {"activation": name}),
        within=(value - SAMPLING_ERROR, value + SAMPLING_ERROR), independent_of=independent_of,
    )  # fmt: skip


CLAIMS = (
    *(_beats(name, "paper") for name in ("relu", "elu", "swish")),
    *(_beats(name, "here", own_rate=True) for name in ("relu", "elu", "swish")),
    Claim("beats-all.tuned", "it beats the best of eight usual functions (on the validation set), each at its own best "
          "rate, at all", "here", "–", "points", accuracy_lead, above=0),
    _level("level-learned", "the learned function", LEARNED_ACCURACY, "learned", FIXED_RATE),
    _level("authors-function", "the authors' piecewise-linear function", AUTHORS_ACCURACY, "authors",
           (*FIXED_RATE, *OUTER)),
    Claim("train-loss.last", "its training loss over the last 200 inner steps is below every usual function's", "nb",
          "0.884", "nats", lambda r: loss_lead(r, "loss_last"), below=0, independent_of=FIXED_RATE),
    Claim("train-loss.all", "its training loss over all inner steps is below every usual function's", "nb",
          "best of the usual: 1.337", "nats", lambda r: loss_lead(r, "loss_all"), below=0, independent_of=FIXED_RATE),
    Claim("train-loss.tuned", "… over all inner steps, with each usual function at its own best rate", "here", "–",
          "nats", lambda r: loss_lead(r, "loss_all", own_rate=True), below=0),
    Claim("shape", "in most seeds the learned function has two extrema on [−5, 5]", "paper", "2", "% of seeds",
          Effect(n_extrema).holds(lambda n: n == 2), above=50, needs="needs the preset paper",
          independent_of=("rates", "n_tests")),
)  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Tabulate every function's accuracy on unseen data and training loss."""
    rows = []
    for name in tested(results):
        losses = [plus_minus(at_rate(results, variable, name), 3) for variable in ("loss_last", "loss_all")]
        is_tuned = name in USUAL
        tuned = plus_minus(accuracy(results, name, own_rate=True)) if is_tuned else "–"
        rate = f"{best_rate(results, name):g}" if is_tuned else "–"
        rows.append((title(name), plus_minus(accuracy(results, name)), tuned, rate, *losses))
    columns = ("", "test accuracy (%)", "at its best rate", "best rate", "training loss, last steps", "… all steps")
    rate, n = fixed_rate(results), results.sizes["seed"]
    return Table(f"At learning rate {rate:g}: mean over {n} seeds ± half of the 95 % interval", columns, rows)


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_outer_steps=3, n_steps=12, window=6, width=8, n_units=5, n_tests=1,
                      rates=(1e-2, 3e-2), data=MNIST1D(n_train=300, n_valid=50, n_test=50)),
    "quick": Protocol(n_seeds=4, n_outer_steps=100),
    "paper": Protocol(n_seeds=10),
}  # fmt: skip
MINUTES = {"smoke": 0.4, "quick": 1.2, "paper": 10}
STUDY = Study.of_module(__name__)
