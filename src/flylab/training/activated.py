"""The objective of a network whose activation function is learned, or was."""

import functools
from collections.abc import Callable

import jax

from flylab.base.types import Hparams
from flylab.models import activations
from flylab.models.model import Model
from flylab.training.objectives import Objective, supervised


@functools.cache
def activated(network: Callable[[Callable], Model]) -> Objective:
    """Make the objective of classification by a network whose learnable activation's weights are a hyper-parameter.

    They are `hparams["activation"]`, `w, b, v (n_units,)` and `c ()`; `activations.learnable` is the function. Cached,
    so give the same `network` each time.

    Args:
        network: elementwise function → network. The function may be traced, so it must not be kept by a cache.

    >>> import jax.numpy as jnp
    >>> from flylab.models.dense import mlp
    >>> objective = activated(lambda function: mlp.__wrapped__(activation=function))  # without its cache
    >>> hparams = objective.prepare({"activation": activations.network_init(jax.random.key(0))})
    >>> params = objective.init(jax.random.key(1), hparams)
    >>> objective.predict(params, jnp.ones((40, 3)), hparams, jax.random.key(2)).shape
    (10, 3)
    """

    def with_function(hparams: Hparams) -> Model:
        return network(functools.partial(activations.learnable, hparams["function"]))

    def init(key, hparams):
        return network(jax.nn.elu).init(key)

    def prepare(hparams: Hparams) -> Hparams:
        weights = hparams["activation"]
        has_few = len(weights["w"]) <= activations.FEW
        return hparams | {"function": weights if has_few else activations.table(weights)}

    options = supervised(network(jax.nn.elu)).options  # which depend on whether it has a batched form
    return supervised(with_function)._replace(init=init, options=options, prepare=prepare)
