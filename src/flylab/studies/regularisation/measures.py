"""How clearly a data set tells methods apart."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.stats import kendalltau

from flylab.results.effects import final


def sets_in(results: xr.Dataset) -> list[str]:
    """Return the data sets, MNIST-1D first."""
    return sorted(results.dataset.values.tolist(), key=lambda name: name != "mnist1d")


def accuracy(results: xr.Dataset, dataset: str) -> xr.DataArray:
    """Return the final test accuracy on a data set, over `regulariser` and `seed`."""
    return final(results.test_accuracy).sel(dataset=dataset).transpose("regulariser", "seed")


def clarity(results: xr.Dataset, dataset: str) -> float:
    """Return the F statistic of the methods' accuracies, with seeds as blocks.

    It is the mean square of differences between methods over that of what neither methods nor seeds explain, times the
    number of seeds: 1 is expected where methods do not differ. Its root is the size of differences in standard errors.
    """
    values = accuracy(results, dataset).values.astype(float)
    n_methods, n_seeds = values.shape
    of_method, of_seed, mean = values.mean(1, keepdims=True), values.mean(0, keepdims=True), values.mean()
    between = n_seeds * ((of_method - mean) ** 2).sum() / (n_methods - 1)
    rest = ((values - of_method - of_seed + mean) ** 2).sum() / ((n_methods - 1) * (n_seeds - 1))
    return float(between / rest) if rest > 0 else np.nan


def clearer(results: xr.Dataset, than: str, *, at_equal_flops: bool) -> xr.DataArray:
    """Return log₂ of how much larger differences are, in standard errors, on MNIST-1D than on another set.

    At equal FLOPs, each set has as many seeds as the same computing buys, and standard errors shrink with their root.

    Returns:
        Jackknife pseudo-values over `seed`, whose mean is the estimate without its bias of first order (Tukey 1958).
    """

    def ratio(some: xr.Dataset) -> float:
        ours, theirs = (clarity(some, name) for name in ("mnist1d", than))
        if at_equal_flops:
            ours, theirs = (value / float(some.flops.sel(dataset=name).max())
                            for value, name in ((ours, "mnist1d"), (theirs, than)))  # fmt: skip
        return 0.5 * np.log2(ours / theirs)

    return jackknifed(ratio, results)


def jackknifed(statistic: Callable[[xr.Dataset], float], results: xr.Dataset) -> xr.DataArray:
    """Return the pseudo-values of a statistic over `seed`; NaN with fewer than three seeds."""
    n = results.sizes["seed"]
    if n < 3:
        return xr.DataArray(np.full(n, np.nan), {"seed": results.seed}, ["seed"])
    whole = statistic(results)
    without = [statistic(results.isel(seed=[j for j in range(n) if j != i])) for i in range(n)]
    return xr.DataArray(n * whole - (n - 1) * np.array(without), {"seed": results.seed}, ["seed"])


def agreement(results: xr.Dataset, other: str) -> xr.DataArray:
    """Return Kendall's τ between the orders of the methods on MNIST-1D and on another set, for each seed."""
    pairs = [accuracy(results, name).values.T for name in ("mnist1d", other)]
    taus = [kendalltau(ours, theirs).statistic for ours, theirs in zip(*pairs, strict=True)]
    return xr.DataArray(taus, {"seed": results.seed}, ["seed"])
