"""What a trained network makes of examples: its outputs and its activations by layer, in compiled programs."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from flylab.base import runtime
from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params
from flylab.training.objectives import Objective, network
from flylab.training.step import EVALUATION_CHUNK, chunked, predicted


class NoFeaturesError(ValueError):
    """A model that does not say what its layers' activations are."""


def examples(x: Any) -> np.ndarray:
    """Return examples in rows as float32.

    Raises:
        ValueError: if they are none.
    """
    rows = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    if rows.ndim < 2 or not len(rows) or rows.dtype.kind not in "biuf":
        what = f"{rows.dtype} of shape {rows.shape}" if hasattr(x, "__array__") else type(x).__name__
        raise ValueError(f"x must be numbers of shape (n, *shape), examples in rows, not {what}")
    if not np.isfinite(rows).all():
        raise ValueError("x must be finite: it holds NaN or infinity")
    return rows.astype(np.float32)


@contextlib.contextmanager
def fitting(x: np.ndarray) -> Iterator[None]:
    """Make one line of what JAX raises where examples have another shape than the network's.

    Raises:
        ValueError: if it raises, naming the shape.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if isinstance(error, NoFeaturesError):
            raise
        reason = str(error).split("\n")[0][:200]
        raise ValueError(f"examples of shape {x.shape[1:]} do not fit this network ({reason})") from None


@functools.lru_cache(maxsize=64)
def outputs_of(objective: Objective) -> Callable:
    """Return the function (parameters, hyper-parameters, key, examples) → outputs `(n, n_outputs)` of one network."""

    def outputs(params: Params, hparams: Hparams, key: Key, x: jax.Array) -> jax.Array:
        hparams = objective.prepare(hparams)
        return predicted(objective, params, chunked(x), hparams, stream(key, "predict")).T[: len(x)]

    return jax.jit(outputs, compiler_options=runtime.compiler_options(objective.options))


@functools.lru_cache(maxsize=64)
def features_of(objective: Objective) -> Callable:
    """Return the function (parameters, hyper-parameters, key, examples) → activations `(n, …)` by layer."""

    @jax.jit
    def features(params: Params, hparams: Hparams, key: Key, x: jax.Array) -> dict[str, jax.Array]:
        model = network(objective.model, objective.prepare(hparams))
        if model.features is None:
            raise NoFeaturesError("the model offers no features: give it a function, flylab.Model(…, features=…)")
        return jax.vmap(model.features, (None, 0))(params, x)

    def in_chunks(params: Params, hparams: Hparams, key: Key, x: np.ndarray) -> dict[str, np.ndarray]:
        starts = range(0, len(x), EVALUATION_CHUNK)
        parts = [features(params, hparams, key, x[start : start + EVALUATION_CHUNK]) for start in starts]
        return jax.tree.map(lambda *parts: np.concatenate(parts), *parts)

    return in_chunks
