"""Networks as pure functions, and the layers to build your own from."""

from flylab.models.model import Model, n_params, outputs

__all__ = ["Model", "n_params", "outputs"]
