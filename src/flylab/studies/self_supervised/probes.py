"""Probes of a network's layers, and maps of its representations."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
import xarray as xr
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier

from flylab.base.rng import stream
from flylab.data import Splits
from flylab.data.inputs import stacked_classes
from flylab.models import Model, convolutional
from flylab.training.learners import published_logistic

REPRESENTATIONS = ("raw", "before", "after")
BEFORE_HEAD = 3  # the layer: the last convolution

_features: Callable = jax.jit(jax.vmap(convolutional.cnn_layers, (None, 0)))


def probe(splits: Splits, params) -> tuple[list[float], list[float]]:
    """Return the test accuracy in percent of logistic regression, and of nearest neighbours, on each layer."""
    train, test = (_features(params, part.x.astype(np.float32)) for part in (splits.train, splits.test))
    linear, neighbour = [], []
    for x, x_test in zip(train, test, strict=True):
        x, x_test = np.asarray(x, np.float64), np.asarray(x_test, np.float64)
        methods = (
            published_logistic(len(x)),
            KNeighborsClassifier(n_neighbors=min(10, len(x)), metric="cosine"),
        )
        for method, accuracies in zip(methods, (linear, neighbour), strict=True):
            accuracies.append(100 * method.fit(x, splits.train.y).score(x_test, splits.test.y))
    return linear, neighbour


def maps(network: Model, data: Callable[[int], Splits], seeds: Sequence[int], params: Sequence, key) -> xr.Dataset:
    """Return t-SNE maps of the test signals, raw and at the last convolution before and after training.

    Only seed 0, or of those that `paper` holds out seed 1000, is mapped; the maps of other seeds are NaN.
    """
    n_test = len(data(seeds[0]).test.y)
    points = np.full((len(seeds), len(REPRESENTATIONS), n_test, 2), np.nan, np.float32)
    labels = []
    for i, seed in enumerate(seeds):
        splits = data(seed)
        labels.append(splits.test.y)
        if seed % 1000 == 0:
            start = network.init(stream(jax.random.fold_in(key, seed), "init"))
            x = splits.test.x.astype(np.float32)
            before, after = (np.asarray(_features(weights, x)[BEFORE_HEAD]) for weights in (start, params[i]))
            for j, signals in enumerate((x, before, after)):
                points[i, j] = TSNE(random_state=0, perplexity=min(30, n_test / 4)).fit_transform(signals)
    variables = {
        "map": (("seed", "representation", "example", "coordinate"), points),
        "label": (("seed", "example"), stacked_classes(labels)),
    }
    return xr.Dataset(variables, {"seed": list(seeds), "representation": list(REPRESENTATIONS)})
