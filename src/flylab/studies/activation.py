"""Metalearning an activation function: does one that was found by gradient descent beat those that people use?

A small network from number to number is added to ELU and takes its place in an MLP; its weights are descended through
whole training runs (Greydanus & Kobak 2024, section 3.4). What it has become is then tested, beside eight usual
functions, on data and initial weights that metalearning never saw, at the published learning rate and with each usual
function at its own best one: the published rate is the one that the learned function was made for.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from flylab.base.rng import stream
from flylab.data import MNIST1D, Splits, published
from flylab.models import activations, dense, layers
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import plus_minus
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Condition, Study, Table
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import Objective, cross_entropy, unchanged
from flylab.training.population import Progress, run_members
from flylab.training.step import Member, Plan, SplitArrays, as_arrays
from flylab.training.train import training_run

USUAL = tuple(activations.ALL)
RATES = (2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1)
X = np.linspace(-5, 5, 401)
UNSEEN = 100_000  # seeds from here on: data and initial weights that metalearning never saw


# ── protocol ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol, on a data set and initial weights of each seed's own."""

    n_seeds: int = 5
    """Seeds: independent repetitions."""
    n_outer_steps: int = 301
    """Steps of gradient descent on the activation's weights."""
    outer_rate: float = 0.3
    """The rate of that descent."""
    clip: float = 0.1
    """Every component of the outer gradient is clipped to ± this."""
    n_steps: int = 301
    """Inner steps: optimiser steps of each training run."""
    window: int = 200
    """The outer loss is the mean over the last so many inner steps."""
    batch_size: int = 100
    """Examples per inner step, in fixed order."""
    width: int = 128
    """Hidden units."""
    n_units: int = 100
    """Units of the activation's own network."""
    noise: float = 0.1
    """Uniform noise ± this on the hidden units of both networks, one vector per forward pass; in tests, too."""
    learning_rate: float = 1e-2
    """Of the inner optimiser, an RMSProp."""
    decay: float = 0.4
    """Of its second moment, which starts at 1."""
    rates: tuple[float, ...] = RATES
    """Learning rates among which each usual function has its best, by validation accuracy."""
    n_tests: int = 3
    """Networks of each seed and function that are tested, each on its own unseen data."""
    fresh_start: bool = False
    """New initial weights in each outer step (the fairer test), else a seed's own."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_train=8000, n_valid=500, n_test=500))
    """The data set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            whole=("n_outer_steps", "n_steps", "width", "n_units", "n_tests", "window"),
            positive=("outer_rate", "clip", "learning_rate", "rates"),
        )
        if self.window > self.n_steps:
            raise ValueError(f"window={self.window} is not allowed: there are only {self.n_steps} inner steps")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay={self.decay} is not allowed: give a number ≥ 0 and < 1")
        if not self.noise >= 0:
            raise ValueError(f"noise={self.noise} is not allowed: give a number ≥ 0")
        if not self.rates:
            raise ValueError("rates=() is not allowed: give numbers > 0")
        if self.data.n_valid < 1:
            raise ValueError("n_valid=0 is not allowed: the usual functions' rates are chosen on the validation set")
        self.plan()

    @property
    def all_rates(self) -> tuple[float, ...]:
        """Those of `rates`, and the published one."""
        return tuple(sorted({*self.rates, self.learning_rate}))

    @property
    def stages(self) -> tuple[int, ...]:
        """Outer steps at which the function is kept."""
        return tuple(sorted({0, self.n_outer_steps // 10, self.n_outer_steps // 3, self.n_outer_steps}))

    def plan(self, n_evaluations: int = 1) -> Plan:
        """Of an inner run."""
        every, optimizer = -(-self.n_steps // n_evaluations), _rms(self.decay)
        return Plan(self.n_steps, self.batch_size, every, optimizer=optimizer, record_loss=n_evaluations > 1)


@functools.cache
def _rms(decay: float) -> Callable:
    return lambda hparams: optax.rmsprop(hparams["learning_rate"], decay=decay, eps=1e-8, initial_scale=1.0)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """The learned function, and the usual ones."""
    return [{"activation": name} for name in ("learned", *USUAL)]


def run(
    protocol: Protocol,
    condition: Condition,
    seeds: Sequence[int],
    *,
    key,
    artifacts=None,
    progress: Progress | None = None,
    resume=None,
) -> xr.Dataset:
    """Metalearn the function of each seed and test it, or test a usual one, on data that metalearning never saw."""
    if condition["activation"] != "learned":
        return _tested(protocol, condition["activation"], {}, protocol.all_rates, seeds, key, progress)
    weights, found = _metalearned(protocol, seeds, key, progress)
    return found.merge(_tested(protocol, "learned", weights, (protocol.learning_rate,), seeds, key, progress))


def _metalearned(protocol: Protocol, seeds: Sequence[int], key, progress) -> tuple[dict, xr.Dataset]:
    """The weights over seeds, and the outer descent with the function at its stages."""

    def start(seed: int) -> dict:
        own = stream(jax.random.fold_in(key, seed), "activation")
        return {"activation": jax.device_get(activations.network_init(own, protocol.n_units))}

    def data(seed: int) -> Splits:
        return _made(replace(protocol.data, seed=1000 + 2 * seed))

    fixed = {"learning_rate": protocol.learning_rate}
    objective = _objective("learned", protocol)
    found = metalearn(objective, data, _outer(protocol), [start], seeds, fixed=fixed, key=key, progress=progress)
    kept = jax.tree.map(lambda leaf: leaf[0], found.saved_hparams["activation"])  # over seed, stage
    over_x = jax.vmap(lambda p: jax.vmap(jax.value_and_grad(lambda x: activations.learnable(p, x)))(jnp.float32(X)))
    value, slope = jax.device_get(jax.jit(jax.vmap(over_x))(kept))
    results = found.results.squeeze("start", drop=True)
    curves = {"value": (("seed", "stage", "x"), value), "slope": (("seed", "stage", "x"), slope)}
    last = {name: leaf[0] for name, leaf in found.hparams["activation"].items()}
    weights = {f"weight_{name}": (("seed", "unit")[: leaf.ndim], leaf) for name, leaf in last.items()}
    coords = {"stage": list(protocol.stages), "x": X}
    return last, results.merge(xr.Dataset(curves | weights, coords))


def _tested(protocol: Protocol, name: str, weights: dict, rates: Sequence[float], seeds, key, progress) -> xr.Dataset:
    """Networks with this activation, on data and with initial weights that are the same for every activation."""
    plan, objective = protocol.plan(n_evaluations=3), _objective(name, protocol)

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for i, seed in enumerate(seeds):
            hparams = {"activation": {part: leaf[i] for part, leaf in weights.items()}} if weights else {}
            for repeat in range(protocol.n_tests):
                unseen = UNSEEN + seed * protocol.n_tests + repeat
                data = as_arrays(_made(replace(protocol.data, seed=unseen)))
                for rate in rates:
                    yield data, Member(jax.random.fold_in(key, unseen), hparams | {"learning_rate": np.float32(rate)})

    sizes = {"seed": len(seeds), "repeat": protocol.n_tests, "learning_rate": len(rates)}
    trained = run_members(training_run(objective, plan), members(), progress=progress)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(one.history for one in trained))
    metrics = ("valid_accuracy", "test_accuracy", "test_loss")
    variables = {metric: ((*sizes, "step"), stacked[metric]) for metric in metrics}
    variables |= {
        "loss_last": (tuple(sizes), stacked["loss"][:, -protocol.window :].mean(1)),
        "loss_all": (tuple(sizes), stacked["loss"].mean(1)),
    }
    shaped = {name: (dims, v.reshape(*sizes.values(), *v.shape[1:])) for name, (dims, v) in variables.items()}
    coords = {"seed": list(seeds), "learning_rate": list(rates), "step": list(plan.evaluated)}
    return xr.Dataset(shaped, coords).mean("repeat")


@functools.cache
def _outer(protocol: Protocol) -> MetaPlan:
    descent = optax.chain(optax.clip(protocol.clip), optax.sgd(protocol.outer_rate))

    def outer(history):
        return history["loss"][-protocol.window :].mean()

    fresh = protocol.fresh_start
    return MetaPlan(
        protocol.plan(), protocol.n_outer_steps, descent, outer, fresh_start=fresh, save_hparams_at=protocol.stages
    )


def _objective(name: str, protocol: Protocol) -> Objective:
    model = dense.shallow(protocol.data.final_seq_length, protocol.data.outputs, protocol.width)
    return _noisy(name, model.init, protocol.width, protocol.n_units, protocol.noise)


@functools.cache
def _noisy(name: str, init: Callable, width: int, n_units: int, noise: float) -> Objective:
    """Classification by one hidden layer, whose units, and those of a learned activation's network, are noisy."""

    def predict(params, x, hparams, key):
        own, inner = jax.random.split(key)
        z = layers.affine(params["hidden"]["w"], params["hidden"]["b"], x)  # (width, batch)
        if name == "learned":
            drawn = jax.random.uniform(own, (n_units,), z.dtype, -noise, noise)
            h = activations.learnable(hparams["table"], z) + activations.SHARE * hparams["activation"]["v"] @ drawn
        else:
            h = activations.ALL[name](z)
        h = h + jax.random.uniform(inner, (width, 1), z.dtype, -noise, noise)
        return layers.affine(params["output"]["w"], params["output"]["b"], h)

    def loss(params, batch, hparams, key):
        return cross_entropy(predict(params, batch.x, hparams, key), batch.y).mean(), {}

    def prepare(hparams):
        return hparams | {"table": activations.table(hparams["activation"])}

    return Objective(lambda key, hparams: init(key), loss, predict, prepare=prepare if name == "learned" else unchanged)


@functools.lru_cache(maxsize=32)
def _made(config: MNIST1D) -> Splits:
    return published(config)


# ── reading the results ──────────────────────────────────────────────────────────────────────────────────────────────


def _fixed_rate(results: xr.Dataset) -> float:
    """The rate that the learned function was made for: the only one it is tested at."""
    tested = results.test_accuracy.sel(activation="learned").notnull().any(("seed", "step"))
    return float(results.learning_rate[tested.values][0])


def best_rate(results: xr.Dataset, name: str) -> float:
    """The learning rate of an activation's best validation accuracy after the last step, the mean over seeds."""
    if name == "learned":
        return _fixed_rate(results)
    accuracy = results.valid_accuracy.sel(activation=name).isel(step=-1).mean("seed")
    return float(accuracy.learning_rate[accuracy.values.argmax()])


def accuracy(results: xr.Dataset, name: str, *, own_rate: bool = False) -> xr.DataArray:
    """Test accuracy after the inner loop over `seed`, at the published learning rate or the activation's own best."""
    return _at(results, "test_accuracy", name, own_rate).isel(step=-1)


def _at(results: xr.Dataset, variable: str, name: str, own_rate: bool) -> xr.DataArray:
    rate = best_rate(results, name) if own_rate else _fixed_rate(results)
    return results[variable].sel(activation=name, learning_rate=rate, drop=True)


def _usual(results: xr.Dataset) -> list[str]:
    return [name for name in USUAL if name in results.activation.values]


def n_extrema(results: xr.Dataset) -> xr.DataArray:
    """How often the learned function's slope changes its sign on [−5, 5], over `seed`; NaN if it was learned for less
    than the published 301 outer steps: the second extremum comes late."""
    slope = results.slope.sel(activation="learned").isel(stage=-1).transpose("seed", "x")
    found = (np.diff(np.sign(slope.values)) != 0).sum(1).astype(float)
    return slope.isel(x=0).copy(data=found if int(results.stage[-1]) >= 301 else np.full_like(found, np.nan))


def weights(results: xr.Dataset, seed: int = 0) -> dict[str, np.ndarray]:
    """The learned function's weights of one seed, for `activations.learnable` and `activations.save_weights`."""
    one = results.sel(activation="learned", seed=seed)
    return {name: one[f"weight_{name}"].values for name in ("w", "b", "v", "c")}


# ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _beats(name: str, source: str, own_rate: bool = False) -> Claim:
    at = f"with {activations.title(name)} at its own best learning rate, " if own_rate else ""
    return Claim(
        f"beats-{name}" + (".tuned" if own_rate else ""),
        f"{at}the learned function beats {activations.title(name)} by at least 5 points on unseen data",
        source, "yes" if source == "paper" else "–", "points",
        lambda r: accuracy(r, "learned") - accuracy(r, name, own_rate=own_rate), above=5,
    )  # fmt: skip


def _over_all(results: xr.Dataset, own_rate: bool) -> xr.DataArray:
    """The learned function's lead over whichever usual one has the best mean."""
    usual = xr.concat(
        [accuracy(results, name, own_rate=own_rate) for name in _usual(results)], "usual", coords="minimal"
    )
    return accuracy(results, "learned") - usual.isel(usual=usual.mean("seed").values.argmax())


def _lead(results: xr.Dataset, variable: str, own_rate: bool = False) -> xr.DataArray:
    """The learned function's training loss less that of the best usual one of each seed."""
    usual = xr.concat([_at(results, variable, name, own_rate) for name in _usual(results)], "usual")
    return _at(results, variable, "learned", False) - usual.min("usual")


CLAIMS = (
    *(_beats(name, "paper") for name in ("relu", "elu", "swish")),
    *(_beats(name, "here", own_rate=True) for name in ("relu", "elu", "swish")),
    Claim("beats-all.tuned", "it beats the best of eight usual functions, each at its own best rate, at all", "here",
          "–", "points", lambda r: _over_all(r, True), above=0),
    Claim("train-loss.last", "its training loss over the last 200 inner steps is below every usual function's", "nb",
          "0.884", "nats", lambda r: _lead(r, "loss_last"), below=0),
    Claim("train-loss.all", "its training loss over all inner steps is below every usual function's", "nb",
          "best of the usual: 1.337", "nats", lambda r: _lead(r, "loss_all"), below=0),
    Claim("train-loss.tuned", "… over all inner steps, with each usual function at its own best rate", "here", "–",
          "nats", lambda r: _lead(r, "loss_all", own_rate=True), below=0),
    Claim("shape", "the learned function has two extrema on [−5, 5]", "paper", "2", "extrema", n_extrema,
          within=(2, 2), needs="needs the preset paper"),
)  # fmt: skip


# ── table and figure ─────────────────────────────────────────────────────────────────────────────────────────────────


def table(results: xr.Dataset) -> Table:
    """Accuracy on unseen data and training loss of every function."""
    rows = []
    for name in ("learned", *_usual(results)):
        losses = [plus_minus(_at(results, variable, name, False), 3) for variable in ("loss_last", "loss_all")]
        tuned = "–" if name == "learned" else plus_minus(accuracy(results, name, own_rate=True))
        rate = f"{best_rate(results, name):g}" if name != "learned" else "–"
        rows.append((activations.title(name), plus_minus(accuracy(results, name)), tuned, rate, *losses))
    columns = (
        "", "test accuracy (%)", "at its own best rate", "that rate", "training loss, last steps", "… all steps"
    )  # fmt: skip
    n = results.sizes["seed"]
    return Table(f"At learning rate {_fixed_rate(results):g}: mean over {n} seeds ± half of the 95 % interval",
                 columns, rows)  # fmt: skip


def figure(results: xr.Dataset) -> Figure:
    """Outer objective, test accuracy beside the usual functions, and the function and its slope as it was learned."""
    learned = results.sel(activation="learned")
    with style():
        drawn = Figure(figsize=(11, 8))
        (outer, curves), (function, slope) = drawn.subplots(2, 2)
        band(outer, learned.outer_loss, color=COLOURS[0])
        outer.set(title="Outer objective: training loss, last inner steps")
        _against_usual(curves, results)
        greys = ("0.8", "0.6", "0.4", COLOURS[0])
        for ax, name in ((function, "value"), (slope, "slope")):
            for stage, colour in zip(learned.stage.values, greys[-learned.sizes["stage"] :], strict=True):
                one = learned[name].sel(stage=stage)
                last = colour == COLOURS[0]
                band(ax, one, label=f"after {stage} outer steps", color=colour, linewidth=1.8 if last else 1.1)
            for seed in learned.seed.values:
                ax.plot(X, learned[name].sel(seed=seed).isel(stage=-1), color=COLOURS[0], linewidth=0.4, alpha=0.6)
            ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
        function.set(title="The function (mean, band, each seed)")
        slope.set(title="Its slope")
        function.legend(fontsize=8)
    return drawn


def _against_usual(ax, results: xr.Dataset) -> None:
    """Test accuracy over inner steps at the published rate, and dots for each function's own best rate."""
    cycle = (*COLOURS[1:], "#8c564b", "#7f7f7f")
    last = int(results.step[-1])
    usual = _usual(results)
    band(ax, _at(results, "test_accuracy", "learned", False), label="learned", color=COLOURS[0], linewidth=2)
    for i, name in enumerate(usual):
        colour = cycle[i % len(cycle)]
        band(ax, _at(results, "test_accuracy", name, False), label=activations.title(name), color=colour, linewidth=1.2)
        best = float(accuracy(results, name, own_rate=True).mean())
        ax.plot(last * (1.04 + 0.025 * i), best, "o", color=colour, markersize=4, clip_on=False)
    ax.plot([], [], "o", color="0.4", markersize=4, label="at its own best rate")
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= last])
    ax.set(title=f"Test accuracy on unseen data, rate {_fixed_rate(results):g}", xlabel="inner steps")
    ax.legend(fontsize=7, ncols=2)


STUDY = Study(
    question="Does an activation function found by gradient descent beat those that people use?",
    presets={
        "smoke": Protocol(n_seeds=2, n_outer_steps=3, n_steps=12, window=6, width=8, n_units=5, n_tests=1,
                          rates=(1e-2, 3e-2), data=MNIST1D(n_train=300, n_valid=50, n_test=50)),
        "quick": Protocol(n_seeds=6, n_outer_steps=120),
        "paper": Protocol(n_seeds=10),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    n_steps=lambda protocol, condition: protocol.n_steps * (
        protocol.n_outer_steps + protocol.n_tests if condition["activation"] == "learned"
        else protocol.n_tests * len(protocol.all_rates)
    ),
    minutes={"smoke": 0.4, "quick": 3.2, "paper": 10},
)  # fmt: skip
