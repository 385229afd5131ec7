"""The generator in JAX: the published distribution of examples, fast, on any device, and differentiable.

Example *i* depends on `(key, i)` only, so a larger set extends a smaller one. Each example takes its random numbers
from fixed slots of one counter-based stream. It needs fewer of them than the published generator, because both noises
are Gaussian: the smooth noise is drawn in the components that float32 resolves, the white noise at the resampled
points.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.random import threefry_2x32
from scipy.ndimage import gaussian_filter1d

from flylab.base import runtime
from flylab.base.rng import stream
from flylab.data import transforms
from flylab.data.arrangements import shuffled
from flylab.data.mnist1d import MNIST1D
from flylab.data.published import time_axis
from flylab.data.splits import Dataset, Source, Splits

CONTINUOUS = ("scale_coeff", "corr_noise_scale", "iid_noise_scale", "shear_scale")
DATA_PARAMS = (*CONTINUOUS, "max_translation", "label_noise")  # may be traced, as they change no shape
_UNIFORMS = ("class", "padding", "shift", "scale", "shear", "is_redrawn", "redraw", "unused")  # slots come in pairs
_NEGLIGIBLE = 1e-7  # share of the noise's variance that may be dropped
_N_CONSTANTS = 10_000  # examples from which the constants of standardisation are computed
_ROUND = 128  # examples are made in multiples of it: then matrix products round alike for every number of examples
_DEFAULT = MNIST1D()


class Constants(NamedTuple):
    """The constants of standardisation: mean and standard deviation of all values before it."""

    mean: Any
    scale: Any


class _Tables(NamedTuple):
    """The NumPy arrays from which examples are built."""

    rows: np.ndarray  # (n_paddings · n_classes, 2 · n_points): padded patterns, repeated, so that slicing shifts them
    smooth: np.ndarray  # (n_points, n_components): a factor of the smooth noise's covariance
    white: np.ndarray  # (final_seq_length, n_components): a factor of the resampled white noise's covariance
    resample: np.ndarray  # (final_seq_length, n_points): linear interpolation and the order of positions
    ramp: np.ndarray  # (n_points,): the linear trend
    labels: np.ndarray  # (n_classes,)


def sample(
    config: MNIST1D, key: jax.Array, n: int, *, first: int = 0, data_params: Mapping[str, Any] | None = None
) -> Dataset:
    """Generate examples `first` … `first + n − 1` of the endless, standardised set under `key`.

    Labels are drawn uniformly; the published sets have equally many of each. Label noise and random labels apply.

    Args:
        config: the data parameters. Its numbers of examples are ignored, and so is its seed, unless `shuffle_seq` draws
            the order of positions from it.
        key: a random key, as from `jax.random.key`.
        n: number of examples.
        first: number of the first example.
        data_params: values that replace the config's, for any of `DATA_PARAMS`; they may be traced. Signals are
            differentiable in `CONTINUOUS`, also through the constants of standardisation.

    Returns:
        float32 signals `x (n, final_seq_length)` and int32 labels `y (n,)`.

    Raises:
        ValueError: if a data parameter cannot be traced, or the config would refuse its value.

    >>> import jax
    >>> data = sample(MNIST1D(), jax.random.key(0), 5)
    >>> bool((data.x[3] == sample(MNIST1D(), jax.random.key(0), 1, first=3).x[0]).all())
    True
    """
    _check(config, data_params or {})
    if unknown := set(data_params or {}) - set(DATA_PARAMS):
        raise _untraceable(min(unknown))
    if data_params:
        return _sample(_static(config), n, key, first, _values(config, data_params), None)
    return _sample(_static(config), n, key, first, *_on_device(config))


@runtime.pinned()
def generated(config: MNIST1D | None = None) -> Splits:
    """Generate a training, a validation and a test set, like `published`, with the JAX generator.

    The three sets are examples of three random streams of the config's seed. They are float32 NumPy arrays.

    >>> generated(MNIST1D(n_train=30, n_valid=10, n_test=10)).train.x.shape
    (30, 40)
    """
    config = MNIST1D() if config is None else config
    runtime.initialise()  # before anything else starts JAX
    key, clean = jax.random.key(config.seed), replace(config, label_noise=0.0)
    train, valid, test = (
        jax.tree.map(np.asarray, sample(set_config, stream(key, name), n))
        for name, set_config, n in (("train", config, config.n_train), ("valid", clean, config.n_valid),
                                    ("test", clean, config.n_test))
    )  # fmt: skip
    t = time_axis(config.patterns.arrays()[1], config) / float(constants(config).scale)
    return Splits(train, valid, test, t, config.patterns, config)


@functools.cache
def endless(config: MNIST1D | None = None) -> Source:
    """Return a source of fresh examples for every training step; `train` and `train_members` take it as data.

    Data parameters of a member, named as in `DATA_PARAMS`, replace the config's. The validation and the test set, of
    `n_valid` and `n_test` examples, have the same data parameters but no label noise. They come from random streams of
    the config's seed, so they are the same for all members with the same data parameters. `n_train` is ignored. The
    same config gives the same `Source`, so that training twice compiles once.

    Raises:
        ValueError: in training, if a member's data parameter is a field of the config that cannot be traced.
    """
    config = MNIST1D() if config is None else config
    static = _static(config)

    def values(data_params) -> dict[str, Any]:
        return _values(config, {name: data_params[name] for name in DATA_PARAMS if name in data_params})

    def prepare(data_params) -> Constants:
        return _constants(static, values(data_params))

    def example(shared: Constants, data_params, key, i):
        return _example(static, key, i, values(data_params), shared)

    def evaluation(shared: Constants, data_params) -> tuple[Dataset, Dataset]:
        key, clean = jax.random.key(config.seed), values(data_params) | {"label_noise": 0.0}
        valid = _sample(static, config.n_valid, stream(key, "valid"), 0, clean, shared)
        return valid, _sample(static, config.n_test, stream(key, "test"), 0, clean, shared)

    return Source(prepare, example, evaluation, lambda data_params: _check(config, data_params))


@functools.cache
def repeating(source: Source, n_train: int) -> Source:
    """Return a source that repeats the first `n_train` examples of another one, in fixed order.

    The examples are generated anew in every step, so that traced data parameters can vary in a finite training set,
    too. A data parameter `n_train` replaces the argument. Cached, like `endless`.

    Raises:
        ValueError: in training, if `n_train` is not an integer ≥ 1.
    """

    def example(shared, data_params, key, i):
        return source.example(shared, data_params, key, i % jnp.asarray(data_params.get("n_train", n_train), i.dtype))

    def check(data_params) -> None:
        n = data_params.get("n_train", n_train)
        if not isinstance(n, Tracer) and (n < 1 or n != int(n)):
            raise ValueError(f"n_train={n} must be an integer ≥ 1")
        source.check({name: value for name, value in data_params.items() if name != "n_train"})

    return source._replace(example=example, check=check)


def _check(config: MNIST1D, data_params: Mapping[str, Any]) -> None:
    """Raise for fields of the config that cannot be traced, and for values that it refuses; traced ones are unknown."""
    for name, value in data_params.items():
        if hasattr(config, name) and name not in DATA_PARAMS:
            raise _untraceable(name)
        if name in DATA_PARAMS and not isinstance(value, Tracer) and np.ndim(value) == 0:
            number = np.asarray(value).item()
            replace(config, **{name: int(number) if name == "max_translation" and number == int(number) else number})


def _untraceable(name: str) -> ValueError:
    return ValueError(
        f"the data parameter {name!r} cannot be traced: set it in the config; these can: {', '.join(DATA_PARAMS)}"
    )


def constants(config: MNIST1D) -> Constants:
    """Return the constants that standardise a config's signals, computed from a fixed draw of 10 000 examples."""
    return _fixed_constants(_static(config), tuple(_values(config).items()))


@functools.lru_cache(maxsize=256)
def _on_device(config: MNIST1D) -> tuple[dict[str, Any], Constants]:
    """Return data parameters and constants on the device: sending one number costs as much as making ten examples."""
    with jax.ensure_compile_time_eval():
        return jax.tree.map(jnp.asarray, (_values(config), constants(config)))


@functools.lru_cache(maxsize=256)
def _fixed_constants(static: MNIST1D, data_params: tuple[tuple[str, float], ...]) -> Constants:
    with jax.ensure_compile_time_eval():  # concrete values, even if the caller is traced
        return Constants(*map(np.asarray, _constants(static, dict(data_params))))


@functools.lru_cache(maxsize=256)
def _static(config: MNIST1D) -> MNIST1D:
    """Return the config with the default of each field that does not shape the compiled program.

    Configs that differ only in their seed or traceable data parameters then share one program.
    """
    defaults = {name: getattr(_DEFAULT, name) for name in DATA_PARAMS}
    seed = config.seed if config.shuffle_seq else 0  # the seed draws the order of positions
    return replace(config, n_train=config.n_classes, n_valid=0, n_test=0, seed=seed, **defaults)


def _values(config: MNIST1D, others: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {name: float(getattr(config, name)) for name in DATA_PARAMS} | dict(others or {})


@functools.lru_cache(maxsize=64)
def _tables(config: MNIST1D) -> _Tables:
    patterns, _, labels = config.patterns.arrays()
    low, high = config.padding
    width = high - low + 1  # may be negative, as in the reference: then there are fewer zeros than `low`
    zeros = np.repeat(low + np.sign(width) * np.arange(max(abs(width), 1)), len(patterns))
    which = np.tile(np.arange(len(patterns)), len(zeros) // len(patterns))
    rows = transforms.pad(patterns + 1e-8, which, zeros, config.n_points)
    resample = transforms.resample(np.eye(config.n_points), config.final_seq_length).T
    resample = resample[_order(config)]
    smooth = gaussian_filter1d(np.eye(config.n_points), 2, axis=0)
    rows, smooth, white, resample = (
        table.astype(np.float32)
        for table in (rows, _factor(smooth @ smooth.T), _factor(resample @ resample.T), resample)
    )
    ramp = np.linspace(-0.5, 0.5, config.n_points, dtype=np.float32)
    return _Tables(np.concatenate([rows, rows], 1), smooth, white, resample, ramp, labels.astype(np.int32))


def _order(config: MNIST1D) -> list[int]:
    """Return the order of positions: that of `shuffle_seq` first, then the config's permutation."""
    n = config.final_seq_length
    first = shuffled(n, config.seed) if config.shuffle_seq else range(n)
    return [first[i] for i in (range(n) if config.permutation is None else config.permutation)]


def _factor(covariance: np.ndarray) -> np.ndarray:
    """Return the narrowest `f` for which `f @ f.T` is the covariance, up to a negligible share of the variance."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    n = 1 + int(np.searchsorted(np.cumsum(values), (1 - _NEGLIGIBLE) * values.sum()))
    return (vectors * np.sqrt(values))[:, :n]


def _uniform(bits):
    """Turn random bits into float32 numbers, uniform in [0, 1)."""
    return jax.lax.bitcast_convert_type((bits >> 9) | jnp.uint32(0x3F800000), jnp.float32) - 1


def _normal(bits):
    """Turn random bits into float32 standard normal numbers."""
    return np.float32(2**0.5) * jax.lax.erf_inv(2 * _uniform(bits) - np.float32(1 - 2**-24))


def _raw(config: MNIST1D, key: jax.Array, i, data_params: Mapping[str, Any]):
    """Generate example `i` before standardisation, `(final_seq_length,)`, and its label."""
    tables = _tables(config)
    n_points, n_smooth = tables.smooth.shape
    n_words = len(_UNIFORMS) + n_smooth + tables.white.shape[1]
    words = jnp.arange(n_words + n_words % 2, dtype=jnp.uint32)  # even, as the cipher encrypts pairs
    key_words = jax.random.key_data(jax.random.fold_in(key, i))[:2]  # an "rbg" key has four words
    bits = threefry_2x32(key_words, words)[:n_words]
    u: dict[str, Any] = dict(zip(_UNIFORMS, _uniform(bits[: len(_UNIFORMS)]), strict=True))
    smooth, white = jnp.split(_normal(bits[len(_UNIFORMS) :]), [n_smooth])

    n_classes, n_paddings = len(tables.labels), len(tables.rows) // len(tables.labels)
    which = _integer(u["class"], n_classes)
    shift = _integer(u["shift"], data_params["max_translation"])
    shift = jnp.where(shift < n_points, shift, 0)
    at = (_integer(u["padding"], n_paddings) * n_classes + which, n_points - shift)
    row = jax.lax.dynamic_slice(jnp.asarray(tables.rows), at, (1, n_points))[0]
    scaled = row * (1 + data_params["scale_coeff"] * (u["scale"] - 0.5))
    x = jnp.where(row != 0, scaled, data_params["corr_noise_scale"] * (tables.smooth @ smooth))
    x = x - data_params["shear_scale"] * (u["shear"] - 0.5) * tables.ramp
    x = tables.resample @ x + data_params["iid_noise_scale"] * (tables.white @ white)
    return x, _label(config, tables.labels, which, u, data_params["label_noise"])


def _label(config: MNIST1D, pattern_labels: np.ndarray, which, u: Mapping[str, Any], noise):
    if config.random_labels is not None:
        return _integer(u["redraw"], config.random_labels)
    labels = np.array(config.labels, np.int32)  # patterns may share a label
    n, true = len(labels), jnp.asarray((pattern_labels[:, None] == labels).argmax(1))[which]
    other = _integer(u["redraw"], n) if config.label_noise_repeats else (true + 1 + _integer(u["redraw"], n - 1)) % n
    return jnp.asarray(labels)[jnp.where(u["is_redrawn"] < noise, other, true)]


def _integer(uniform, n):
    """Turn a uniform number into a uniform integer in 0 … n − 1; rounding never gives n."""
    return jnp.minimum((uniform * n).astype(jnp.int32), jnp.maximum(jnp.asarray(n, jnp.int32) - 1, 0))


@functools.partial(jax.jit, static_argnames="config")
def _constants(config: MNIST1D, data_params: Mapping[str, Any]) -> Constants:
    key = jax.random.key(0)
    x, _ = jax.vmap(lambda i: _raw(config, key, i, data_params))(jnp.arange(_N_CONSTANTS))
    return Constants(x.mean(), x.std())


def _example(config: MNIST1D, key: jax.Array, i, data_params: Mapping[str, Any], shared: Constants):
    x, y = _raw(config, key, i, data_params)
    return (x - shared.mean) / shared.scale, y


@functools.partial(jax.jit, static_argnames=("config", "n"))
def _sample(config: MNIST1D, n: int, key: jax.Array, first, data_params: Mapping[str, Any], shared: Constants | None):
    shared = _constants(config, data_params) if shared is None else shared
    n_rounded = -(-n // _ROUND) * _ROUND
    x, y = jax.vmap(lambda i: _example(config, key, i, data_params, shared))(first + jnp.arange(n_rounded))
    return Dataset(x[:n], y[:n])
