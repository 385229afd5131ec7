"""The playground's settings: checked and bounded values that define a training, and write it as a Python program."""

import functools
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, NamedTuple, get_args

import jax
import jinja2
import numpy as np
from msgspec import Meta

from flylab.base.constraints import Checked, check, refusal
from flylab.data import MNIST1D, Splits, published
from flylab.data.published import make_raw
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
    label: str

    @property
    def kind(self) -> Any:
        """The type of a value, with its bounds; an integer if bounds and step are integers."""
        return Annotated[type(self.low + self.high + self.step), Meta(ge=self.low, le=self.high)]


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
ModelName = Literal["logistic", "mlp", "cnn", "gru", "lstm", "local", "tcn", "resnet", "mixer"]
MODELS = get_args(ModelName)
FEWEST_EVALUATIONS = 40  # in a training, for a smooth curve


@dataclass(frozen=True)
class Settings(Checked):
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
        ValueError: naming the field, its value and its bounds, which protect the server.

    >>> Settings(n_seeds=1000)
    Traceback (most recent call last):
    ValueError: n_seeds=1000 must be an integer from 1 to 32
    """

    data: MNIST1D = field(default_factory=MNIST1D)
    models: Annotated[tuple[ModelName, ...], Meta(min_length=1)] = ("mlp", "cnn")
    optimizer: Literal["adam", "sgd"] = "adam"
    shuffle: bool = False
    activation: str = "relu"
    pruning: Literal["by chance", "magnitude"] = "by chance"
    learning_rate: float = 1e-2
    n_steps: int = 2000
    batch_size: int = 100
    n_seeds: int = 4
    pruned: float = 0.0
    mlp_width: int = 100
    cnn_channels: int = 25
    gru_units: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, control in TRAINING.items():
            check(name, getattr(self, name), control.kind)
        for name, value in data_params_of(self.data).items():
            check(name, value, DATA_PARAMS[name].kind)
        known = (*activations.ALL, "learned")
        self._require(self.activation in known, "activation", f"one of {', '.join(known)}")
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
        n_trained = self.n_seeds + (self.pruned > 0 and self.pruning == "magnitude")
        return float(sum(sizes)) * n_trained


def data_params_of(data: MNIST1D) -> dict[str, Any]:
    """Return a data set's values by the names of DATA_PARAMS."""
    low, high = data.padding
    values = {"padding_low": low, "padding_high": high}
    return {name: values[name] if name in values else getattr(data, name) for name in DATA_PARAMS}


def data_of(values: dict[str, Any], classes: tuple[int, ...] | None = None, **more: Any) -> MNIST1D:
    """Return the data set with these values of DATA_PARAMS; numbers of examples are rounded to equal classes.

    Raises:
        ValueError: naming the control, its value and its bounds.
    """
    checked = {name: check(name, value, DATA_PARAMS[name].kind) for name, value in values.items()}
    low, high = checked.pop("padding_low", 36), checked.pop("padding_high", 60)
    if low > high:
        raise refusal("padding_low", low, f"at most padding_high={high}")
    k = 10 if classes is None else max(len(classes), 1)
    counts = {name: max(checked.get(name, 1000) // k, 1) * k for name in ("n_train", "n_test")}
    return MNIST1D(**{**checked, **counts}, n_valid=0, padding=(low, high), classes=classes, **more)


def size_of(settings: Settings, model: str) -> dict[str, Any]:
    """Return the arguments of `get_model` after the name; an activation is given by its name."""
    size: dict[str, Any] = {"length": settings.data.final_seq_length, "n_outputs": settings.data.outputs}
    gru = settings.gru_units
    widths = {"mlp": settings.mlp_width, "cnn": settings.cnn_channels, "gru": gru, "lstm": gru}
    size |= {"width": widths[model]} if model in widths else {}
    return size | ({"activation": settings.activation} if model == "mlp" and settings.activation != "relu" else {})


def _as_call(settings: Settings, model: str) -> str:
    """Return the call of `get_model` as Python."""
    size = {name: repr(value) for name, value in size_of(settings, model).items()}
    if "activation" in size:
        is_learned = settings.activation == "learned"
        size["activation"] = "activations.learned" if is_learned else f"activations.ALL[{settings.activation!r}]"
    return f"get_model({', '.join([repr(model), *(f'{name}={text}' for name, text in size.items())])})"


def dense(settings: Settings, model: str) -> Model:
    """Return the network before pruning.

    Raises:
        ValueError: if the network cannot take signals of this length.
    """
    size = size_of(settings, model)
    if "activation" in size:
        size["activation"] = activations.ALL.get(settings.activation, activations.learned)
    try:
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


@functools.lru_cache(maxsize=16)
def positions(data: MNIST1D) -> list[int]:
    """Return the order in which a data set with `shuffle_seq` has its positions."""
    order = make_raw(data, data.n_train + data.n_test, np.random.RandomState(data.seed))[2]
    return list(range(data.final_seq_length)) if order is None else order.tolist()


_PROGRAM = """\
{% if settings.pruned %}
import jax
import numpy as np

{% endif %}
import flylab
from flylab.models import {{ imports }}

{% if settings.pruned %}
flylab.initialise()  # set up JAX for all cores before its first use
{% endif %}
splits = flylab.published(flylab.MNIST1D({{ data }}))
plan = flylab.Plan({{ plan }})
grid = {"learning_rate": [{{ settings.learning_rate }}], "seed": range({{ settings.n_seeds }})}
networks = {
{% for model in settings.models %}
    "{{ model }}": {{ call(settings, model) }},
{% endfor %}
}
{% if settings.pruned %}
for name, network in networks.items():
{% if settings.pruning == "by chance" %}
    params = jax.device_get(network.init(jax.random.key(0)))
    mask = masks.random_mask(params, {{ settings.pruned }}, np.random.default_rng(0), prune_biases=False)
{% else %}
    dense = flylab.train_members(flylab.supervised(network), splits, plan, {**grid, "seed": [0]})
    params = jax.tree.map(lambda leaf: leaf[0, 0], dense.params)
    mask = masks.prune(params, masks.full(params), {{ settings.pruned }}, prune_biases=False)
{% endif %}
    networks[name] = masks.masked(network, mask)
{% endif %}
populations = {
    name: flylab.train_members(flylab.supervised(network), splits, plan, grid)
    for name, network in networks.items()
}
for name, population in populations.items():
    accuracy = population.results.test_accuracy.isel(step=-1)
    print(f"{name}: {accuracy.mean().item():.1f} % test accuracy, mean over seeds")
"""


def as_python(settings: Settings) -> str:
    """Return a program that trains the same networks, bit for bit, and prints their accuracies."""
    imports = ["get_model", *["masks"] * bool(settings.pruned)]
    if settings.activation != "relu" and "mlp" in settings.models:
        imports.append("activations")
    plan = f"{settings.n_steps}, {settings.batch_size}, eval_every={settings.eval_every}, shuffle={settings.shuffle}"
    template = jinja2.Template(_PROGRAM, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return template.render(
        settings=settings, call=_as_call, imports=", ".join(sorted(imports)), data=_changes(settings.data),
        plan=f"{plan}, optimizer={settings.optimizer!r}",
    )  # fmt: skip


def _changes(data: MNIST1D) -> str:
    """Return the data parameters that are not the default ones, as arguments."""
    values = {param.name: getattr(data, param.name) for param in fields(data)}
    default = MNIST1D()
    return ", ".join(f"{name}={value!r}" for name, value in values.items() if value != getattr(default, name))
