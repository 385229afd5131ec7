"""Learn the activation functions that the study `transfer` takes to images: `python docs/make_activations.py`.

Each is learned by the published protocol, the preset `paper` of the study `activation`, for a held-out seed. It takes
about two minutes on one core for each function. The file is part of flylab: `flylab/artifacts/activations.safetensors`.
"""

import jax
import numpy as np

import flylab
from flylab.models import activations
from flylab.runs.provenance import origin
from flylab.studies import activation, transfer
from flylab.study import Context

SEEDS = range(1000, 1000 + transfer.N_FUNCTIONS)  # of `paper` runs, on which no protocol was chosen


def save(weights: dict[str, np.ndarray]) -> None:
    """Save the learned functions with their origin."""
    described = {"study": "activation", "preset": "paper", "seeds": list(SEEDS), "command": "docs/make_activations.py"}
    activations.save_weights(activations.FUNCTIONS, weights, origin() | described)


if __name__ == "__main__":
    flylab.initialise()  # all cores
    save(activation.metalearned(activation.PRESETS["paper"], Context(SEEDS, jax.random.key(0)))[0])
