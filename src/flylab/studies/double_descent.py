"""Deep double descent: does test error fall, rise, and fall again as a network grows, and where is the threshold?

MLPs and CNNs of growing width learn MNIST-1D with and without noise on the training labels (Greydanus & Kobak 2024;
the authors' notebook `deep-double-descent`). A second design measures the interpolation threshold itself: whether it
lies at as many parameters as there are examples (cross-entropy), or as examples times outputs (squared error).
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import jax
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.base.rng import stream
from flylab.data import MNIST1D, Splits, published
from flylab.models import Model, convolutional, dense, n_params
from flylab.models.flops import training_cost
from flylab.models.padding import padded
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, bar_lengths, plain_ticks, style
from flylab.results.statistics import (
    Interval,
    cross_fitted_rise,
    crossing,
    exponents,
    greatest_rise,
    interval,
    peak_place,
    plus_minus,
)
from flylab.study.protocol import BaseProtocol, NSeeds
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import squared_error, supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

WIDTHS = tuple(np.unique(np.geomspace(2, 300, 20, dtype=int)).tolist())
CHANNELS = (*range(2, 30, 2), *range(30, 101, 5))
_published = functools.lru_cache(maxsize=16)(published)


def _mlp(width: int, n_outputs: int, length: int) -> Model:
    return dense.mlp(length, n_outputs, width, residual=False)


def _cnn(width: int, n_outputs: int, length: int) -> Model:
    return convolutional.cnn(length, n_outputs, width)


class Network(NamedTuple):
    """A network by width, outputs and length; each width up to the last bucket shares the next bucket's program."""

    build: Callable[[int, int, int], Model]
    buckets: tuple[int, ...]


MLP = Network(_mlp, (8, 16, 32, 64, 112))
CNN = Network(_cnn, (8, 12, 16, 20, 24, 28, 32))


class Treatment(NamedTuple):
    """Networks of growing width on one kind of labels, see `with_labels`."""

    title: str
    network: Network
    labels: Literal["noisy", "clean", "strict", "random", "two-class"]
    per_example_loss: Callable | None = None


TreatmentName = Literal["mlp-noise", "mlp-clean", "mlp-strict", "cnn-noise", "random-nll", "two-class-nll",
                        "random-mse", "two-class-mse"]  # fmt: skip
TREATMENTS = {
    "mlp-noise": Treatment("MLP, label noise", MLP, "noisy"),
    "mlp-clean": Treatment("MLP, no label noise", MLP, "clean"),
    "mlp-strict": Treatment("MLP, label noise without repeats", MLP, "strict"),
    "cnn-noise": Treatment("CNN, label noise", CNN, "noisy"),
    "random-nll": Treatment("cross-entropy, random labels", MLP, "random"),
    "two-class-nll": Treatment("cross-entropy, two classes", MLP, "two-class"),
    "random-mse": Treatment("squared error, random labels", MLP, "random", squared_error),
    "two-class-mse": Treatment("squared error, two classes", MLP, "two-class", squared_error),
}
CURVES, THRESHOLDS = get_args(TreatmentName)[:4], get_args(TreatmentName)[4:]


def with_labels(data: MNIST1D, labels: str, n_outputs: int) -> MNIST1D:
    """Return the data's config with labels of one kind."""
    changes = {
        "noisy": {}, "clean": {"label_noise": 0.0}, "strict": {"label_noise_repeats": False},
        "random": {"label_noise": 0.0, "random_labels": n_outputs},
        # redrawing with repeats would halve the noise on two labels
        "two-class": {"classes": (0, 1), "n_outputs": n_outputs, "label_noise_repeats": False},
    }  # fmt: skip
    return replace(data, **changes[labels])


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The notebook's protocol, on fresh data per seed: SGD with momentum, batches reshuffled in each epoch."""

    n_seeds: NSeeds = 6
    """Seeds: independent repetitions."""
    treatments: tuple[TreatmentName, ...] = CURVES
    """Networks, labels and losses to compare."""
    widths: tuple[PositiveInt, ...] = WIDTHS
    """Hidden units of the MLPs."""
    channels: tuple[PositiveInt, ...] = CHANNELS
    """Channels of the CNNs."""
    sample_sizes: tuple[PositiveInt, ...] = ()
    """Further training-set sizes for mlp-noise."""
    sample_widths: tuple[PositiveInt, ...] = (21, 27, 36, 47, 61, 80)
    """Hidden units of the MLPs at those sizes."""
    threshold_sizes: tuple[PositiveInt, ...] = (500, 1000, 2000, 4000)
    """Training-set sizes for random-* and two-class-*."""
    threshold_outputs: tuple[PositiveInt, ...] = (2, 5, 10)
    """Numbers of outputs for random-* and two-class-*."""
    n_epochs: PositiveInt = 500
    """Epochs of `n_train` examples; networks on other training-set sizes train for as many steps."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-2
    """SGD's learning rate."""
    momentum: float = 0.9
    """SGD's momentum."""
    n_evaluations: PositiveInt = 24
    """Evaluations, at steps in a geometric series from the end of the first epoch."""
    fresh_data: bool = True
    """Use a new data set per seed (generator seed 1000 + 2·seed); else all seeds share one data set and label noise."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_valid=0, n_test=12000, label_noise=0.15))
    """The data set."""

    @property
    def n_steps(self) -> int:
        """Optimiser steps of each network."""
        return self.n_epochs * self.epoch

    @property
    def epoch(self) -> int:
        """Optimiser steps of an epoch of `n_train` examples."""
        return max(self.data.n_train // self.batch_size, 1)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return treatments × training-set sizes × outputs × widths."""
    n_train, n_outputs = protocol.data.n_train, protocol.data.outputs
    designs = []
    for treatment in protocol.treatments:
        is_threshold, is_cnn = treatment in THRESHOLDS, TREATMENTS[treatment].network is CNN
        sizes = (protocol.threshold_sizes, protocol.threshold_outputs) if is_threshold else ([n_train], [n_outputs])
        designs += itertools.product([treatment], *sizes, protocol.channels if is_cnn else protocol.widths)
        if treatment == "mlp-noise":
            other_sizes = [n for n in protocol.sample_sizes if n != n_train]
            designs += itertools.product([treatment], other_sizes, [n_outputs], protocol.sample_widths)
    return [dict(zip(("treatment", "n_train", "n_outputs", "width"), design, strict=True)) for design in designs]


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
    """Train one network for all seeds by its bucket's program; return errors and losses along the way."""
    treatment = TREATMENTS[condition["treatment"]]
    config = with_labels(protocol.data, treatment.labels, condition["n_outputs"])
    config = replace(config, n_train=condition["n_train"])
    width = condition["width"]
    bucket = next((bucket for bucket in treatment.network.buckets if width <= bucket), width)
    network, wide = (
        treatment.network.build(n, condition["n_outputs"], config.final_seq_length) for n in (width, bucket)
    )

    def data(seed: int) -> Splits:
        return _published(replace(config, seed=1000 + 2 * seed) if protocol.fresh_data else config)

    def params(seed: int):
        return jax.device_get(padded(network, wide).init(stream(jax.random.fold_in(key, seed), "init")))

    steps = np.geomspace(protocol.epoch, protocol.n_steps, protocol.n_evaluations).round().astype(int)
    plan = Plan(protocol.n_steps, protocol.batch_size, tuple(steps.tolist()), shuffle=True, optimizer="sgd")
    grid = {"learning_rate": [protocol.learning_rate], "momentum": [protocol.momentum], "seed": seeds}
    objective = supervised(wide, treatment.per_example_loss)
    history = train_members(objective, data, plan, grid, key=key, params=params, progress=progress).results
    history = history.squeeze(("learning_rate", "momentum"), drop=True)
    results = {f"{name}_error": 100 - history[f"{name}_accuracy"] for name in ("train", "test")}
    results |= {name: history[name] for name in ("train_loss", "test_loss")}
    return xr.Dataset(results).assign(n_params=("seed", np.full(len(seeds), n_params(network), np.float32)))


def networks(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.Dataset:
    """Return a treatment's results over `seed, width, step`; by default at the training-set size with most widths."""
    results = results.sel(treatment=treatment)
    most = results.n_params.notnull().all("seed").sum("width").argmax(("n_train", "n_outputs"))
    results = results.isel(n_outputs=most["n_outputs"])  # pyright: ignore[reportCallIssue, reportArgumentType]
    results = results.isel(n_train=most["n_train"]) if n_train is None else results.sel(n_train=n_train)
    return results.dropna("width", subset=["n_params"]).sortby("width")


def curve(
    results: xr.Dataset, treatment: str, variable: str = "test_error", n_train: int | None = None
) -> xr.DataArray:
    """Return a variable after the last step, over `seed` and `width`."""
    return networks(results, treatment, n_train)[variable].isel(step=-1).transpose("seed", "width")


def rise(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.Dataset:
    """Return the test error at dip, peak and greatest width over `seed`, cross-fitted; NaN with one seed."""
    errors = curve(results, treatment, n_train=n_train)
    if errors.sizes["seed"] < 2 or errors.sizes["width"] < 2:
        return xr.Dataset(dict.fromkeys(("dip", "peak", "end"), xr.full_like(errors.seed, np.nan, float)))
    return cross_fitted_rise(errors, "width")


def peak_width(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.DataArray:
    """Return the width at which each seed's test error peaks; unlike a height, a place needs no cross-fitting."""
    errors = curve(results, treatment, n_train=n_train)
    if errors.sizes["width"] < 2:
        return xr.full_like(errors.seed, np.nan, float)
    return errors.seed.copy(data=[float(errors.width[greatest_rise(by_width).peak]) for by_width in errors.values])


def zero_width(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.DataArray:
    """Return the first width with a training error below 1 % over `seed`; NaN if there is none.

    The authors' notebook truncates errors to whole percents, so that its 0 % is the same.
    """
    is_zero = curve(results, treatment, "train_error", n_train) < 1
    return is_zero.width.where(is_zero).min("width")


MEASURES = {
    "peak": "peak of the test error",
    "error": "training error < 1 %",
    "loss": "training loss < 1 % of its start",
}


def threshold(results: xr.Dataset, treatment: str, measure: str) -> xr.DataArray:
    """Return the interpolation threshold in parameters over `seed, n_train, n_outputs`; NaN outside the widths.

    `measure` is one of `MEASURES`. A peak is that of the test error, or of the test loss with random labels, where the
    error is at chance; it must rise above the dip and fall again by at least a twentieth of the dip's value.
    """
    results = results.sel(treatment=treatment).sortby("width")
    if measure == "peak":
        values = results.test_loss if treatment.startswith("random") else results.test_error
    else:
        relative_loss = 100 * results.train_loss / results.train_loss.isel(step=0)
        values = results.train_error if measure == "error" else relative_loss

    def place(sizes, values):
        is_designed = ~np.isnan(sizes)
        sizes, values = sizes[is_designed], values[is_designed]
        return peak_place(sizes, values, 0.05) if measure == "peak" else crossing(sizes, values, 1.0)

    widths = (("width",), ("width",))
    places = xr.apply_ufunc(place, results.n_params, values.isel(step=-1), input_core_dims=widths, vectorize=True)
    designed = results.n_params.notnull().any(("seed", "width"))
    return places.isel(n_train=designed.any("n_outputs").values, n_outputs=designed.any("n_train").values)


def power(results: xr.Dataset, treatment: str, measure: str, of: str) -> xr.DataArray:
    """Return the power of `of` (n_train or n_outputs) by which the threshold grows, over `seed`.

    Returns NaN for a seed without all thresholds.
    """
    places = threshold(results, treatment, measure).stack(setting=("n_train", "n_outputs"))
    factors = {name: places[name].values for name in ("n_train", "n_outputs") if len(set(places[name].values)) > 1}
    return places.seed.copy(data=[exponents(row, **factors).get(of, np.nan) for row in places.values])


def level(results: xr.Dataset, treatment: str, measure: str, outputs_count: bool) -> xr.DataArray:
    """Return the mean over the design of log₂ of the threshold over n (or n·K), over `seed`; NaN as in `power`."""
    places = threshold(results, treatment, measure)
    expected = places.n_train * (places.n_outputs if outputs_count else 1)
    return np.log2(places / expected).mean(("n_train", "n_outputs"), skipna=False)


def _claim(id_: str, statement: str, published_value: str, treatment: str, effect: Callable, unit: str = "points",
           source: str = "nb", **region: Any) -> Claim:  # fmt: skip
    return Claim(id_, statement, source, published_value, unit, lambda r: effect(r, treatment),
                 requires={"treatment": treatment}, **region)  # fmt: skip


def _peak(results: xr.Dataset, treatment: str) -> xr.DataArray:
    heights = rise(results, treatment)
    return heights.peak - heights.dip


def _descent(results: xr.Dataset, treatment: str) -> xr.DataArray:
    heights = rise(results, treatment)
    return heights.peak - heights.end


def _zero_after_peak(results: xr.Dataset, treatment: str) -> xr.DataArray:
    return zero_width(results, treatment) / peak_width(results, treatment)


def _threshold_claims(loss: str) -> list[Claim]:
    """Return the claims on the peak, the primary measure, for both ways of varying the number of outputs K."""
    outputs_count = loss == "mse"
    law, k_power, k_text = ("n·K", (0.75, 1.25), "0.75–1.25") if outputs_count else ("n", (-0.25, 0.25), "0 ± 0.25")
    claims = []
    for way, measure in (("random", "loss"), ("two-class", "error")):
        treatment, id_ = f"{way}-{loss}", f"{loss}-threshold.{way}"
        subject = f"{TREATMENTS[treatment].title}: the threshold (by the peak of the test {measure})"
        claims += [
            _claim(f"{id_}.n", f"{subject} grows with the number of examples n to the power of 0.75–1.25", law,
                   treatment, lambda r, t: power(r, t, "peak", "n_train"), "", "blog", within=(0.75, 1.25)),
            _claim(f"{id_}.k", f"{subject} grows with the number of outputs K to the power of {k_text}", law,
                   treatment, lambda r, t: power(r, t, "peak", "n_outputs"), "", "blog", within=k_power),
            _claim(f"{id_}.level", f"{subject} lies within a factor of 2 of {law} parameters", law,
                   treatment, lambda r, t: level(r, t, "peak", outputs_count), "log₂", "blog", within=(-1, 1)),
        ]  # fmt: skip
    return claims


CLAIMS = (
    _claim("mlp-peak", "with label noise the MLP's test error rises by at least 3 points from its dip to a peak",
           "47 → 54", "mlp-noise", _peak, above=3),
    _claim("mlp-descent", "with label noise the MLP's test error falls by ≥ 5 points from its peak to the widest",
           "54 → 45", "mlp-noise", _descent, above=5),
    _claim("mlp-peak-place", "the MLP's peak lies at 35 to 70 hidden units", "~50", "mlp-noise", peak_width,
           "hidden units", "paper", within=(35, 70)),
    _claim("no-noise", "without label noise the MLP's test error rises by less than 3 points", "~0", "mlp-clean", _peak,
           below=3),
    _claim("cnn-peak", "with label noise the CNN's test error rises by at least 5 points from its dip to a peak",
           "19 → 33", "cnn-noise", _peak, above=5),
    _claim("cnn-descent", "with label noise the CNN's test error falls by ≥ 3 points from its peak to the widest",
           "33 → 27", "cnn-noise", _descent, above=3),
    _claim("zero-after-peak-mlp", "the MLP's training error vanishes (< 1 %) at 1 to 1.5 times the peak's width",
           "61/47", "mlp-noise", _zero_after_peak, "×", within=(1, 1.5)),
    _claim("zero-after-peak-cnn", "the CNN's training error vanishes (< 1 %) at 1 to 1.5 times the peak's width",
           "24/18", "cnn-noise", _zero_after_peak, "×", within=(1, 1.5)),
    *_threshold_claims("nll"),
    *_threshold_claims("mse"),
)  # fmt: skip


def _present(results: xr.Dataset, treatments: Sequence[str]) -> list[str]:
    return [treatment for treatment in treatments if treatment in results.treatment]


def _sizes(results: xr.Dataset, treatment: str) -> list[int]:
    """Return the training-set sizes at which a treatment has more than one width."""
    n_widths = results.n_params.sel(treatment=treatment).notnull().any(("seed", "n_outputs")).sum("width")
    return sorted(results.n_train.values[n_widths > 1].tolist())


_text = functools.partial(plus_minus, skipna=False)


def table(results: xr.Dataset) -> Table:
    """Tabulate dips, peaks and ends of the curves or, if there are none, the thresholds' powers and levels."""
    title = f"Mean over {results.sizes['seed']} seeds ± half of the 95 % interval"
    rows = []
    if treatments := _present(results, CURVES):
        for treatment in treatments:
            for n_train in _sizes(results, treatment):
                place = results, treatment, n_train
                heights = rise(*place)
                values = (heights.dip, heights.peak, heights.end, peak_width(*place), zero_width(*place))
                rows.append((f"{TREATMENTS[treatment].title}, {n_train} examples", *map(_text, values)))
        columns = ("test error (%)", "dip", "peak", "widest", "peak's width", "training error < 1 % from width")
        return Table(f"{title}; heights cross-fitted", columns, rows)
    for treatment, measure in itertools.product(_present(results, THRESHOLDS), MEASURES):
        place = results, treatment, measure
        powers = [_text(power(*place, of), 2) for of in ("n_train", "n_outputs")]
        levels = [_text(level(*place, outputs_count), 2) for outputs_count in (False, True)]
        is_reached = threshold(*place).notnull()
        reached = f"{int(is_reached.sum())}/{is_reached.size}"
        rows.append((f"{TREATMENTS[treatment].title}: {MEASURES[measure]}", *powers, *levels, reached))
    columns = ("threshold p*", "power of n", "power of K", "log₂ p*/n", "log₂ p*/(n·K)", "reached")
    return Table(title, columns, rows)


def figure(results: xr.Dataset) -> Figure:
    """Plot error against width, steps and examples, and the thresholds, as far as the results have them."""
    mlps, cnns = (_present(results, CURVES[:3]), _present(results, CURVES[3:]))
    panels = [functools.partial(_against_width, treatments=treatments) for treatments in (mlps, cnns) if treatments]
    if "mlp-noise" in mlps:
        panels.append(functools.partial(_against_steps, treatments=_present(results, CURVES[:2])))
        panels += [_against_examples] if len(_sizes(results, "mlp-noise")) > 1 else []
    panels += [functools.partial(_thresholds, treatment=treatment) for treatment in _present(results, THRESHOLDS)]
    n_columns = 2 if len(panels) <= 4 else 3
    n_rows = -(-len(panels) // n_columns)
    with style():
        picture = Figure(figsize=(5.2 * n_columns, 4.1 * n_rows))
        axes = picture.subplots(n_rows, n_columns, squeeze=False).ravel()
        for panel, ax in itertools.zip_longest(panels, axes):
            ax.axis("off") if panel is None else panel(ax, results)
    return picture


def _against_width(ax: Axes, results: xr.Dataset, treatments: Sequence[str]) -> None:
    for treatment, colour in zip(treatments, COLOURS, strict=False):
        band(ax, curve(results, treatment), label=TREATMENTS[treatment].title, color=colour, linewidth=1.6)
        band(ax, curve(results, treatment, "train_error"), color=colour, linestyle="--", linewidth=1.1)
        zero = zero_width(results, treatment)
        if zero.notnull().all():
            ax.axvline(float(np.exp(np.log(zero).mean())), color=colour, linestyle=":", linewidth=1.2)
    ax.plot([], [], color="0.4", linestyle="--", linewidth=1.1, label="training error")
    ax.axvline(np.nan, color="0.4", linestyle=":", label="training error < 1 %")
    unit = "channels" if TREATMENTS[treatments[0]].network is CNN else "hidden units"
    name = TREATMENTS[treatments[0]].title.partition(",")[0]
    ax.set(xscale="log", ylim=(0, None), xlabel=f"width ({unit})", ylabel="error (%)")
    ax.set_title(f"{name}: error against width")
    plain_ticks(ax)
    ax.legend(fontsize=8)


def _against_steps(ax: Axes, results: xr.Dataset, treatments: Sequence[str]) -> None:
    """Plot errors at the least width whose mean training error with label noise is below 1 %, or else the greatest."""
    errors = curve(results, treatments[0], "train_error").mean("seed")
    fits = errors.width.values[errors.values < 1]
    width = fits[0] if fits.size else errors.width.values[-1]
    for treatment, colour in zip(treatments, COLOURS, strict=False):
        history = networks(results, treatment).isel(step=slice(1, None))
        if width in history.width:
            history = history.sel(width=width)
            band(ax, history.test_error, label=TREATMENTS[treatment].title, color=colour, linewidth=1.6)
            band(ax, history.train_error, color=colour, linestyle="--", linewidth=1.1)
    ax.plot([], [], color="0.4", linestyle="--", linewidth=1.1, label="training error")
    ax.set(xscale="log", ylim=(0, None), ylabel="error (%)", title=f"MLP of {width} hidden units: error against steps")
    ax.legend(fontsize=8)


def _against_examples(ax: Axes, results: xr.Dataset) -> None:
    sizes = _sizes(results, "mlp-noise")
    curves = xr.concat([curve(results, "mlp-noise", n_train=n) for n in sizes], "n_train", join="inner")
    curves = curves.assign_coords(n_train=("n_train", sizes, results.n_train.attrs))
    for width, colour in zip(curves.width.values, itertools.cycle(COLOURS)):
        band(ax, curves.sel(width=width), label=str(width), color=colour, linewidth=1.6)
    ax.set(xscale="log", title="MLP, label noise: error against examples")
    plain_ticks(ax, sizes)
    ax.legend(fontsize=8, title="hidden units", title_fontsize=8, ncols=2)


def _thresholds(ax: Axes, results: xr.Dataset, treatment: str) -> None:
    """Plot geometric means of the thresholds by the peak, where each seed has one, and the essay's law (dashed)."""
    places, law = threshold(results, treatment, "peak"), "n·K" if treatment.endswith("mse") else "n"
    for n_outputs, colour in zip(places.n_outputs.values, COLOURS, strict=False):
        reached = places.sel(n_outputs=n_outputs).transpose("n_train", "seed").dropna("n_train")
        logs = [interval(np.log(row)) for row in reached.values]
        means = [Interval(np.exp(log.mean), np.exp(log.low), np.exp(log.high), log.n) for log in logs]
        ax.errorbar(reached.n_train, [value.mean for value in means], bar_lengths(means), fmt="o-", color=colour,
                    capsize=3, label=f"{n_outputs} outputs")  # fmt: skip
        expected = places.n_train * (n_outputs if law == "n·K" else 1)
        ax.plot(places.n_train, expected, color=colour if law == "n·K" else "0.4", linestyle="--", linewidth=1)
    ax.plot([], [], color="0.4", linestyle="--", linewidth=1, label=f"{law} parameters")
    powers = [_text(power(results, treatment, "peak", of), 2) for of in ("n_train", "n_outputs")]
    title = TREATMENTS[treatment].title[0].upper() + TREATMENTS[treatment].title[1:]
    ax.set(xscale="log", yscale="log", title=f"{title}\npower of n {powers[0]}, of K {powers[1]}")
    ax.set(xlabel="training examples n", ylabel="threshold (parameters)")
    plain_ticks(ax, places.n_train.values.tolist())
    ax.legend(fontsize=8)


def resources(protocol: Protocol, condition: Condition) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network."""
    data, n_examples = protocol.data, condition["n_train"] + protocol.data.n_valid + protocol.data.n_test
    size = condition["width"], condition["n_outputs"], data.final_seq_length
    network = TREATMENTS[condition["treatment"]].network.build(*size)
    steps = protocol.n_steps, protocol.batch_size, protocol.n_evaluations
    return training_cost(network, (data.final_seq_length,), *steps, n_examples)


STUDY = Study(
    question="Does test error fall, rise and fall again as a network grows, and where is the threshold?",
    presets={
        "smoke": Protocol(
            n_seeds=2, treatments=("mlp-noise", "mlp-clean", "cnn-noise", *THRESHOLDS), widths=(2, 4, 8),
            channels=(2, 4, 8), sample_sizes=(100,), sample_widths=(2, 8), threshold_sizes=(100, 200),
            threshold_outputs=(10,), n_epochs=10, n_evaluations=4,
            data=MNIST1D(n_train=200, n_valid=0, n_test=200, label_noise=0.15),
        ),
        "quick": Protocol(n_seeds=10, treatments=("mlp-noise",), widths=(7, 12, 16, 27, 36, 47, 61, 80, 300)),
        "paper": Protocol(sample_sizes=(1000, 2000, 8000)),
        "threshold": Protocol(
            n_seeds=4, treatments=THRESHOLDS, widths=(2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256),
            data=MNIST1D(n_valid=0, n_test=4000, label_noise=0.15),
        ),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    n_steps=lambda protocol, condition: protocol.n_steps,
    resources=resources,
    minutes={"smoke": 0.5, "quick": 5, "paper": 70, "threshold": 80},
)  # fmt: skip
