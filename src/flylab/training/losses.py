"""Losses that several studies train with."""

import jax

from flylab.training.objectives import cross_entropy


def label_smoothing(logits, y, smoothing=0.1):
    """Compute cross-entropy with labels that are mixed with the uniform distribution (Szegedy et al. 2016).

    Args:
        logits: outputs `(n_classes, batch)`.
        y: labels `(batch,)`.
        smoothing: the share of the uniform distribution; it may be traced.

    Returns:
        The losses `(batch,)` in nats.

    >>> import jax.numpy as jnp
    >>> [round(float(loss), 3) for loss in label_smoothing(jnp.zeros((10, 2)), jnp.array([0, 3]))]
    [2.303, 2.303]
    """
    return (1 - smoothing) * cross_entropy(logits, y) - smoothing * jax.nn.log_softmax(logits, axis=0).mean(0)
