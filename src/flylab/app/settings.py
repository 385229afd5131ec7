"""The playground's settings: checked and bounded values that define a training, and write it as a Python program."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import jax
import numpy as np

from flylab.data import MNIST1D, Splits, published
from flylab.models import Model, activations, get_model, masks, model_title
from flylab.models.flops import training_cost
from flylab.training.objectives import supervised
from flylab.training.population import train_members
from flylab.training.step import Plan

MOST_FLOPS = 1e13  # of one training: some minutes on a laptop


class Control(NamedTuple):
    """A number to choose: its bounds, the step of its slider, and its label."""

    low: float
    high: float
    step: float
    says: str


DATA_PARAMS: dict[str, Control] = {
    "scale_coeff": Control(0, 2, 0.05, "variation of scale"),
    "max_translation": Control(1, 100, 1, "largest shift + 1 (points)"),
    "corr_noise_scale": Control(0, 2, 0.05, "smooth noise"),
    "iid_noise_scale": Control(0, 1, 0.01, "white noise"),
    "shear_scale": Control(0, 3, 0.05, "shear (linear trend)"),
    "final_seq_length": Control(8, 120, 1, "points of an example"),
    "padding_low": Control(0, 120, 1, "least padding (points)"),
    "padding_high": Control(0, 120, 1, "greatest padding (points)"),
    "template_len": Control(4, 60, 1, "template length (points)"),
    "label_noise": Control(0, 1, 0.05, "share of training labels redrawn"),
    "n_train": Control(100, 20_000, 100, "training examples"),
    "n_test": Control(100, 10_000, 100, "test examples"),
    "seed": Control(0, 9999, 1, "seed of the data"),
}
TRAINING: dict[str, Control] = {
    "n_steps": Control(100, 20_000, 100, "optimiser steps"),
    "batch_size": Control(10, 500, 10, "examples a step"),
    "n_seeds": Control(1, 32, 1, "seeds"),
    "learning_rate": Control(1e-5, 10, 0, "learning rate"),
    "pruned": Control(0, 0.98, 0.02, "share of weights pruned"),
    "mlp_width": Control(2, 500, 2, "MLP: hidden units"),
    "cnn_channels": Control(1, 64, 1, "CNN: channels"),
    "gru_units": Control(1, 32, 1, "GRU, LSTM: units"),
}
MODELS = ("logistic", "mlp", "cnn", "gru", "lstm", "local", "tcn", "resnet", "mixer")
PRUNINGS = ("by chance", "magnitude")
FEWEST_EVALUATIONS = 40  # in a training, for a smooth curve


@dataclass(frozen=True)
class Settings:
    """The data, the networks and their training.

    Attributes:
        data: MNIST-1D with its data parameters.
        models: names from MODELS, trained side by side.
        optimizer: "adam" or "sgd".
        shuffle: draw a new order of the examples in each epoch.
        activation: the MLP's activation, one of `activations.ALL` or "learned".
        pruning: how the pruned weights are chosen: "by chance", or by "magnitude", the smallest ones after seed 0 has
            trained (a lottery ticket).
        learning_rate, n_steps, batch_size, n_seeds, pruned, mlp_width, cnn_channels, gru_units: see TRAINING.

    Raises:
        ValueError: naming what is out of bounds; a server is not to be brought down by a number.

    >>> Settings(n_seeds=1000)
    Traceback (most recent call last):
    ValueError: seeds: 1000 is out of bounds; give 1 to 32
    """

    data: MNIST1D = field(default_factory=MNIST1D)
    models: tuple[str, ...] = ("mlp", "cnn")
    optimizer: str = "adam"
    shuffle: bool = False
    activation: str = "relu"
    pruning: str = "by chance"
    learning_rate: float = 1e-2
    n_steps: int = 2000
    batch_size: int = 100
    n_seeds: int = 4
    pruned: float = 0.0
    mlp_width: int = 100
    cnn_channels: int = 25
    gru_units: int = 6

    def __post_init__(self) -> None:
        for name, control in TRAINING.items():
            _within(control, getattr(self, name))
        for name, control in DATA_PARAMS.items():
            at = self.data.padding[name == "padding_high"] if name.startswith("padding") else getattr(self.data, name)
            _within(control, at)
        if not self.models or not set(self.models) <= set(MODELS):
            raise ValueError(f"models: {', '.join(self.models) or 'none'}; choose some of {', '.join(MODELS)}")
        for name, known in (("optimizer", ("adam", "sgd")), ("pruning", PRUNINGS),
                            ("activation", (*activations.ALL, "learned"))):  # fmt: skip
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not known; choose one of {', '.join(known)}")
        if self.flops > MOST_FLOPS:
            raise ValueError(
                f"this training takes {self.flops:.1e} operations, more than the {MOST_FLOPS:.0e} that a page may ask "
                "for: take fewer steps, seeds or units (the command line has no such bound)"
            )

    @property
    def eval_every(self) -> int:
        """Steps between evaluations."""
        return max(self.n_steps // FEWEST_EVALUATIONS, 1)

    @property
    def plan(self) -> Plan:
        """The plan of the training."""
        return Plan(self.n_steps, self.batch_size, self.eval_every, self.shuffle, self.optimizer)

    @property
    def grid(self) -> dict[str, Any]:
        """The axes of the population."""
        return {"learning_rate": [self.learning_rate], "seed": range(self.n_seeds)}

    @property
    def flops(self) -> float:
        """The number of operations of all trainings together."""
        data, evaluations = self.data, len(self.plan.evaluated)
        n_examples = data.n_train + data.n_valid + data.n_test
        steps = self.n_steps, self.batch_size, evaluations, n_examples
        sizes = [training_cost(dense(self, name), (data.final_seq_length,), *steps)[0] for name in self.models]
        twice = 1 + (self.pruned > 0 and self.pruning == "magnitude") / self.n_seeds
        return float(sum(sizes)) * self.n_seeds * twice


def _within(control: Control, value: Any) -> None:
    wanted = f"give {control.low:g} to {control.high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not control.low <= value <= control.high:
        raise ValueError(f"{control.says}: {value} is out of bounds; {wanted}")


def usual_data_params() -> dict[str, Any]:
    """Return the values of DATA_PARAMS that give the published data set."""
    usual = MNIST1D()
    low, high = usual.padding
    return {"padding_low": low, "padding_high": high} | {
        name: getattr(usual, name) for name in DATA_PARAMS if not name.startswith("padding")
    }


def data_of(values: dict[str, Any], classes: tuple[int, ...] | None = None, **more: Any) -> MNIST1D:
    """Return the data set with these values of DATA_PARAMS; numbers of examples are rounded to equal classes.

    Raises:
        ValueError: if a value is out of bounds; the message names it.
    """
    for name, value in values.items():
        _within(DATA_PARAMS[name], value)
    own = dict(values)
    low, high = own.pop("padding_low", 36), own.pop("padding_high", 60)
    if low > high:
        raise ValueError(f"least padding {low} is greater than the greatest, {high}")
    k = 10 if classes is None else max(len(classes), 1)
    counts = {name: max(int(own.get(name, 1000)) // k, 1) * k for name in ("n_train", "n_test")}
    return MNIST1D(**{**own, **counts}, n_valid=0, padding=(low, high), classes=classes, **more)


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _activation(name: str) -> Callable:
    return activations.learned if name == "learned" else activations.ALL[name]


def _activation_text(name: str) -> str:
    return "activations.learned" if name == "learned" else f"activations.ALL[{name!r}]"


def size_of(settings: Settings, model: str) -> dict[str, Any]:
    """Return the arguments of `get_model` that follow the name."""
    size: dict[str, Any] = {"length": settings.data.final_seq_length, "n_outputs": settings.data.outputs}
    widths = {"mlp": settings.mlp_width, "cnn": settings.cnn_channels} | dict.fromkeys(
        ("gru", "lstm"), settings.gru_units
    )
    size |= {"width": widths[model]} if model in widths else {}
    return size | ({"activation": settings.activation} if model == "mlp" and settings.activation != "relu" else {})


def _as_call(settings: Settings, model: str) -> str:
    """Return the call of `get_model` as Python."""
    written = {"activation": _activation_text}
    size = [f"{name}={written.get(name, repr)(value)}" for name, value in size_of(settings, model).items()]
    return f"get_model({', '.join([repr(model), *size])})"


def dense(settings: Settings, model: str) -> Model:
    """Return the network before pruning.

    Raises:
        ValueError: if the network cannot take signals of this length.
    """
    try:
        size = size_of(settings, model)
        if "activation" in size:
            size["activation"] = _activation(size["activation"])
        return get_model(model, **size)
    except (ValueError, AssertionError, TypeError) as error:
        raise ValueError(f"{model_title(model)}: {error}") from error


@functools.lru_cache(maxsize=32)
def network(settings: Settings, model: str) -> Model:
    """Return the network, pruned if the settings say so; it is cached, so that equal settings compile once."""
    unpruned = dense(settings, model)
    return masks.masked(unpruned, mask(settings, model)) if settings.pruned else unpruned


@functools.lru_cache(maxsize=32)
def mask(settings: Settings, model: str) -> masks.Mask:
    """Return the mask of the weights that survive pruning; biases are never pruned."""
    unpruned = dense(settings, model)
    if settings.pruning == "by chance":
        params = jax.device_get(unpruned.init(jax.random.key(0)))
        return masks.random_mask(params, settings.pruned, np.random.default_rng(0), prune_biases=False)
    grid = {**settings.grid, "seed": [0]}
    trained = train_members(supervised(unpruned), splits(settings.data), settings.plan, grid)
    params = jax.tree.map(lambda leaf: leaf[0, 0], trained.params)
    return masks.prune(params, masks.full(params), settings.pruned, prune_biases=False)


@functools.lru_cache(maxsize=16)
def splits(data: MNIST1D) -> Splits:
    """Return the data set; it is cached."""
    return published(data)


# ── Copy as Python ───────────────────────────────────────────────────────────────────────────────────────────────────


def as_python(settings: Settings) -> str:
    """Return a program that trains the same networks, bit for bit, and prints their accuracies."""
    return "\n".join([*_head(settings), *_networks(settings), *_tail()])


def _head(settings: Settings) -> list[str]:
    modules = {"activations"} if settings.activation != "relu" and "mlp" in settings.models else set()
    names = ["get_model", *sorted(modules | ({"masks"} if settings.pruned else set()))]
    from_ = f"from flylab.models import {', '.join(sorted(names))}"
    if not settings.pruned:
        return ["import flylab", from_, "", *_data(settings)]
    start = "flylab.initialise()  # set up JAX for all cores before its first use"
    return ["import jax", "import numpy as np", "", "import flylab", from_, "", start, *_data(settings)]


def _data(settings: Settings) -> list[str]:
    default, data = MNIST1D(), settings.data
    changed = [
        f"{param.name}={getattr(data, param.name)!r}"
        for param in fields(data)
        if getattr(data, param.name) != getattr(default, param.name)
    ]
    plan = f"{settings.n_steps}, {settings.batch_size}, eval_every={settings.eval_every}"
    plan += f", shuffle={settings.shuffle!r}, optimizer={settings.optimizer!r}"
    return [
        f"splits = flylab.published(flylab.MNIST1D({', '.join(changed)}))",
        f"plan = flylab.Plan({plan})",
        f'grid = {{"learning_rate": [{settings.learning_rate!r}], "seed": range({settings.n_seeds})}}',
    ]


def _networks(settings: Settings) -> list[str]:
    lines = ["networks = {", *(f"    {name!r}: {_as_call(settings, name)}," for name in settings.models), "}"]
    if not settings.pruned:
        return lines
    if settings.pruning == "by chance":
        body = ["    params = jax.device_get(network.init(jax.random.key(0)))",
                 f"    mask = masks.random_mask(params, {settings.pruned!r}, np.random.default_rng(0), "
                 "prune_biases=False)"]  # fmt: skip
    else:
        body = ['    dense = flylab.train_members(flylab.supervised(network), splits, plan, {**grid, "seed": [0]})',
                 "    params = jax.tree.map(lambda leaf: leaf[0, 0], dense.params)",
                 f"    mask = masks.prune(params, masks.full(params), {settings.pruned!r}, "
                 "prune_biases=False)"]  # fmt: skip
    return [*lines, "for name, network in networks.items():", *body,
            "    networks[name] = masks.masked(network, mask)"]  # fmt: skip


def _tail() -> list[str]:
    return [
        "populations = {",
        "    name: flylab.train_members(flylab.supervised(network), splits, plan, grid)",
        "    for name, network in networks.items()",
        "}",
        "for name, population in populations.items():",
        "    accuracy = population.results.test_accuracy.isel(step=-1)",
        '    print(f"{name}: {accuracy.mean().item():.1f} % test accuracy, mean over seeds")',
        "",
    ]
