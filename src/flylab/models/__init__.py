"""Networks as pure functions: a registry by name, families of networks, and layers for your own."""

from flylab.models.model import Model, Stateful, n_params, outputs
from flylab.models.registry import get_model, list_models, model_sizes, model_title, register_model

__all__ = [
    "Model", "Stateful", "get_model", "list_models", "model_sizes", "model_title", "n_params", "outputs",
    "register_model",
]  # fmt: skip
