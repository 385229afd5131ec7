"""The long name and unit of every dimension and variable of results."""

from typing import NamedTuple

import xarray as xr


class Label(NamedTuple):
    """The long name and unit that label the axis of a figure."""

    long_name: str
    units: str = ""


LABELS: dict[str, Label] = {
    "seed": Label("seed"),
    "dataset": Label("data set"),
    "model": Label("model"),
    "arrangement": Label("arrangement of positions"),
    "source": Label("source of the data"),
    "treatment": Label("treatment"),
    "step": Label("optimiser steps"),
    "example": Label("test example"),
    "learning_rate": Label("learning rate"),
    "width": Label("width (hidden units or channels)"),
    "n_outputs": Label("outputs"),
    "n_train": Label("training examples"),
    "pooling": Label("pooling"),
    "data_param": Label("data parameter"),
    "flops": Label("operations of a forward pass", "FLOP per example"),
    "setting": Label("value of the data parameter"),
    "usual": Label("default value of the data parameter"),
    "robust_accuracy": Label("test accuracy there of the network of the usual value", "%"),
    "objective": Label("objective"),
    "head": Label("head"),
    "on": Label("signals learned on"),
    "layer": Label("layer"),
    "contrastive_loss": Label("contrastive loss", "nats"),
    "linear_accuracy": Label("linear accuracy", "%"),
    "neighbour_accuracy": Label("accuracy of nearest neighbours", "%"),
    "map": Label("t-SNE"),
    "representation": Label("representation"),
    "round": Label("pruning round"),
    "sparsity": Label("pruned weights", "%"),
    "criterion": Label("pruning criterion"),
    "run_length": Label("adjacent survivors"),
    "search_loss": Label("test loss", "nats"),
    "search_accuracy": Label("test accuracy", "%"),
    "search_best_accuracy": Label("best test accuracy of a round", "%"),
    "search_train_accuracy": Label("training accuracy", "%"),
    "null": Label("what chance keeps"),
    "distance": Label("distance between two inputs"),
    "adjacency": Label("runs of adjacent survivors", "× chance"),
    "co_survival": Label("pairs of survivors", "× chance"),
    "share": Label("share of the training examples"),
    "rewind_to": Label("rewinding step"),
    "target": Label("data trained on"),
    "network": Label("network"),
    "neighbours": Label("pairs of neighbouring survivors", "× chance"),
    "association": Label("neighbours beyond chance, of the possible"),
    "transfer_accuracy": Label("test accuracy", "%"),
    "barrier": Label("error barrier between two children", "points"),
    "tuned_rate": Label("learning rate"),
    "tuned_valid_accuracy": Label("validation accuracy at each learning rate", "%"),
    "mask": Label("survivors, packed bits"),
    "train_accuracy": Label("training accuracy", "%"),
    "valid_accuracy": Label("validation accuracy", "%"),
    "test_accuracy": Label("test accuracy", "%"),
    "train_error": Label("training error", "%"),
    "test_error": Label("test error", "%"),
    "n_params": Label("parameters"),
    "train_loss": Label("training loss", "nats"),
    "valid_loss": Label("validation loss", "nats"),
    "test_loss": Label("test loss", "nats"),
    "loss": Label("loss of a step's batch", "nats"),
    "update": Label("optimiser step"),
    "activation": Label("activation function"),
    "repeat": Label("network"),
    "stage": Label("outer steps"),
    "epoch": Label("epochs"),
    "first_epoch_loss": Label("training loss, mean of the first epoch", "nats"),
    "x": Label("input"),
    "value": Label("activation"),
    "slope": Label("slope of the activation"),
    "loss_last": Label("training loss, mean of the last inner steps", "nats"),
    "loss_all": Label("training loss, mean of all inner steps", "nats"),
    "start": Label("start"),
    "rate": Label("learning rate"),
    "grid_loss": Label("mean inner loss", "nats"),
    "grid_last_loss": Label("loss of the last inner step", "nats"),
    "outer_step": Label("outer steps"),
    "outer_loss": Label("outer loss", "nats"),
    "last_loss": Label("loss of the last inner step", "nats"),
    "gradient_norm": Label("norm of the metagradient"),
    "prediction": Label("predicted class after the last step"),
    "label": Label("true class"),
    "architecture": Label("architecture"),
    "cost": Label("cost of judging an architecture", "dishes"),
    "score": Label("mean probability of the labels of a dish", "%"),
    "mismatch": Label("1 − correlation of scores and accuracies"),
    "synthetic": Label("example of a dish"),
    "position": Label("position"),
    "class": Label("class"),
    "predictor": Label("predictor"),
    "early": Label("validation loss with a minus sign"),
    "dish_x": Label("value"),
    "dish_y": Label("logit in a dish's labels"),
}


def attach_units(results: xr.Dataset) -> xr.Dataset:
    """Return the results with the long names and units of `LABELS` as attributes of their variables and coordinates."""
    results = results.copy()
    for name in results.variables:
        if label := LABELS.get(str(name)):
            results[name].attrs |= {"long_name": label.long_name} | ({"units": label.units} if label.units else {})
    return results


def axis(array: xr.DataArray | xr.Variable) -> str:
    """Return an axis label made from an array's attributes.

    >>> axis(xr.DataArray(0, attrs={"long_name": "test accuracy", "units": "%"}))
    'test accuracy (%)'
    """
    name = array.attrs.get("long_name", getattr(array, "name", "") or "")
    return f"{name} ({array.attrs['units']})" if array.attrs.get("units") else str(name)
