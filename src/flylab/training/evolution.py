"""Gradients by evolution strategies, from whole training runs and without differentiating them."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from flylab.base.constraints import Checked, PositiveFloat, PositiveInt
from flylab.base.optional import need
from flylab.base.types import Hparams, Key, Scalar


@dataclass(frozen=True)
class Evolution(Checked):
    """How a gradient is estimated: OpenAI's evolution strategy with antithetic pairs (Salimans et al. 2017), by evosax.

    The estimate is the gradient of the outer loss's mean over normal deviates around the hyper-parameters, which is
    smooth where training is chaotic (Metz et al. 2019). Its variance grows with the number of hyper-parameters.

    Attributes:
        n_pairs: pairs of training runs, of hyper-parameters deviating one way and the other.
        sigma: standard deviation of each hyper-parameter's deviates.

    Raises:
        ValueError: for an invalid value.

    >>> Evolution(n_pairs=0)
    Traceback (most recent call last):
    ValueError: n_pairs=0 must be an integer ≥ 1
    """

    n_pairs: PositiveInt = 16
    sigma: PositiveFloat = 0.05

    def gradient(self, value_of: Callable[[Hparams], Scalar], hparams: Hparams, key: Key) -> Hparams:
        """Estimate the gradient of a function of hyper-parameters, which is called once for each of `2 · n_pairs`.

        Args:
            value_of: hyper-parameters → the value to differentiate; any randomness should be the same in each call.
            hparams: where to differentiate.
            key: of the deviates.

        Raises:
            MissingExtraError: if evosax is not installed.
        """
        algorithms = need("evosax.algorithms", "evolution", "metalearning by evolution")
        flat, unravel = ravel_pytree(hparams)
        with jax.ensure_compile_time_eval():  # evosax keeps the solution that it is shown
            strategy = algorithms.Open_ES(
                2 * self.n_pairs, np.zeros(flat.shape, flat.dtype), optimizer=_KEEPS_GRADIENT,
                std_schedule=optax.constant_schedule(self.sigma), fitness_shaping_fn=_unchanged,
            )  # fmt: skip
        settings = strategy.default_params
        population, state = strategy.ask(key, strategy.init(key, flat, settings), settings)
        values = jax.lax.map(lambda candidate: value_of(unravel(candidate)), population)  # one run at a time
        state, _ = strategy.tell(key, population, values, state, settings)
        return unravel(state.opt_state)


def _unchanged(population, values, state, settings):
    return values  # ranks would lose the gradient's length


def _keep(updates, state, params=None):
    return updates, updates


_KEEPS_GRADIENT = optax.GradientTransformation(lambda params: params, _keep)  # the plan's optimiser descends along it
