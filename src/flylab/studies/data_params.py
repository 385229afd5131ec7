"""How does accuracy depend on the data's parameters: translation, noise, shear, resolution?

The essay suggests to "smoothly vary parameters such as background noise, translation, and resolution" (Greydanus 2020).
Networks learn MNIST-1D at each value of one data parameter at a time; those trained at its usual value are also tested
at all others. The generator in JAX traces the data parameters, so that all values share one program.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args

import jax
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.base.units import axis
from flylab.data import MNIST1D
from flylab.data.generator import endless, repeating
from flylab.models import Model, get_model, model_title, outputs
from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect, final, slope
from flylab.results.plots import COLOURS, band, panels, plain_ticks, style
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table, over_seeds
from flylab.study import BaseProtocol, Condition, Context, Study
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
    shear_scales: tuple[float, ...] = (0.0, 0.375, 0.75, 1.5, 3.0)
    """Values of shear_scale."""
    scale_coeffs: tuple[float, ...] = (0.0, 0.2, 0.4, 0.8, 1.6)
    """Values of scale_coeff."""
    final_seq_lengths: tuple[PositiveInt, ...] = (10, 20, 40, 80, 160)
    """Values of final_seq_length."""
    train_sizes: tuple[PositiveInt, ...] = (250, 500, 1000, 2000, 4000, 8000, 16_000)
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


def curve(results: xr.Dataset, data_param: str, model: str, variable: str = "test_accuracy") -> xr.DataArray:
    """Return test accuracy over `seed` and `setting`; `robust_accuracy` is that of networks of the usual setting."""
    accuracy = results[variable].reindex(model=[model]).sel(data_param=data_param).squeeze("model", drop=True)
    return accuracy.dropna("setting", how="all").sortby("setting").transpose("seed", "setting")


def gap(results: xr.Dataset, data_param: str, variable: str = "test_accuracy") -> xr.DataArray:
    """Return CNN − MLP in points over `seed` and `setting`, paired by seed."""
    return curve(results, data_param, "cnn", variable) - curve(results, data_param, "mlp", variable)


def _curve(data_param: str, model: str) -> Effect:
    return Effect(lambda results: curve(results, data_param, model), {"data_param": data_param, "model": model})


def _but(data_param: str) -> tuple[str, ...]:
    """Return the fields with the values of all other data parameters."""
    return tuple(other.values for name, other in DATA_PARAMS.items() if name != data_param)


def _noise_claim(kind: str, model: str) -> Claim:
    data_param = {"smooth": "corr_noise_scale", "white": "iid_noise_scale"}[kind]
    effect = _curve(data_param, model).then(slope, "setting", per=0.1)
    statement = f"{model_title(model)}: accuracy falls with {kind} noise"
    return Claim(
        f"noise-{kind}-{model}",
        statement,
        "here",
        "–",
        "points per 0.1",
        effect,
        below=0,
        independent_of=_but(data_param),
        is_sanity_check=True,
    )


def resolution(model: str) -> Effect:
    """Return the points of accuracy gained per doubling of the resolution, up to 40 points."""
    low = _curve("final_seq_length", model).then(lambda accuracy: accuracy.sel(setting=slice(0, 40)))
    return low.then(slope, "setting", base=2)


def _resolution_claim(model: str) -> Claim:
    statement = f"{model_title(model)}: accuracy rises with resolution up to 40 points"
    return Claim(
        f"resolution-{model}",
        statement,
        "here",
        "–",
        "points per doubling",
        resolution(model),
        above=0,
        independent_of=_but("final_seq_length"),
    )


def _translated() -> Effect:
    return _curve("max_translation", "cnn") - _curve("max_translation", "mlp")


_CLAIMS = (
    Claim("gap-grows", "the CNN − MLP gap grows with translation", "here", "–", "points per 10 positions",
          _translated().then(slope, "setting", per=10), above=0, independent_of=_but("max_translation")),
    Claim("gap-without", "without translation the CNN − MLP gap is < 5 points", "here", "–", "points",
          _translated().then(lambda gaps: gaps.reindex(setting=[1.0]).squeeze("setting")), below=5,
          independent_of=_but("max_translation")),
    *(_noise_claim(kind, model) for kind in ("smooth", "white") for model in ("mlp", "cnn")),
    *map(_resolution_claim, ("mlp", "cnn")),
)  # fmt: skip
CLAIMS = independent(["data_params", "models"], _CLAIMS)


def table(results: xr.Dataset) -> Table:
    """Tabulate accuracy and gap at the lowest, the usual and the highest setting of each data parameter."""
    rows = []
    for data_param in results.data_param.values:
        usual = float(results.usual.sel(data_param=data_param).max())
        curves = [curve(results, data_param, model) for model in results.model.values]
        settings = curves[0].setting.values.tolist()
        for setting in dict.fromkeys((settings[0], usual, settings[-1])):
            accuracies = [plus_minus(accuracy.sel(setting=setting)) for accuracy in curves]
            difference = plus_minus(gap(results, data_param).sel(setting=setting)) if _has_gap(results) else "–"
            rows.append((data_param, f"{setting:g}", *accuracies, difference))
    columns = ("data parameter", "setting", *map(model_title, results.model.values), "CNN − MLP")
    return Table(over_seeds(results, "Test accuracy (%)"), columns, rows)


def _has_gap(results: xr.Dataset) -> bool:
    return {"mlp", "cnn"} <= set(results.model.values)


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot accuracy and gap against each data parameter, of networks trained there and (dashed) only tested there."""
    data_params = results.data_param.values.tolist()
    n = len(data_params)
    drawn, axes = panels(*[""] * 2 * n, size=(3.1 * n + 1, 6.4), n_rows=2, sharey="row")
    for data_param, accuracy, difference in zip(data_params, axes[:n], axes[n:], strict=True):
        for variable, line in (("test_accuracy", "-"), ("robust_accuracy", "--")):
            if variable not in results or results[variable].sel(data_param=data_param).isnull().all():
                continue
            for model, colour in zip(NETWORKS, COLOURS, strict=False):
                if model in results.model:
                    label = model_title(model) + (", trained at the usual value" if line == "--" else "")
                    values = curve(results, data_param, model, variable)
                    band(accuracy, values, label=label, color=colour, linestyle=line)
            if _has_gap(results):
                label = "tested there" if line == "--" else "trained there"
                band(difference, gap(results, data_param, variable), label=label, color="0.25", linestyle=line)
        for ax in (accuracy, difference):
            _data_param_axis(ax, results, data_param)
            ax.set_ylabel("")
        difference.axhline(0, color="0.6", linewidth=0.8)
    axes[0].set_ylabel(axis(results.test_accuracy))
    axes[n].set_ylabel("CNN − MLP (points)")
    for row in (axes[:n], axes[n:]):
        ax = max(row, key=lambda ax: len(ax.get_legend_handles_labels()[0]))  # the first that has all lines
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=7)
    return drawn


def _data_param_axis(ax: Axes, results: xr.Dataset, data_param: str) -> None:
    ax.axvline(float(results.usual.sel(data_param=data_param).max()), color="0.6", linestyle=":", linewidth=1)
    ax.set_xlabel(DATA_PARAMS[data_param].title)
    if DATA_PARAMS[data_param].logarithmic:
        settings = results.test_accuracy.sel(data_param=data_param).dropna("setting", how="all").setting.values
        ax.set_xscale("log")
        plain_ticks(ax, settings.tolist())
        ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=10, max_translations=(1, 60), corr_noise_scales=(0.0,),
                      iid_noise_scales=(0.0,), shear_scales=(0.0,), scale_coeffs=(0.0,), final_seq_lengths=(10, 40),
                      train_sizes=(100, 200), data=MNIST1D(n_train=200, n_valid=0, n_test=100)),
    "quick": Protocol(n_seeds=4, n_steps=3000, data_params=("max_translation", "corr_noise_scale", "iid_noise_scale"),
                      max_translations=(1, 16, 48), corr_noise_scales=(0.0, 0.25, 0.5),
                      iid_noise_scales=(0.0, 0.02, 0.1)),
    "paper": Protocol(n_seeds=10, models=tuple(NETWORKS)),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 0.9, "paper": 60}
STUDY = Study.of_module(__name__)
