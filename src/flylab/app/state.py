"""What a visitor of the playground chose, as plain values: read from an address, turned into settings, compared."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from flylab.app import svg
from flylab.app.settings import DATA_PARAMS, MODELS, TRAINING, Settings, data_of, data_params_of
from flylab.base.constraints import refusal
from flylab.data import MNIST1D
from flylab.models import model_title
from flylab.models.activations import ALL as ACTIVATIONS

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
DIGITS = tuple("0123456789")
TYPED = ("n_train", "n_test", "seed", "n_steps", "n_seeds", "batch_size")  # numbers that a slider is too coarse for


@dataclass(frozen=True)
class Field:
    """How one value is chosen.

    Attributes:
        kind: a slider, a typed number, one or several of the options, or a switch.
        label: its name on the page.
        usual: its value until it is changed.
        low, high, step: bounds of a number.
        options: what can be chosen, with their titles.
        inks: the options' colours.
    """

    kind: Literal["slider", "number", "choice", "several", "switch"]
    label: str
    usual: Any
    low: float = 0
    high: float = 0
    step: float = 0
    options: dict[str, str] = field(default_factory=dict)
    inks: tuple[str, ...] = ()


def _fields() -> dict[str, Field]:
    data, plain = data_params_of(MNIST1D()), Settings()
    usual = data | {name: getattr(plain, name) for name in TRAINING}
    fields = {
        name: Field("number" if name in TYPED else "slider", c.label, usual[name], c.low, c.high, c.step)
        for name, c in (DATA_PARAMS | TRAINING).items()
    }
    several = {name: model_title(name) for name in MODELS}
    return fields | {
        "models": Field("several", "networks", ["mlp", "cnn"], options=several, inks=tuple(map(svg.ink, MODELS))),
        "shuffled": Field("switch", "shuffle the positions", False),
        "classes": Field("several", "classes", list(DIGITS), options={k: k for k in DIGITS}, inks=svg.CLASSES),
        "learning_rate": Field("choice", "learning rate", "0.01", options={f"{rate:g}": f"{rate:g}" for rate in RATES}),
        "optimizer": Field("choice", "optimiser", "adam", options={"adam": "Adam", "sgd": "SGD"}),
        "shuffle": Field("switch", "shuffle the examples in each epoch", False),
        "activation": Field("choice", "activation of the MLP", "relu",
                            options={name: name for name in (*ACTIVATIONS, "learned")}),
        "pruning": Field("choice", "which weights are pruned", "by chance",
                         options={name: name for name in ("by chance", "magnitude")}),
    }  # fmt: skip


FIELDS = _fields()
GROUPS: dict[str, tuple[str, ...]] = {
    "": ("models", "shuffled", "n_steps", "learning_rate"),
    "The data": ("corr_noise_scale", "iid_noise_scale", "scale_coeff", "max_translation", "shear_scale"),
    "More of the data": ("final_seq_length", "template_len", "padding_low", "padding_high", "label_noise", "n_train",
                         "n_test", "seed", "classes"),
    "More of the training": ("n_seeds", "batch_size", "optimizer", "shuffle"),
    "Sizes and pruning": ("mlp_width", "cnn_channels", "gru_units", "activation", "pruned", "pruning"),
}  # fmt: skip


def usual() -> dict[str, Any]:
    """Return the values of an untouched page."""
    return {name: one.usual for name, one in FIELDS.items()}


def read(address: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that an address gives; what is unknown or not allowed keeps its usual value.

    >>> read({"n_steps": "300", "n_seeds": "x", "pruned": "7", "os": "rm"})["n_steps"]
    300
    """
    return {name: _allowed(one, str(address.get(name, ""))) for name, one in FIELDS.items()}


def _allowed(one: Field, text: str) -> Any:
    if one.kind == "several":
        chosen = [name for name in one.options if name in text.split(",")]
        return chosen or one.usual
    if one.kind == "choice":
        return text if text in one.options else one.usual
    if one.kind == "switch":
        return text == "true"
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text):
        return one.usual
    value = type(one.usual)(float(text))
    return value if one.low <= value <= one.high else one.usual


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Return the settings that these values describe.

    Raises:
        ValueError: whose message begins with the field's name, if one field is at fault.
    """
    digits = tuple(sorted(int(k) for k in values["classes"] if k in DIGITS))
    for name in ("classes", "models"):
        if not values[name]:
            raise refusal(name, [], "at least one")
    numbers = {name: values[name] for name in DATA_PARAMS}
    data = data_of(numbers, None if len(digits) == 10 else digits, shuffle_seq=bool(values["shuffled"]))
    own = {name: values[name] for name in FIELDS if name in Settings.__dataclass_fields__}
    own |= {"models": tuple(values["models"]), "learning_rate": float(values["learning_rate"])}
    return Settings(data, **own)


def values_of(settings: Settings) -> dict[str, Any]:
    """Return the values that describe settings."""
    values = data_params_of(settings.data) | {"shuffled": settings.data.shuffle_seq}
    values |= {"classes": [str(k) for k in settings.data.labels]}
    values |= {name: getattr(settings, name) for name in FIELDS if name not in values}
    return values | {"models": list(settings.models), "learning_rate": f"{settings.learning_rate:g}"}


def problems(error: ValueError) -> dict[str, str]:
    """Return a message by the field that it belongs to; by "" if it belongs to none.

    >>> problems(ValueError("n_seeds=1000 must be an integer from 1 to 32"))
    {'n_seeds': 'must be an integer from 1 to 32'}
    """
    found = re.match(r"(\w+)(?:\[\d+\])?=.*?\b(must be .*)", str(error), re.DOTALL)
    return {found[1]: found[2]} if found and found[1] in FIELDS else {"": str(error)}


def differences(before: Settings, now: Settings) -> list[tuple[str, str, str]]:
    """Return what differs: (label, value before, value now).

    >>> differences(Settings(n_steps=300), Settings())
    [('optimiser steps', '300', '2000')]
    """
    old, new = values_of(before), values_of(now)
    return [(one.label, shown(name, old[name]), shown(name, new[name]))
            for name, one in FIELDS.items() if old[name] != new[name]]  # fmt: skip


def shown(name: str, value: Any) -> str:
    """Return a field's value in words."""
    one = FIELDS[name]
    if one.kind == "several":
        return (
            " ".join(one.options[item] for item in value) if name == "classes" else ", ".join(map(model_title, value))
        )
    if one.kind == "switch":
        return "yes" if value else "no"
    return one.options.get(value, str(value)) if one.kind == "choice" else f"{value:g}"


def description(settings: Settings, other: Settings) -> str:
    """Return what sets settings apart from others, in a few words for a legend."""
    order, switch = "shuffled" if settings.data.shuffle_seq else "plain", FIELDS["shuffled"].label
    return ", ".join(order if label == switch else f"{label} {old}" for label, old, _ in differences(settings, other))


def as_json() -> dict[str, Any]:
    """Return fields and groups as the page's controls need them."""
    return {
        "fields": {name: asdict(one) for name, one in FIELDS.items()},
        "groups": {k: list(v) for k, v in GROUPS.items()},
    }
