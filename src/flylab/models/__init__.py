"""Networks as pure functions: the registry of models, networks by family, and the layers to build your own from."""

from flylab.models.model import Model, n_params, outputs
from flylab.models.registry import get_model, list_models, model_title, register_model

__all__ = ["Model", "get_model", "list_models", "model_title", "n_params", "outputs", "register_model"]
