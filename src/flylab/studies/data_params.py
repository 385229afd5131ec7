"""Data parameters: how does accuracy depend on translation, noise, shear, scale, resolution and number of examples?

The essay suggests to "smoothly vary parameters such as background noise, translation, and resolution" (Greydanus 2020).
Networks learn MNIST-1D at each value of one data parameter at a time; those trained at its usual value are also tested
at all others. The generator in JAX traces the data parameters, so that all values share one program.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
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
from flylab.models.flops import training_cost
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, plain_ticks, style
from flylab.results.statistics import plus_minus
from flylab.study.protocol import BaseProtocol, NSeeds, Published
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

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


def run(
    protocol: Protocol,
    condition: Condition,
    seeds: Sequence[int],
    *,
    key,
    artifacts=None,
    progress: Progress | None = None,
    resume=None,
) -> xr.Dataset:
    """Train one network per seed and value; then test the networks of the usual value at all values."""
    data_param, values = condition["data_param"], protocol.settings(condition["data_param"])
    usual = getattr(protocol.data, data_param)
    is_traced = data_param in TRACED  # otherwise each value is another shape, and another program
    populations = [(protocol.data, values)] if is_traced else [
        (replace(protocol.data, final_seq_length=value), [protocol.data.n_train]) for value in values
    ]  # fmt: skip
    accuracies, robust_accuracy = [], None
    for data, settings in populations:
        network = get_model(condition["model"], data.final_seq_length, data.outputs)
        # all data parameters are traced, whichever varies, so that all share one program
        grid = {name: [getattr(data, name)] for name in TRACED} | {data_param if is_traced else "n_train": settings}
        grid |= {"learning_rate": [protocol.learning_rate], "seed": seeds}
        plan = Plan(protocol.n_steps, protocol.batch_size, protocol.n_steps)
        source = repeating(endless(data), data.n_train)
        population = train_members(supervised(network), source, plan, grid, key=key, progress=progress)
        last = population.results.test_accuracy.isel(step=-1)
        accuracies.append(last.transpose("seed", ...).values.reshape(len(seeds), len(settings)))
        if data_param not in UNTESTED:
            params = _select_params(population.params, grid, values.index(usual))
            robust_accuracy = _robust_accuracy(network, data, data_param, values, params)
    variables = {"test_accuracy": (("seed", "setting"), np.concatenate(accuracies, axis=1))}
    variables |= {} if robust_accuracy is None else {"robust_accuracy": (("seed", "setting"), robust_accuracy)}
    variables |= {"usual": ("seed", np.full(len(seeds), usual, float))}
    return xr.Dataset(variables, {"seed": list(seeds), "setting": [float(value) for value in values]})


def _select_params(params, grid: Mapping, index: int):
    """Return the parameters of all seeds at one value of the only data parameter that has several values."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, len(grid["seed"]), *leaf.shape[len(grid) :])[index], params)


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


def slope(values: xr.DataArray, unit: float = 1.0, logarithmic: bool = False) -> xr.DataArray:
    """Return a curve's least-squares slope per `unit` of the setting, or per doubling, over `seed`."""
    if values.sizes["setting"] < 2:
        return xr.full_like(values.seed, np.nan, float)
    x = np.log2(values.setting.values) if logarithmic else values.setting.values / unit
    return values.seed.copy(data=np.polyfit(x, values.values.T, 1)[0])


def _noise_claim(kind: str, model: str) -> Claim:
    data_param = {"smooth": "corr_noise_scale", "white": "iid_noise_scale"}[kind]
    return Claim(
        f"noise-{kind}-{model}", f"{model_title(model)}: accuracy falls with {kind} noise", "here", "–",
        "points per 0.1", lambda r: slope(curve(r, data_param, model), 0.1), below=0,
        requires={"data_param": data_param, "model": model},
    )  # fmt: skip


def _resolution(results: xr.Dataset, model: str) -> xr.DataArray:
    return slope(curve(results, "final_seq_length", model).sel(setting=slice(0, 40)), logarithmic=True)


CLAIMS = (
    Claim("gap-grows", "the CNN − MLP gap grows with translation", "here", "–", "points per 10 positions",
          lambda r: slope(gap(r, "max_translation"), 10), above=0,
          requires={"data_param": "max_translation", "model": ("mlp", "cnn")}),
    Claim("gap-without", "without translation the CNN − MLP gap is < 5 points", "here", "–", "points",
          lambda r: gap(r, "max_translation").reindex(setting=[1.0]).squeeze("setting"), below=5,
          requires={"data_param": "max_translation", "model": ("mlp", "cnn")}),
    *(_noise_claim(kind, model) for kind in ("smooth", "white") for model in ("mlp", "cnn")),
    *(Claim(f"resolution-{model}", f"{model_title(model)}: accuracy rises with resolution up to 40 points", "here", "–",
            "points per doubling", lambda r, model=model: _resolution(r, model), above=0,
            requires={"data_param": "final_seq_length", "model": model}) for model in ("mlp", "cnn")),
)  # fmt: skip


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
    title = f"Test accuracy (%), mean over {results.sizes['seed']} seeds ± half of the 95 % interval"
    return Table(title, columns, rows)


def _has_gap(results: xr.Dataset) -> bool:
    return {"mlp", "cnn"} <= set(results.model.values)


def figure(results: xr.Dataset) -> Figure:
    """Plot accuracy and gap against each data parameter, of networks trained there and (dashed) only tested there."""
    data_params = results.data_param.values
    with style():
        picture = Figure(figsize=(3.1 * len(data_params) + 1, 6.4))
        rows = picture.subplots(2, len(data_params), squeeze=False, sharey="row")
        for i, data_param in enumerate(data_params):
            accuracy, difference = rows[:, i]
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
            accuracy.set_ylabel(axis(results.test_accuracy) if i == 0 else "")
            difference.set_ylabel("CNN − MLP (points)" if i == 0 else "")
            difference.axhline(0, color="0.6", linewidth=0.8)
        for axes in rows:
            ax = max(axes, key=lambda ax: len(ax.get_legend_handles_labels()[0]))  # the first that has all lines
            if ax.get_legend_handles_labels()[0]:
                ax.legend(fontsize=7)
    return picture


def _data_param_axis(ax: Axes, results: xr.Dataset, data_param: str) -> None:
    ax.axvline(float(results.usual.sel(data_param=data_param).max()), color="0.6", linestyle=":", linewidth=1)
    ax.set_xlabel(DATA_PARAMS[data_param].title)
    if DATA_PARAMS[data_param].logarithmic:
        settings = results.test_accuracy.sel(data_param=data_param).dropna("setting", how="all").setting.values
        ax.set_xscale("log")
        plain_ticks(ax, settings.tolist())
        ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")


def resources(protocol: Protocol, condition: Condition) -> tuple[int, int]:
    """Return the FLOPs of training one seed at all values, and the bytes of its largest data and network."""
    costs = []
    for value in protocol.settings(condition["data_param"]):
        data = replace(protocol.data, **{condition["data_param"]: value})
        network = get_model(condition["model"], data.final_seq_length, data.outputs)
        steps = protocol.n_steps, protocol.batch_size, 2
        costs.append(training_cost(network, (data.final_seq_length,), *steps, data.n_test))
    return sum(flops for flops, _ in costs), max(n_bytes for _, n_bytes in costs)


STUDY = Study(
    question="How does accuracy depend on the data's parameters: translation, noise, shear, resolution?",
    presets={
        "smoke": Protocol(n_seeds=2, n_steps=10, max_translations=(1, 60), corr_noise_scales=(0.0,),
                          iid_noise_scales=(0.0,), shear_scales=(0.0,), scale_coeffs=(0.0,), final_seq_lengths=(10, 40),
                          train_sizes=(100, 200), data=MNIST1D(n_train=200, n_valid=0, n_test=100)),
        "quick": Protocol(data_params=("max_translation", "corr_noise_scale", "iid_noise_scale"),
                          max_translations=(1, 16, 32, 48), corr_noise_scales=(0.0, 0.125, 0.25, 0.5),
                          iid_noise_scales=(0.0, 0.02, 0.05, 0.1)),
        "paper": Protocol(n_seeds=10, models=tuple(NETWORKS)),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    resources=resources,
    n_steps=lambda protocol, condition: len(protocol.settings(condition["data_param"])) * protocol.n_steps,
    minutes={"smoke": 0.5, "quick": 4, "paper": 60},
)  # fmt: skip
