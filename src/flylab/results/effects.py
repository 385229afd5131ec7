"""Effects: functions of results that know which labels they require, for claims, tables and figures.

    contrast("test_accuracy", pooling=("max", "none"), n_train=1000, step=-1)

is the final accuracy with max pooling less that without, seed by seed. A claim on it is not tested on results that lack
one of these labels.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

LAST = -1  # in place of a label: the last one
_LOGARITHMS = {2: np.log2, 10: np.log10}


@dataclass(frozen=True)
class Effect:
    """A function of results that knows which labels they must have.

    Attributes:
        of: results → values, of which a claim needs one for each seed.
        requires: labels by dimension; a tuple if several must be there.
        is_share: whether the values are 100 for a seed that has what is asked for and 0 for another one, so that their
            mean is a share of seeds, whose interval is binomial.
        n_test: results → the number of test examples that all seeds share, for a level: an accuracy in percent that is
            no difference, so that the test set's sampling error does not cancel.
    """

    of: Callable[[xr.Dataset], xr.DataArray]
    requires: Mapping[str, Any] = field(default_factory=dict)
    is_share: bool = False
    n_test: Callable[[xr.Dataset], int] | None = None

    def __call__(self, results: xr.Dataset) -> xr.DataArray:
        """Return the effect's values in these results."""
        return self.of(results)

    def __sub__(self, other: "Effect") -> "Effect":
        """Return the difference of two effects, paired by seed."""
        return Effect(lambda results: self(results) - other(results), merged(self.requires, other.requires))

    def then(self, function: Callable[..., xr.DataArray], *args: Any, **kwargs: Any) -> "Effect":
        """Return the effect `function(values, *args, **kwargs)`, e.g. `.then(slope, "n_train")`."""
        return Effect(lambda results: function(self(results), *args, **kwargs), self.requires)

    def holds(self, condition: Callable[[xr.DataArray], xr.DataArray]) -> "Effect":
        """Return the share of seeds, in percent, whose value fulfils a condition; a seed without a value has none.

        >>> rank = Effect(lambda results: results["rank"])
        >>> low = rank.holds(lambda rank: rank <= 2)
        >>> low(xr.Dataset({"rank": ("seed", [1.0, 5.0, np.nan])})).values.tolist(), low.is_share
        ([100.0, 0.0, nan], True)
        """

        def shares(results: xr.Dataset) -> xr.DataArray:
            values = self(results)
            return xr.where(condition(values), 100.0, 0.0).where(values.notnull())

        return Effect(shares, self.requires, is_share=True)


def n_test_of(results: xr.Dataset) -> int:
    """Return the number of test examples of the data set that all seeds share, as the protocol says; 0 if unknown.

    >>> n_test_of(xr.Dataset(attrs={"protocol": '{"data": {"n_test": 1000}}'}))
    1000
    """
    return json.loads(results.attrs.get("protocol", "{}")).get("data", {}).get("n_test", 0)


def merged(*requirements: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that is required: for each dimension one label, or several as a tuple."""
    labels: dict[str, dict] = {}
    for requirement in requirements:
        for dim, wanted in requirement.items():
            labels.setdefault(dim, {}).update(dict.fromkeys(wanted if isinstance(wanted, tuple) else (wanted,)))
    return {dim: tuple(wanted) if len(wanted) > 1 else next(iter(wanted)) for dim, wanted in labels.items()}


def pick(variable: str | Callable[[xr.Dataset], xr.DataArray], **labels: Any) -> Effect:
    """Return the values of a variable at some labels, of which −1 is the last, as in `step=-1`.

    Where results lack a label, the values are NaN.

    Args:
        variable: the variable's name, or a function from results to its values.
        **labels: a label for each dimension in which to pick.

    >>> results = xr.Dataset({"loss": (("model", "seed"), [[3.0, 4.0], [1.0, 2.0]])}, {"model": ["mlp", "cnn"]})
    >>> pick("loss", model="cnn")(results).values.tolist(), pick("loss", model="cnn").requires
    ([1.0, 2.0], {'model': 'cnn'})
    """

    def picked(results: xr.Dataset) -> xr.DataArray:
        values = results[variable] if isinstance(variable, str) else variable(results)
        for dim, label in labels.items():
            if label == LAST:
                values = values.isel({dim: -1}, drop=True)
            elif label in values[dim].values:
                values = values.sel({dim: label}, drop=True)
            else:
                values = xr.full_like(values.isel({dim: 0}, drop=True), np.nan, float)
        return values

    return Effect(picked, {dim: label for dim, label in labels.items() if label != LAST})


def contrast(variable: str | Callable[[xr.Dataset], xr.DataArray], **labels: Any) -> Effect:
    """Return the difference of a variable between two labels, paired by seed.

    Args:
        variable: the variable's name, or a function from results to its values.
        **labels: as for `pick`; one of them is a pair, the label and the one it is compared with.

    Raises:
        ValueError: if there is not exactly one pair.

    >>> results = xr.Dataset({"loss": (("model", "seed"), [[3.0, 4.0], [1.0, 2.0]])}, {"model": ["mlp", "cnn"]})
    >>> contrast("loss", model=("mlp", "cnn"))(results).values.tolist()
    [2.0, 2.0]
    """
    pairs = [dim for dim, label in labels.items() if isinstance(label, tuple)]
    if len(pairs) != 1 or len(labels[pairs[0]]) != 2:
        raise ValueError(f"{labels} must have exactly one pair of labels to compare")
    (dim,) = pairs
    one, other = (pick(variable, **labels | {dim: label}) for label in labels[dim])
    return one - other


def final(values: xr.DataArray, along: str = "step") -> xr.DataArray:
    """Return the last values along a dimension, or the values as they are if they do not have it."""
    return values.isel({along: -1}, drop=True) if along in values.dims else values


def slope(values: xr.DataArray, along: str, *, per: float = 1.0, base: int | None = None) -> xr.DataArray:
    """Return each seed's least-squares slope along a dimension; NaN if there are fewer than two places.

    Places at which a seed has no value are left out.

    Args:
        values: have the dimensions `seed` and `along`.
        along: the dimension.
        per: its unit: the slope is the change per so much of it.
        base: 2 or 10, for the change per doubling, or per tenfold value.

    >>> values = xr.DataArray([[1.0, 2.0, 3.0]], {"seed": [0], "n": [10, 100, 1000]})
    >>> slope(values, "n", base=10).round(6).values.tolist()
    [1.0]
    """
    values = values.transpose("seed", along).dropna(along)
    if values.sizes[along] < 2:
        return xr.full_like(values.seed, np.nan, float)
    x = values[along].values / per if base is None else _LOGARITHMS[base](values[along].values)
    return values.seed.copy(data=np.polyfit(x, values.values.T, 1)[0])
