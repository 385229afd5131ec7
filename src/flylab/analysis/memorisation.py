"""Memorisation: how much more often a network is right on an example if it was trained on it (Feldman & Zhang 2020)."""

from typing import Annotated, Any, NamedTuple

import numpy as np
import xarray as xr
from msgspec import Meta

from flylab.analysis.members import per_member
from flylab.analysis.networks import as_set, classes
from flylab.base.constraints import PositiveInt, Seed, check, refusal
from flylab.data.splits import Dataset, Splits
from flylab.models.model import Model
from flylab.training.objectives import Objective
from flylab.training.population import Population


class Memorisation(NamedTuple):
    """Memorisation of each training example, as fractions, `(…, n)`.

    Attributes:
        score: share of networks trained on the example that are right on it, less that of networks trained without.
        standard_error: of the score, by the two shares' binomial variances.
    """

    score: np.ndarray
    standard_error: np.ndarray


def subset_masks(n: int, n_subsets: int, share: float = 0.7, *, seed: int = 0) -> np.ndarray:
    """Draw subsets of equal size of a training set at random: `(n_subsets, n)`, True where an example belongs to one.

    Args:
        n: examples in the training set.
        n_subsets: number of subsets, each of which trains a network.
        share: of the examples in each subset; Feldman & Zhang (2020) take 0.7.
        seed: of the draws.

    Raises:
        ValueError: naming the argument, its value and what is allowed.

    >>> masks = subset_masks(10, 3)
    >>> masks.shape, masks.sum(1).tolist()
    ((3, 10), [7, 7, 7])
    """
    n, n_subsets = check("n", n, PositiveInt), check("n_subsets", n_subsets, PositiveInt)
    size = round(n * check("share", share, Annotated[float, Meta(gt=0, lt=1)]))
    if not 0 < size < n:
        raise refusal("share", share, f"such that share · n = {share * n:g} leaves examples in and out of a subset")
    rng = np.random.default_rng(check("seed", seed, Seed))
    return np.argsort(rng.random((n_subsets, n)), 1) < size


def subset(splits: Splits, mask: Any) -> Splits:
    """Return splits whose training set has the examples only for which a mask `(n,)` is True.

    >>> from flylab.data import MNIST1D, published
    >>> splits = published(MNIST1D(n_train=20, n_valid=10, n_test=10))
    >>> subset(splits, subset_masks(20, 3)[0]).train.x.shape
    (14, 40)
    """
    mask, (x, y) = np.asarray(mask), splits.train
    if mask.shape != (len(y),) or mask.dtype != bool:
        raise ValueError(f"mask must have a truth value for each of {len(y)} examples, not {mask.dtype} {mask.shape}")
    return splits._replace(train=Dataset(x[mask], y[mask]), config=None)


def memorisation(model: Model | Objective, population: Population, data: Dataset, masks: Any) -> xr.Dataset:
    """Estimate how much a population memorised each training example; its seed *i* was trained on subset *i*.

    Args:
        model: the network, or an objective.
        population: what `train_members` returns for `lambda seed: subset(splits, masks[seed])`.
        data: the whole training set, `splits.train`.
        masks: the subsets `(n_subsets, n)`, see `subset_masks`.

    Returns:
        The fields of `Memorisation` over the population's axes but `seed`, and `example`.

    Raises:
        ValueError: if there is no mask for a seed, or no entry for an example.

    >>> import flylab
    >>> splits = flylab.published(flylab.MNIST1D(n_train=50, n_valid=0, n_test=50))
    >>> model, masks = flylab.get_model("logistic"), subset_masks(50, 8)
    >>> grid = {"learning_rate": [1e-2], "seed": range(8)}
    >>> population = flylab.train_members(model, lambda seed: subset(splits, masks[seed]), flylab.Plan(20), grid)
    >>> dict(memorisation(model, population, splits.train, masks).sizes)
    {'learning_rate': 1, 'example': 50}
    """
    x, y = as_set(data)
    masks, seeds = np.asarray(masks), population.results.seed.values
    if masks.ndim != 2 or masks.shape[1] != len(y) or seeds.max() >= len(masks):
        raise ValueError(f"masks must have a row for each seed up to {seeds.max()}, and a column for each of {len(y)} "
                         f"examples, not shape {masks.shape}")  # fmt: skip
    predicted = per_member(lambda params: classes(model, params, x), population).rename(dim_0="example")
    correct = (predicted == y).transpose(..., "seed", "example")
    scores = memorisation_scores(correct.values, masks[seeds])
    dims = [dim for dim in correct.dims if dim != "seed"]
    coordinates = {name: correct[name] for name in dims if name in correct.coords}
    return xr.Dataset({name: (dims, part) for name, part in scores._asdict().items()}, coordinates)


def memorisation_scores(correct: Any, masks: Any) -> Memorisation:
    """Estimate memorisation scores (Feldman & Zhang 2020) of classifiers trained on subsets.

    An example that is in all subsets, or in none, has the score NaN.

    Args:
        correct: whether the classifier of a subset is right on an example, `(…, n_subsets, n)`.
        masks: whether the example is in the subset, `(n_subsets, n)`.

    Raises:
        ValueError: if their shapes differ.

    >>> masks = np.array([[True, False], [False, True]])
    >>> memorisation_scores(masks, masks).score.tolist()  # a table of what it was trained on
    [1.0, 1.0]
    """
    correct, masks = np.asarray(correct, bool), np.asarray(masks, bool)
    if masks.ndim != 2 or correct.shape[-2:] != masks.shape:
        raise ValueError(f"correct must have a last axis for examples and one for subsets before it, as masks "
                         f"{masks.shape}, not {correct.shape}")  # fmt: skip
    with np.errstate(invalid="ignore"):
        shares, variances = [], []
        for chosen in (masks, ~masks):
            n = chosen.sum(0)
            shares.append((correct & chosen).sum(-2) / n)
            variances.append(shares[-1] * (1 - shares[-1]) / n)
    return Memorisation(shares[0] - shares[1], np.sqrt(variances[0] + variances[1]))
