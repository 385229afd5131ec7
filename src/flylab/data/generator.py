"""The generator in JAX: the published distribution, on the device, as fast as it goes, and differentiable.

Example *i* depends on `(key, i)` only, so a larger set extends a smaller one. Random numbers are drawn in slots of one
counter-based stream per example. Noise is drawn where it counts: of the smooth noise the components that a float32 can
hold, and the white noise directly at the resampled points; both are Gaussian, so the distribution stays the same.
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
DATA_PARAMS = (*CONTINUOUS, "max_translation", "label_noise")  # what may be traced: no value of it changes a shape
_UNIFORMS = ("class", "padding", "shift", "scale", "shear", "is_redrawn", "redraw", "unused")  # an even number of slots
_NEGLIGIBLE = 1e-7  # share of the noise's variance that may go
_N_CONSTANTS = 10_000  # examples behind the constants of standardisation
_ROUND = 128  # examples are made in multiples of it, so that products round alike, whatever the number asked for
_DEFAULT = MNIST1D()


class Constants(NamedTuple):
    """What standardises examples: mean and standard deviation before."""

    mean: Any
    scale: Any


class _Tables(NamedTuple):
    """What examples are put together from, NumPy arrays."""

    rows: np.ndarray  # (n_paddings · n_classes, 2 · n_points): padded patterns, twice side by side, to shift by slicing
    smooth: np.ndarray  # (n_points, n_components) a factor of the smooth noise's covariance
    white: np.ndarray  # (final_seq_length, n_components) … of the resampled white noise's
    resample: np.ndarray  # (final_seq_length, n_points)
    ramp: np.ndarray  # (n_points,)
    labels: np.ndarray  # (n_classes,)


def sample(
    config: MNIST1D, key: jax.Array, n: int, *, first: int = 0, data_params: Mapping[str, Any] | None = None
) -> Dataset:
    """Examples `first … first + n − 1` of the endless set under `key`: float32 `x (n, length)`, int32 `y (n,)`.

    Standardised. Labels are drawn uniformly (the published sets have equally many of each), and label noise and random
    labels apply.

    Args:
        config: its data parameters count; its numbers of examples do not, nor its seed but for the order of positions under
            `shuffle_seq`.
        key: as from `jax.random.key`.
        n: number of examples.
        first: the first example's number.
        data_params: values in place of the config's, traced ones among them: any of `DATA_PARAMS`. The signal is differentiable
            in `CONTINUOUS`, the constants of standardisation, which follow the data parameters, included.

    Raises:
        ValueError: for a data parameter that cannot be traced, or a value that the config would refuse.

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


def generated(config: MNIST1D | None = None) -> Splits:
    """Training, validation and test set as `published` gives them, from this generator: float32 NumPy arrays.

    The three sets are the examples of three random streams of the config's seed.

    >>> generated(MNIST1D(n_train=30, n_valid=10, n_test=10)).train.x.shape
    (30, 40)
    """
    config = MNIST1D() if config is None else config
    runtime.initialise()  # before anything else starts JAX
    key, clean = jax.random.key(config.seed), replace(config, label_noise=0.0)
    train, valid, test = (
        jax.tree.map(np.asarray, sample(one, stream(key, name), n))
        for name, one, n in (("train", config, config.n_train), ("valid", clean, config.n_valid),
                             ("test", clean, config.n_test))
    )  # fmt: skip
    t = time_axis(config.patterns.arrays()[1], config) / float(constants(config).scale)
    return Splits(train, valid, test, t, config.patterns, config)


@functools.cache
def endless(config: MNIST1D | None = None) -> Source:
    """Fresh examples in every training step, for `train` and `train_members` in place of splits.

    Data parameters of the population named as in `DATA_PARAMS` replace the config's. Validation and test set (`n_valid`, `n_test`) have
    the same data parameters but no label noise, from random streams of the config's seed: they are the same for every member
    with the same data parameters. The number of training examples is not used. Cached: the same config gives the same `Source`,
    so that training twice compiles once.

    Raises:
        ValueError: in training, if a data parameter of the population is a field of the config that cannot be traced.
    """
    config = MNIST1D() if config is None else config
    static = _static(config)

    def own(data_params) -> dict[str, Any]:
        return _values(config, {name: data_params[name] for name in DATA_PARAMS if name in data_params})

    def prepare(data_params) -> Constants:
        return _constants(static, own(data_params))

    def example(shared: Constants, data_params, key, i):
        return _example(static, key, i, own(data_params), shared)

    def evaluation(shared: Constants, data_params) -> tuple[Dataset, Dataset]:
        key, clean = jax.random.key(config.seed), own(data_params) | {"label_noise": 0.0}
        valid = _sample(static, config.n_valid, stream(key, "valid"), 0, clean, shared)
        return valid, _sample(static, config.n_test, stream(key, "test"), 0, clean, shared)

    return Source(prepare, example, evaluation, lambda data_params: _check(config, data_params))


@functools.cache
def repeating(source: Source, n_train: int) -> Source:
    """A training set of `n_train` examples of a source, made anew whenever they are needed, in fixed order.

    So training sets, too, can be swept by traced data parameters; a data parameter `n_train` replaces the number. Cached, as `endless`.

    Raises:
        ValueError: in training, if `n_train` is less than 1.
    """

    def example(shared, data_params, key, i):
        return source.example(shared, data_params, key, i % jnp.asarray(data_params.get("n_train", n_train), i.dtype))

    def check(data_params) -> None:
        n = data_params.get("n_train", n_train)
        if not isinstance(n, Tracer) and (n < 1 or n != int(n)):
            raise ValueError(f"n_train={n} is not allowed: give a whole number ≥ 1")
        source.check({name: value for name, value in data_params.items() if name != "n_train"})

    return source._replace(example=example, check=check)


def _check(config: MNIST1D, data_params: Mapping[str, Any]) -> None:
    """Refuse fields of the config that cannot be traced, and values (where they are known) that it would refuse."""
    for name, value in data_params.items():
        if hasattr(config, name) and name not in DATA_PARAMS:
            raise _untraceable(name)
        if name in DATA_PARAMS and not isinstance(value, Tracer) and np.ndim(value) == 0:
            number = np.asarray(value).item()
            replace(config, **{name: int(number) if name == "max_translation" and number == int(number) else number})


def _untraceable(name: str) -> ValueError:
    return ValueError(
        f"the data parameter {name!r} cannot be traced: set it in the config. These can: {', '.join(DATA_PARAMS)}"
    )


def constants(config: MNIST1D) -> Constants:
    """Mean and standard deviation of a fixed draw of 10 000 examples, which standardise all examples of a config."""
    return _fixed_constants(_static(config), tuple(_values(config).items()))


@functools.lru_cache(maxsize=256)
def _on_device(config: MNIST1D) -> tuple[dict[str, Any], Constants]:
    """Data parameters and constants where they are needed: to send them again costs as much as ten examples a number."""
    with jax.ensure_compile_time_eval():
        return jax.tree.map(jnp.asarray, (_values(config), constants(config)))


@functools.lru_cache(maxsize=256)
def _fixed_constants(static: MNIST1D, data_params: tuple[tuple[str, float], ...]) -> Constants:
    with jax.ensure_compile_time_eval():  # though a caller be traced
        return Constants(*map(np.asarray, _constants(static, dict(data_params))))


@functools.lru_cache(maxsize=256)
def _static(config: MNIST1D) -> MNIST1D:
    """What shapes the compiled program, all else at its default: configs that differ in a data parameter or seed share one."""
    fixed = {name: getattr(_DEFAULT, name) for name in DATA_PARAMS}
    seed = config.seed if config.shuffle_seq else 0  # of the order of positions
    return replace(config, n_train=config.n_classes, n_valid=0, n_test=0, seed=seed, **fixed)


def _values(config: MNIST1D, others: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {name: float(getattr(config, name)) for name in DATA_PARAMS} | dict(others or {})


@functools.lru_cache(maxsize=64)
def _tables(config: MNIST1D) -> _Tables:
    patterns, _, labels = config.patterns.arrays()
    low, high = config.padding
    width = high - low + 1  # may be negative, as published: then fewer zeros than `low`
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
    """Of the positions: `shuffle_seq` first, then the config's permutation."""
    n = config.final_seq_length
    first = shuffled(n, config.seed) if config.shuffle_seq else range(n)
    return [first[i] for i in (range(n) if config.permutation is None else config.permutation)]


def _factor(covariance: np.ndarray) -> np.ndarray:
    """The narrowest `f` with `f @ f.T` the covariance, to a negligible share of the variance."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    n = 1 + int(np.searchsorted(np.cumsum(values), (1 - _NEGLIGIBLE) * values.sum()))
    return (vectors * np.sqrt(values))[:, :n]


def _uniform(bits):
    """Random bits → float32 uniform in [0, 1)."""
    return jax.lax.bitcast_convert_type((bits >> 9) | jnp.uint32(0x3F800000), jnp.float32) - 1


def _normal(bits):
    """Random bits → float32 standard normal."""
    return np.float32(2**0.5) * jax.lax.erf_inv(2 * _uniform(bits) - np.float32(1 - 2**-24))


def _raw(config: MNIST1D, key: jax.Array, i, data_params: Mapping[str, Any]):
    """Example `i` before standardisation `(final_seq_length,)`, and its label."""
    tables = _tables(config)
    n_points, n_smooth = tables.smooth.shape
    n_words = len(_UNIFORMS) + n_smooth + tables.white.shape[1]
    words = jnp.arange(n_words + n_words % 2, dtype=jnp.uint32)  # in pairs: the cipher makes two at once
    own = jax.random.key_data(jax.random.fold_in(key, i))[:2]  # of an "rbg" key: the first of two such
    bits = threefry_2x32(own, words)[:n_words]
    u: dict[str, Any] = dict(zip(_UNIFORMS, _uniform(bits[: len(_UNIFORMS)]), strict=True))
    smooth, white = jnp.split(_normal(bits[len(_UNIFORMS) :]), [n_smooth])

    n_classes, n_paddings = len(tables.labels), len(tables.rows) // len(tables.labels)
    which = _whole(u["class"], n_classes)
    shift = _whole(u["shift"], data_params["max_translation"])
    shift = jnp.where(shift < n_points, shift, 0)
    at = (_whole(u["padding"], n_paddings) * n_classes + which, n_points - shift)
    row = jax.lax.dynamic_slice(jnp.asarray(tables.rows), at, (1, n_points))[0]
    scaled = row * (1 + data_params["scale_coeff"] * (u["scale"] - 0.5))
    x = jnp.where(row != 0, scaled, data_params["corr_noise_scale"] * (tables.smooth @ smooth))
    x = x - data_params["shear_scale"] * (u["shear"] - 0.5) * tables.ramp
    x = tables.resample @ x + data_params["iid_noise_scale"] * (tables.white @ white)
    return x, _label(config, tables.labels, which, u, data_params["label_noise"])


def _label(config: MNIST1D, of_pattern: np.ndarray, which, u: Mapping[str, Any], noise):
    if config.random_labels is not None:
        return _whole(u["redraw"], config.random_labels)
    labels = np.array(config.labels, np.int32)  # several patterns may share one
    n, own = len(labels), jnp.asarray((of_pattern[:, None] == labels).argmax(1))[which]
    other = _whole(u["redraw"], n) if config.label_noise_repeats else (own + 1 + _whole(u["redraw"], n - 1)) % n
    return jnp.asarray(labels)[jnp.where(u["is_redrawn"] < noise, other, own)]


def _whole(uniform, n):
    """A uniform whole number in 0 … n − 1; rounding never gives n."""
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
    n_made = -(-n // _ROUND) * _ROUND
    x, y = jax.vmap(lambda i: _example(config, key, i, data_params, shared))(first + jnp.arange(n_made))
    return Dataset(x[:n], y[:n])
