"""Metalearning an activation function: does one found by gradient descent beat the usual ones?

A small scalar network is added to ELU and serves as the activation of an MLP. Gradient descent through whole training
runs learns its weights (Greydanus & Kobak 2024, section 3.4). The learned function and eight usual ones are then tested
on data and initial weights that metalearning never saw: at the published learning rate, for which the function was
learned, and with each usual function at its own best rate.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure
from msgspec import Meta

from flylab.base.constraints import NonNegativeFloat, PositiveFloat, PositiveInt
from flylab.base.rng import stream
from flylab.data import MNIST1D, published
from flylab.models import activations, dense, layers
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import plus_minus
from flylab.study.protocol import BaseProtocol, NSeeds
from flylab.study.study import Condition, Study, Table
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import Objective, cross_entropy, unchanged
from flylab.training.population import Progress, run_members
from flylab.training.step import Member, Plan, SplitArrays, as_arrays
from flylab.training.train import training_run

USUAL = tuple(activations.ALL)
RATES = (2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1)
X = np.linspace(-5, 5, 401)
UNSEEN = 100_000  # the first seed of data and initial weights that metalearning never saw
_published = functools.lru_cache(maxsize=32)(published)


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol, with a data set and initial weights for each seed."""

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    n_outer_steps: PositiveInt = 301
    """Steps of gradient descent on the activation's weights."""
    outer_rate: PositiveFloat = 0.3
    """Learning rate of the outer gradient descent."""
    clip: PositiveFloat = 0.1
    """Bound of each component of the outer gradient, which is clipped to ± this value."""
    n_steps: PositiveInt = 301
    """Inner steps: optimiser steps of each training run."""
    window: PositiveInt = 200
    """Number of last inner steps whose mean loss is the outer loss."""
    batch_size: PositiveInt = 100
    """Examples per inner step, in fixed order."""
    width: PositiveInt = 128
    """Hidden units."""
    n_units: PositiveInt = 100
    """Hidden units of the activation's network."""
    noise: NonNegativeFloat = 0.1
    """Bound of the uniform noise on the hidden units of both networks, drawn once per forward pass, also in tests."""
    learning_rate: PositiveFloat = 1e-2
    """Learning rate of the inner optimiser, RMSProp."""
    decay: Annotated[float, Meta(ge=0, lt=1)] = 0.4
    """Decay of RMSProp's second moment, which starts at 1."""
    rates: Annotated[tuple[PositiveFloat, ...], Meta(min_length=1)] = RATES
    """Learning rates from which each usual function's best is chosen by validation accuracy."""
    n_tests: PositiveInt = 3
    """Networks to test for each seed and function, each on unseen data of its own."""
    fresh_start: bool = False
    """Draw new initial weights in each outer step (the fairer test); by default each seed keeps its initial weights."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_train=8000, n_valid=500, n_test=500))
    """The data set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.window <= self.n_steps, "window", f"at most n_steps={self.n_steps}, the inner steps")
        if self.data.n_valid < 1:
            raise ValueError("n_valid=0 must be ≥ 1: the usual functions' rates are chosen on the validation set")

    @property
    def all_rates(self) -> tuple[float, ...]:
        """The learning rates to test, in ascending order: `rates` and the published one."""
        return tuple(sorted({*self.rates, self.learning_rate}))

    @property
    def stages(self) -> tuple[int, ...]:
        """Outer steps after which the function is saved."""
        return tuple(sorted({0, self.n_outer_steps // 10, self.n_outer_steps // 3, self.n_outer_steps}))

    def plan(self, n_evaluations: int = 1) -> Plan:
        """Return the plan of an inner run."""
        every, optimizer = -(-self.n_steps // n_evaluations), _rms(self.decay)
        return Plan(self.n_steps, self.batch_size, every, optimizer=optimizer, record_loss=n_evaluations > 1)


@functools.cache
def _rms(decay: float) -> Callable:
    return lambda hparams: optax.rmsprop(hparams["learning_rate"], decay=decay, eps=1e-8, initial_scale=1.0)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return one condition per activation: the learned one and the usual ones."""
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
    """Metalearn and test the function of each seed, or test a usual one, on data that metalearning never saw."""
    if condition["activation"] != "learned":
        return _tested(protocol, condition["activation"], {}, protocol.all_rates, seeds, key, progress)
    weights, descent = _metalearned(protocol, seeds, key, progress)
    return descent.merge(_tested(protocol, "learned", weights, (protocol.learning_rate,), seeds, key, progress))


def _metalearned(protocol: Protocol, seeds: Sequence[int], key, progress) -> tuple[dict, xr.Dataset]:
    """Return the weights over seeds, and the outer descent with the function at its stages."""

    def start(seed: int) -> dict:
        init_key = stream(jax.random.fold_in(key, seed), "activation")
        return {"activation": jax.device_get(activations.network_init(init_key, protocol.n_units))}

    learned = metalearn(
        _objective("learned", protocol), lambda seed: _published(replace(protocol.data, seed=1000 + 2 * seed)),
        _outer(protocol), [start], seeds, fixed={"learning_rate": protocol.learning_rate}, key=key, progress=progress,
    )  # fmt: skip
    saved = jax.tree.map(lambda leaf: leaf[0], learned.saved_hparams["activation"])  # over seed, stage
    over_x = jax.vmap(lambda p: jax.vmap(jax.value_and_grad(lambda x: activations.learnable(p, x)))(jnp.float32(X)))
    value, slope = jax.device_get(jax.jit(jax.vmap(over_x))(saved))
    curves = {"value": (("seed", "stage", "x"), value), "slope": (("seed", "stage", "x"), slope)}
    last = {name: leaf[0] for name, leaf in learned.hparams["activation"].items()}
    weights = {f"weight_{name}": (("seed", "unit")[: leaf.ndim], leaf) for name, leaf in last.items()}
    functions = xr.Dataset(curves | weights, {"stage": list(protocol.stages), "x": X})
    return last, learned.results.squeeze("start", drop=True).merge(functions)


def _tested(protocol: Protocol, name: str, weights: dict, rates: Sequence[float], seeds, key, progress) -> xr.Dataset:
    """Train networks with this activation on data and from initial weights that are the same for every activation."""
    plan, objective = protocol.plan(n_evaluations=3), _objective(name, protocol)

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for i, seed in enumerate(seeds):
            hparams = {"activation": {part: leaf[i] for part, leaf in weights.items()}} if weights else {}
            for repeat in range(protocol.n_tests):
                unseen = UNSEEN + seed * protocol.n_tests + repeat
                data = as_arrays(_published(replace(protocol.data, seed=unseen)))
                for rate in rates:
                    yield data, Member(jax.random.fold_in(key, unseen), hparams | {"learning_rate": np.float32(rate)})

    sizes = {"seed": len(seeds), "repeat": protocol.n_tests, "learning_rate": len(rates)}
    trained = run_members(training_run(objective, plan), members(), progress=progress)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(network.history for network in trained))
    variables = {metric: stacked[metric] for metric in ("valid_accuracy", "test_accuracy", "test_loss")}
    variables |= {"loss_last": stacked["loss"][:, -protocol.window :].mean(1), "loss_all": stacked["loss"].mean(1)}
    shaped = {
        name: ((*sizes, "step")[: len(sizes) + v.ndim - 1], v.reshape(*sizes.values(), *v.shape[1:]))
        for name, v in variables.items()
    }
    coords = {"seed": list(seeds), "learning_rate": list(rates), "step": list(plan.evaluated)}
    return xr.Dataset(shaped, coords).mean("repeat")


@functools.cache
def _outer(protocol: Protocol) -> MetaPlan:
    descent = optax.chain(optax.clip(protocol.clip), optax.sgd(protocol.outer_rate))

    def outer(history):
        return history["loss"][-protocol.window :].mean()

    return MetaPlan(protocol.plan(), protocol.n_outer_steps, descent, outer, fresh_start=protocol.fresh_start,
                    save_hparams_at=protocol.stages)  # fmt: skip


def _objective(name: str, protocol: Protocol) -> Objective:
    model = dense.shallow(protocol.data.final_seq_length, protocol.data.outputs, protocol.width)
    return _noisy(name, model.init, protocol.width, protocol.n_units, protocol.noise)


@functools.cache
def _noisy(name: str, init: Callable, width: int, n_units: int, noise: float) -> Objective:
    """Make the objective of one hidden layer with noise on its units and on those of a learned activation's network."""

    def predict(params, x, hparams, key):
        activation_key, hidden_key = jax.random.split(key)
        z = layers.affine(params["hidden"]["w"], params["hidden"]["b"], x)  # (width, batch)
        if name == "learned":
            unit_noise = jax.random.uniform(activation_key, (n_units,), z.dtype, -noise, noise)
            h = activations.learnable(hparams["table"], z) + activations.SHARE * hparams["activation"]["v"] @ unit_noise
        else:
            h = activations.ALL[name](z)
        h = h + jax.random.uniform(hidden_key, (width, 1), z.dtype, -noise, noise)
        return layers.affine(params["output"]["w"], params["output"]["b"], h)

    def loss(params, batch, hparams, key):
        return cross_entropy(predict(params, batch.x, hparams, key), batch.y).mean(), {}

    def prepare(hparams):
        return hparams | {"table": activations.table(hparams["activation"])}

    return Objective(lambda key, hparams: init(key), loss, predict, prepare=prepare if name == "learned" else unchanged)


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


def weights(results: xr.Dataset, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the learned weights of one seed, for `activations.learnable` and `activations.save_weights`."""
    learned = results.sel(activation="learned", seed=seed)
    return {name: learned[f"weight_{name}"].values for name in ("w", "b", "v", "c")}


def _beats(name: str, source: str, own_rate: bool = False) -> Claim:
    at = f"with {activations.title(name)} at its own best learning rate, " if own_rate else ""
    return Claim(
        f"beats-{name}" + (".tuned" if own_rate else ""),
        f"{at}the learned function beats {activations.title(name)} by at least 5 points on unseen data",
        source, "yes" if source == "paper" else "–", "points",
        lambda r: accuracy(r, "learned") - accuracy(r, name, own_rate=own_rate), above=5,
    )  # fmt: skip


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
          "0.884", "nats", lambda r: _loss_lead(r, "loss_last"), below=0),
    Claim("train-loss.all", "its training loss over all inner steps is below every usual function's", "nb",
          "best of the usual: 1.337", "nats", lambda r: _loss_lead(r, "loss_all"), below=0),
    Claim("train-loss.tuned", "… over all inner steps, with each usual function at its own best rate", "here", "–",
          "nats", lambda r: _loss_lead(r, "loss_all", own_rate=True), below=0),
    Claim("shape", "the learned function has two extrema on [−5, 5]", "paper", "2", "extrema", n_extrema,
          within=(2, 2), needs="needs the preset paper"),
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


def figure(results: xr.Dataset) -> Figure:
    """Plot the outer objective, test accuracies, and the function and its slope at stages of learning."""
    learned = results.sel(activation="learned")
    with style():
        picture = Figure(figsize=(11, 8))
        (outer, curves), (function, slope) = picture.subplots(2, 2)
        band(outer, learned.outer_loss, color=COLOURS[0])
        outer.set(title="Outer objective: training loss, last inner steps")
        _against_usual(curves, results)
        greys = ("0.8", "0.6", "0.4", COLOURS[0])
        for ax, name in ((function, "value"), (slope, "slope")):
            for stage, colour in zip(learned.stage.values, greys[-learned.sizes["stage"] :], strict=True):
                width = 1.8 if colour == COLOURS[0] else 1.1
                curve = learned[name].sel(stage=stage)
                band(ax, curve, label=f"after {stage} outer steps", color=colour, linewidth=width)
            for seed in learned.seed.values:
                ax.plot(X, learned[name].sel(seed=seed).isel(stage=-1), color=COLOURS[0], linewidth=0.4, alpha=0.6)
            ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
        function.set(title="The function (mean, band, each seed)")
        slope.set(title="Its slope")
        function.legend(fontsize=8)
    return picture


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
