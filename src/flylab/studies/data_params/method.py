"""Networks trained at each value of one data parameter at a time, and tested at the others."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args

import jax
import numpy as np
import xarray as xr

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D
from flylab.data.generator import endless, repeating
from flylab.models import Model, get_model, outputs
from flylab.results.effects import final
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.protocol import NSeeds, Published
from flylab.training.step import Plan
from flylab.training.training import Training

NETWORKS = ("mlp", "cnn", "logistic", "gru")


class DataParam(NamedTuple):
    """A data parameter: the protocol's field with its values, its title on axes, and whether these are logarithmic."""

    values: str
    title: str
    logarithmic: bool = False


DataParamName = Literal["max_translation", "corr_noise_scale", "iid_noise_scale", "shear_scale", "scale_coeff",
                        "final_seq_length", "n_train"]  # fmt: skip
DATA_PARAMS = {
    "max_translation": DataParam("max_translations", "greatest translation (points)"),
    "corr_noise_scale": DataParam("corr_noise_scales", "smooth noise (amplitude)"),
    "iid_noise_scale": DataParam("iid_noise_scales", "white noise (amplitude)"),
    "shear_scale": DataParam("shear_scales", "shear"),
    "scale_coeff": DataParam("scale_coeffs", "variation of scale"),
    "final_seq_length": DataParam("final_seq_lengths", "resolution (points)", True),
    "n_train": DataParam("train_sizes", "training examples", True),
}
TRACED = tuple(name for name in DATA_PARAMS if name != "final_seq_length")
UNTESTED = ("final_seq_length", "n_train")  # the network's inputs have one length; n_train does not change test data


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The protocol of `architectures`, with new training data for each seed, from the generator in JAX.

    The test set of a setting is the same for all seeds, hence large. The values of a data parameter always include the
    usual one, which is that of `data`.
    """

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    data_params: tuple[DataParamName, ...] = get_args(DataParamName)
    """Data parameters to vary, one at a time."""
    models: tuple[Published, ...] = ("mlp", "cnn")
    """Networks to train."""
    max_translations: tuple[PositiveInt, ...] = (1, 12, 24, 36, 48, 60)
    """Values of max_translation; 1 is no translation."""
    corr_noise_scales: tuple[float, ...] = (0.0, 0.125, 0.25, 0.5, 1.0)
    """Values of corr_noise_scale."""
    iid_noise_scales: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2)
    """Values of iid_noise_scale."""
    shear_scales: tuple[float, ...] = (0.0, 0.75, 1.5, 3.0)
    """Values of shear_scale."""
    scale_coeffs: tuple[float, ...] = (0.0, 0.4, 0.8, 1.6)
    """Values of scale_coeff."""
    final_seq_lengths: tuple[PositiveInt, ...] = (10, 20, 40, 160)
    """Values of final_seq_length."""
    train_sizes: tuple[PositiveInt, ...] = (250, 1000, 4000, 16_000)
    """Values of n_train."""
    n_steps: PositiveInt = 6000
    """Optimiser steps."""
    batch_size: PositiveInt = 100
    """Examples per step, taken in fixed order."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_valid=0, n_test=10_000))
    """The data set; one of its parameters is varied at a time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for data_param in self.data_params:
            for value in self.settings(data_param):
                replace(self.data, **{data_param: value})  # raises ValueError where a value does not fit the others

    def settings(self, data_param: str) -> list:
        """Return the values of a data parameter in ascending order, including the usual one."""
        return sorted({*getattr(self, DATA_PARAMS[data_param].values), getattr(self.data, data_param)})


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return data parameters × networks."""
    return [{"data_param": name, "model": model} for name in protocol.data_params for model in protocol.models]


def training(protocol: Protocol, data_param: str, model: str) -> list[Training]:
    """Train one network per seed and value; each resolution is another shape, and another program."""
    values, trainings = protocol.settings(data_param), []
    for data in (
        [protocol.data] if data_param in TRACED
        else [replace(protocol.data, final_seq_length=length) for length in values]
    ):  # fmt: skip
        # all data parameters are traced, whichever varies, so that all share one program
        hparams = {name: values if name == data_param else getattr(data, name) for name in TRACED}
        network = get_model(model, data.final_seq_length, data.outputs)
        plan = Plan(protocol.n_steps, protocol.batch_size, protocol.n_steps)
        source = repeating(endless(data), data.n_train)
        trainings.append(Training(network, source, plan, {**hparams, "learning_rate": protocol.learning_rate}))
    return trainings


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train the networks, and test those of the usual value at all values."""
    data_param, n_seeds = condition["data_param"], len(context.seeds)
    values, usual = protocol.settings(data_param), getattr(protocol.data, data_param)
    accuracies, variables = [], {}
    for described in training(protocol, **condition):
        trained = context.train(described)
        accuracies.append(final(trained.results.test_accuracy).transpose("seed", ...).values.reshape(n_seeds, -1))
        if data_param not in UNTESTED:
            params = jax.tree.map(lambda leaf: leaf[values.index(usual)], trained.params)
            robust_accuracy = _robust_accuracy(described.model, protocol.data, data_param, values, params)
            variables["robust_accuracy"] = (("seed", "setting"), robust_accuracy)
    variables["test_accuracy"] = (("seed", "setting"), np.concatenate(accuracies, axis=1))
    variables["usual"] = ("seed", np.full(n_seeds, usual, float))
    return xr.Dataset(variables, {"seed": list(context.seeds), "setting": [float(value) for value in values]})


def _robust_accuracy(network: Model, data: MNIST1D, data_param: str, values: Sequence, params) -> np.ndarray:
    """Return the test accuracy in percent of each seed's network at each value: `(n_seeds, n_values)`."""
    usual = {name: np.float32(getattr(data, name)) for name in TRACED if name != "n_train"}
    test = functools.partial(_accuracies(network, data), params, usual)
    return np.stack([test(usual | {data_param: np.float32(value)}) for value in values], axis=1)


@functools.cache
def _accuracies(network: Model, data: MNIST1D) -> Callable:
    """Make (parameters of several networks, usual data parameters, test data parameters) → test accuracies.

    Signals are standardised by the constants of the usual data, on which the networks were trained.
    """
    source = endless(data)

    def accuracies(params, usual, data_params):
        _, test = source.evaluation(source.prepare(usual), data_params)

        def accuracy(network_params):
            return (outputs(network, network_params, test.x.T).argmax(0) == test.y).mean()

        return 100 * jax.lax.map(accuracy, params)

    return jax.jit(accuracies)
