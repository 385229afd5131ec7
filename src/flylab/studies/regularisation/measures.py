"""How clearly a data set tells regularisers apart."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.stats import kendalltau

from flylab.data.images import titles
from flylab.results.effects import final

LEAST = 0.1  # of an F statistic, so that it has a logarithm


def f_statistic(accuracy: xr.DataArray) -> xr.DataArray:
    """Return the F statistic of two ways, regularisers against seeds, over all other dimensions.

    It is the mean square of what regularisers differ by, over that of what neither they nor the seed explain. Without
    differences 1 is expected. Its root is the size of differences in standard errors.
    """
    n_regularisers, n_seeds = accuracy.sizes["regulariser"], accuracy.sizes["seed"]
    of_regulariser, of_seed = accuracy.mean("seed"), accuracy.mean("regulariser")
    mean, n_free = of_seed.mean("seed"), max(n_regularisers - 1, 1)
    between = n_seeds * ((of_regulariser - mean) ** 2).sum("regulariser") / n_free
    rest = accuracy - of_regulariser - of_seed + mean
    within = (rest**2).sum(["regulariser", "seed"]) / (n_free * max(n_seeds - 1, 1))
    return between / within.where(within > 0)


def clarity(results: xr.Dataset, dataset: str, n_seeds: float) -> xr.DataArray:
    """Return log₂ of the size of differences, in standard errors, that so many seeds would show, over `step`.

    What an F statistic has beyond 1 grows with the number of seeds: noise does not shrink with what seeds cost.
    """
    beyond = f_statistic(results.test_accuracy.sel(dataset=dataset).astype(float)) - 1
    return 0.5 * np.log2((1 + beyond * n_seeds / results.sizes["seed"]).clip(min=LEAST))  # pyright: ignore[reportReturnType]


def clearer(results: xr.Dataset, than: str, *, at_equal_flops: bool) -> xr.DataArray:
    """Return log₂ of how much larger differences are, in standard errors, on MNIST-1D than on another set.

    At equal FLOPs, the other set has as many seeds as the computing of this run's MNIST-1D would buy.

    Returns:
        Pseudo-values of the jackknife over `seed`.
    """
    n, cost = results.sizes["seed"], flops_per_step(results)
    n_others = n * float(cost.sel(dataset="mnist1d") / cost.sel(dataset=than)) if at_equal_flops else n
    return jackknifed(lambda some: final(clarity(some, "mnist1d", n) - clarity(some, than, n_others)), results)


def flops_per_step(results: xr.Dataset) -> xr.DataArray:
    """Return the FLOPs of a step over `dataset`; those of regularisers are few and do not count."""
    return results.flops_per_step.max(["regulariser", "seed"])


def jackknifed(statistic: Callable[[xr.Dataset], xr.DataArray], results: xr.Dataset) -> xr.DataArray:
    """Return the pseudo-values of a statistic over `seed`, whose mean has no bias of first order (Tukey 1958).

    They are NaN for fewer than three seeds.
    """
    n, whole = results.sizes["seed"], statistic(results)
    if n < 3:
        return xr.full_like(results.seed, np.nan, float) + whole
    without = [statistic(results.drop_isel(seed=i)) for i in range(n)]
    return n * whole - (n - 1) * xr.concat(without, results.seed)


def agreement(results: xr.Dataset, other: str) -> xr.DataArray:
    """Return Kendall's τ between the orders of regularisers on MNIST-1D and on another set, for each seed."""
    accuracy = final(results.test_accuracy).transpose("dataset", "seed", "regulariser")
    pairs = zip(*(accuracy.sel(dataset=name).values for name in ("mnist1d", other)), strict=True)
    return results.seed.copy(data=[kendalltau(*pair).statistic for pair in pairs])  # pyright: ignore


def names_in(results: xr.Dataset) -> dict[str, str]:
    """Return the title of each data set by its name, MNIST-1D first."""
    known = {"mnist1d": "MNIST-1D"} | titles(results.attrs)
    return {name: title for name, title in known.items() if name in results.dataset}
