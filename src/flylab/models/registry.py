"""The registry of models: flylab's own, and those that other packages register.

A registered constructor takes `length`, `n_outputs` and sizes of its own, and returns a `Model`. To add models, a
package registers them in a module and lists that module under the entry-point group `flylab.models`.
"""

import difflib
import functools
import importlib
import inspect
import warnings
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, NamedTuple, TypeVar, get_type_hints

from flylab.base.constraints import PositiveInt, check
from flylab.models.model import Model

PUBLISHED = ("logistic", "mlp", "cnn", "gru")  # the networks of Greydanus & Kobak (2024), at their published sizes
_FAMILIES = ("dense", "convolutional", "recurrent", "attention", "tickets")

Constructor = TypeVar("Constructor", bound=Callable[..., Model])


class _Entry(NamedTuple):
    build: Callable[..., Model]
    title: str


_REGISTRY: dict[str, _Entry] = {}
_NAMED: dict[Model, tuple[str, dict[str, Any]]] = {}  # what `get_model` has built


def register_model(name: str, title: str | None = None) -> Callable[[Constructor], Constructor]:
    """Register a constructor of networks under a name, as a decorator.

    Args:
        name: the name for `get_model`.
        title: the name in figures and tables; `name` by default.

    Raises:
        ValueError: if the name is taken, or the constructor lacks `length` or `n_outputs`.

    >>> import jax, jax.numpy as jnp
    >>> @register_model("zeros", title="all zeros")
    ... def zeros(length=40, n_outputs=10):
    ...     return Model(lambda key: jnp.zeros((n_outputs, length)), lambda weights, x: weights @ x)
    >>> get_model("zeros", n_outputs=3).apply(jnp.ones((3, 40)), jnp.ones(40)).shape
    (3,)
    >>> _ = _REGISTRY.pop("zeros")
    """
    if not isinstance(name, str):
        raise ValueError("register_model takes a name: @register_model('my_model')")

    def register(build: Constructor) -> Constructor:
        if not build.__module__.startswith("flylab."):
            _load_families()  # their names are taken
        known = _REGISTRY.get(name)
        if known is not None and inspect.unwrap(known.build) is not inspect.unwrap(build):
            raise ValueError(f"the model {name!r} is already registered; choose another name")
        missing = [size for size in ("length", "n_outputs") if size not in inspect.signature(build).parameters]
        if missing:
            raise ValueError(f"the constructor of the model {name!r} must take {missing[0]!r}")
        _REGISTRY[name] = _Entry(build, title or name)
        return build

    return register


def get_model(name: str, length: int = 40, n_outputs: int = 10, **size: object) -> Model:
    """Build a registered network; the same arguments give the same `Model`, so that it compiles once.

    Args:
        name: one of `list_models()`.
        length: positions of a signal.
        n_outputs: number of outputs.
        **size: further sizes of this network, such as `width=200`.

    Raises:
        ValueError: for an unknown name or size, or a size that is not allowed.

    >>> from flylab.models import n_params
    >>> n_params(get_model("mlp")), n_params(get_model("mlp", width=200))
    (15210, 50410)
    """
    build, known = _entry(name).build, model_sizes(name)
    if unknown := [key for key in size if key not in known]:
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {close[0]!r}? It" if close else "it"
        raise ValueError(f"the model {name!r} has no size {unknown[0]!r}; {hint} has {', '.join(known)}")
    kinds = get_type_hints(inspect.unwrap(build)) | dict.fromkeys(("length", "n_outputs", "width"), PositiveInt)
    size |= {"length": length, "n_outputs": n_outputs}
    model = _built(build, **{key: check(key, value, kinds.get(key, Any)) for key, value in size.items()})
    if not isinstance(model, Model):
        raise ValueError(f"the constructor of the model {name!r} returns {type(model).__name__}, not a flylab.Model")
    _NAMED[model] = (name, {"length": length, "n_outputs": n_outputs} | size)
    return model


def named(model: Model) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the sizes by which `get_model` has built a model; None if it has not.

    >>> named(get_model("mlp", width=200))
    ('mlp', {'length': 40, 'n_outputs': 10, 'width': 200})
    """
    return _NAMED.get(model)


def model_sizes(name: str) -> tuple[str, ...]:
    """Return the sizes that a registered network has, `length` and `n_outputs` among them.

    Raises:
        ValueError: for an unknown name.

    >>> model_sizes("lstm")
    ('length', 'n_outputs', 'width')
    """
    return tuple(inspect.signature(_entry(name).build).parameters)


def list_models() -> tuple[str, ...]:
    """Return the names of all registered networks, the published ones first.

    >>> list_models()[:4]
    ('logistic', 'mlp', 'cnn', 'gru')
    """
    _load()
    return (*PUBLISHED, *(name for name in _REGISTRY if name not in PUBLISHED))


def others_models() -> dict[str, Callable[..., Model]]:
    """Return the constructors that other packages have registered, by the names of their models."""
    _load()
    return {name: entry.build for name, entry in _REGISTRY.items() if not entry.build.__module__.startswith("flylab.")}


def model_title(name: str) -> str:
    """Return a network's name as figures and tables write it.

    Raises:
        ValueError: for an unknown name.

    >>> model_title("mlp")
    'MLP'
    """
    return _entry(name).title


def _entry(name: str) -> _Entry:
    if name not in _REGISTRY:
        _load()
    if name not in _REGISTRY:
        close = difflib.get_close_matches(str(name), _REGISTRY, n=1)
        hint = f"did you mean {close[0]!r}? There" if close else "there"
        raise ValueError(f"there is no model {name!r}; {hint} are {', '.join(list_models())}")
    return _REGISTRY[name]


@functools.cache
def _load() -> None:
    """Import the modules that register networks."""
    _load_families()
    for entry in entry_points(group="flylab.models"):
        try:
            entry.load()
        except Exception as error:  # another package's: it must not stop those who do not need it
            warnings.warn(f"the models of {entry.value} are left out ({type(error).__name__}: {error})", stacklevel=3)


def _load_families() -> None:
    for family in _FAMILIES:
        importlib.import_module(f"flylab.models.{family}")


@functools.cache
def _built(build: Callable[..., Model], **arguments: object) -> Model:
    return build(**arguments)
