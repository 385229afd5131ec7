"""What trained networks of the playground get wrong, and what their first layer is."""

import numpy as np
from sklearn.metrics import confusion_matrix

from flylab.training.networks import Population


def confusion(population: Population, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the confusion matrix in percent of each true class (rows), mean over seeds, `(n_classes, n_classes)`."""
    predictions = population.results.prediction.values.reshape(-1, len(labels))
    truth = np.tile(labels, len(predictions))
    return 100 * confusion_matrix(truth, predictions.ravel(), labels=range(n_classes), normalize="true")


def misread(population: Population, labels: np.ndarray, n: int = 12) -> list[tuple[int, int, float]]:
    """Return the n examples that most seeds misread: (example, most frequent wrong class, percent of seeds)."""
    predictions = population.results.prediction.values.reshape(-1, len(labels))
    wrong = predictions != labels
    worst = np.argsort(-wrong.mean(0), kind="stable")[:n]
    misreadings = []
    for i in worst:
        if wrong[:, i].any():
            instead = np.bincount(predictions[wrong[:, i], i]).argmax()
            misreadings.append((int(i), int(instead), float(100 * wrong[:, i].mean())))
    return misreadings


def first_layer(population: Population) -> np.ndarray | None:
    """Return seed 0's weights of the first layer, `(n_units, n_inputs)`, or None if they are not one array."""
    params = population.params
    layer = params if "w" in params else next(iter(params.values()))
    if not isinstance(layer, dict) or "w" not in layer:
        return None
    weights = np.asarray(layer["w"])[0, 0]
    return weights.reshape(len(weights), -1)
