"""Learners made from users' models, which are checked first.

The user's code runs in this process, with the user's rights: evaluate only code that you would run.
"""

import functools
import inspect
import operator
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from sklearn.base import is_classifier

from flylab.base.rng import seeded_globals
from flylab.base.usercode import RefusedError, user_code
from flylab.models.model import Model, joined, outputs, parted, training_outputs
from flylab.training.learners import Learner, of_classifier, of_model

N_PROBES = 16  # signals that a model is tried on
FORMS = (
    "a flylab.Model or a pair (init, apply), a torch.nn.Module class, an Equinox module class whose __init__ takes "
    "key, a scikit-learn classifier, or a function that returns one of these"
)


class UserModel(NamedTuple):
    """A user's model: its name, its learner, and a digest of what determines its results, None where unknown."""

    name: str
    learner: Learner
    digest: str | None = None

    def __fingerprint__(self) -> str | None:
        """Return a text that determines the model, or None."""
        return None if self.digest is None else f"{self.name} {self.digest}"


@seeded_globals(0)
def user_model(model: Any, name: str, signals: np.ndarray, n_outputs: int, digest: str | None = None) -> UserModel:
    """Make a user's model a learner, after trying it on some signals.

    Args:
        model: an object of one of the `FORMS`; a function takes no arguments, or `key`.
        name: the model's name.
        signals: some examples, `(n, length)`.
        n_outputs: the number of outputs that the model must have.
        digest: a digest of the model's code.

    Raises:
        ValueError: if `model` has none of the forms, does not take a signal, gives outputs of a wrong shape or that are
            not finite, or ignores its input.
    """
    signals = np.asarray(signals[:N_PROBES], np.float32)
    make, example = _maker(model, name)
    if isinstance(example, Model):
        learner = _learner(example, name, signals, n_outputs)
    elif _is_module("equinox", example):
        from flylab.adapters.equinox import from_equinox

        with user_code(name):
            converted = from_equinox(make)
        learner = _learner(converted, name, signals, n_outputs, channel=True)
    elif _is_module("torch", example):
        from flylab.adapters.torch_training import from_torch

        shape = _torch_shape(make, name, signals, n_outputs)
        with user_code(name):
            learner = from_torch(make, shape)
    elif _is_estimator(example):
        if not is_classifier(example):
            raise RefusedError(f"{name} is a scikit-learn estimator, but no classifier: it cannot be evaluated")
        learner = of_classifier(example)
    else:
        kind = f"the class {model.__name__}" if isinstance(model, type) else f"of type {type(model).__name__}"
        raise RefusedError(f"{name} is {kind}, which is no model: give {FORMS}")
    return UserModel(name, learner, digest)


def _maker(model: Any, name: str) -> tuple[Callable[..., Any], Any]:
    """Return a function that makes the model anew, and an example of the model."""
    if isinstance(model, tuple) and not isinstance(model, Model) and len(model) in (2, 3):
        model = Model(*model) if all(part is None or callable(part) for part in model) else model
    is_class = isinstance(model, type)
    if isinstance(model, Model) or (_is_estimator(model) and not is_class):
        return lambda: model, model
    for package, made_by in (("torch", "a function"), ("equinox", "a function of key")):
        if _is_module(package, model) and not is_class:
            raise RefusedError(
                f"{name} is made already: give its class, or {made_by} that returns one, so that each seed starts anew"
            )
    if not callable(model):
        return lambda: model, None
    if _is_module("equinox", model):
        return model, model
    parameters = _required(model)
    if parameters == ["key"]:
        with user_code(name):
            return model, model(key=jax.random.key(0))
    if parameters:
        raise RefusedError(
            f"{name} needs arguments ({', '.join(parameters)}): give them defaults, or write a function without "
            "arguments that returns the model"
        )
    with user_code(name):
        example = model()
    return _maker(example, name) if type(example) is tuple else (model, example)


def _required(function: Any) -> list[str]:
    """Return the names of a function's arguments without defaults."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind not in variable]


def _is_estimator(model: Any) -> bool:
    return hasattr(model, "fit") and hasattr(model, "predict")


def _is_module(package: str, model: Any) -> bool:
    """Return whether a value is a module of a package, or a class of them; the package is not imported for it."""
    if package not in sys.modules:
        return False
    base = sys.modules[package].nn.Module if package == "torch" else sys.modules[package].Module
    return issubclass(model, base) if isinstance(model, type) else isinstance(model, base)


def _learner(model: Model, name: str, signals: np.ndarray, n_outputs: int, channel: bool = False) -> Learner:
    """Return the learner of a model; with `channel`, the model may take signals `(1, length)`, too."""
    length = signals.shape[1]
    with seeded_globals(0):
        untouched = np.random.random()
    with seeded_globals(0), user_code(f"{name}'s init"):
        params = model.init(jax.random.key(0))
        then = np.random.random()
    if then != untouched:
        raise RefusedError(
            f"{name}'s init draws from NumPy's global generator, so that its seed does not determine it: draw from "
            "its key"
        )
    leaves = jax.tree.leaves(parted(params)[0])
    if not leaves or not all(np.issubdtype(np.asarray(leaf).dtype, np.floating) for leaf in leaves):
        raise RefusedError(f"{name}'s parameters must be arrays of floating-point numbers, at least one")

    @functools.wraps(model.apply)
    def apply_with_channel(params: Any, x: Any, **mode: Any) -> Any:
        return model.apply(params, x[None], **mode)

    with_channel = Model(model.init, apply_with_channel)
    form, first_error = model, None
    for form in (model, with_channel) if channel else (model,):
        try:
            one = jax.ShapeDtypeStruct((length, 1), "float32")
            shape = jax.eval_shape(functools.partial(outputs, form), params, one).shape[:-1]
            jax.eval_shape(functools.partial(training_outputs, form), params, one, jax.random.key(0))
        except Exception as error:
            first_error = first_error or error
            continue
        if shape == (n_outputs,):
            break
        first_error = RefusedError(
            f"{name} gives outputs of shape {tuple(shape)} for one example of shape {(length,)}, not {(n_outputs,)}"
        )
    else:
        assert first_error is not None
        with user_code(f"{name}, given one example of shape {(length,)},"):
            raise first_error
    compute = jax.jit(lambda params, x: outputs(form, params, x))
    rng = np.random.default_rng(0)

    def moved(params: Any) -> Any:
        trained, _ = parted(params)
        noise = jax.tree.map(lambda leaf: 0.3 * rng.standard_normal(np.shape(leaf)).astype(np.float32), trained)
        return joined(jax.tree.map(operator.add, trained, noise), params)

    # other parameters, too, since a layer of zeros hides what a network reads
    _check_outputs(name, [np.asarray(compute(p, signals.T)).T for p in (params, *(moved(params) for _ in range(3)))])
    return of_model(form, (length,))


def _check_outputs(name: str, outputs_of: list[np.ndarray]) -> None:
    """Check the outputs `(n, n_outputs)` for several values of the parameters, the initial ones first."""
    if not np.isfinite(outputs_of[0]).all():
        raise RefusedError(f"{name}'s first outputs are not finite (NaN or infinite): look at its initialisation")
    if all(np.ptp(values, axis=0).max() == 0 for values in outputs_of):
        raise RefusedError(f"{name} ignores its input: it gives the same outputs for different examples")


def _torch_shape(make: Callable, name: str, signals: np.ndarray, n_outputs: int) -> tuple[int, ...]:
    """Return the shape of an example that a module takes: the first of `(length,)`, `(1, length)`, `(length, 1)`."""
    import torch

    from flylab.adapters.torch_training import described, dtype_of, logits_of

    length, errors = signals.shape[1], []
    for shape in ((length,), (1, length), (length, 1)):
        with torch.no_grad():
            module = make().eval()
            x = torch.tensor(signals, dtype=dtype_of(module)).reshape(-1, *shape)
            try:
                returned = module(x)
                first = logits_of(returned)
                fewer = logits_of(module(x[1:]))  # the batch may have been read as channels
            except Exception as error:
                errors.append(error)
                continue
            if [tuple(out.shape) for out in (first, fewer)] != [(len(x) - i, n_outputs) for i in (0, 1)]:
                wanted = f"{tuple(x.shape)}, not outputs of shape {(len(x), n_outputs)}"
                errors.append(RefusedError(f"{name} gives {described(returned)} for a batch of shape {wanted}"))
                continue
            if not any(p.requires_grad for p in module.parameters()):
                raise RefusedError(f"{name} has no parameters to train")
            outputs_of = [first.double().numpy()]
            for _ in range(3):
                for p in module.parameters():
                    p.add_(0.3 * torch.randn_like(p))
                outputs_of.append(logits_of(module(x)).double().numpy())
            _check_outputs(name, outputs_of)
            return shape
    with user_code(f"{name}, given a batch of signals of shape {(len(signals), length)},"):
        raise next((error for error in errors if isinstance(error, RefusedError)), errors[0])
