"""How does accuracy depend on the data's parameters: translation, noise, shear, resolution?

The essay suggests to "smoothly vary parameters such as background noise, translation, and resolution" (Greydanus 2020).
Networks learn MNIST-1D at each value of one data parameter at a time; those trained at its usual value are also tested
at all others. The generator in JAX traces the data parameters, so that all values share one program.
"""

from functools import partial

import xarray as xr

from flylab.data import MNIST1D
from flylab.models import model_title
from flylab.results.claims import Claim, independent, sharing
from flylab.results.effects import Effect, pick, slope
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table, over_seeds
from flylab.studies.data_params.drawing import figure
from flylab.studies.data_params.measures import curve, gap, gap_in_log_odds, has_gap, log_odds
from flylab.studies.data_params.method import (
    DATA_PARAMS,
    NETWORKS,
    Protocol,
    conditions,
    run,
    training,
)
from flylab.study import Study

__all__ = [
    "CLAIMS", "DATA_PARAMS", "NETWORKS", "STUDY", "Protocol", "conditions", "curve", "figure", "gap",
    "gap_in_log_odds", "log_odds", "resolution", "run", "table", "training",
]  # fmt: skip


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


def _gap_of(**n_train: float) -> Effect:
    """Return the points by which a CNN with so many training examples is ahead of an MLP with so many."""
    accuracies = (pick(partial(curve, data_param="n_train", model=model), setting=n) for model, n in n_train.items())
    requires = {"data_param": "n_train", "model": tuple(n_train), "setting": tuple(n_train.values())}
    cnn, mlp = (accuracy.of for accuracy in accuracies)
    return Effect(lambda results: cnn(results) - mlp(results), requires)


def _in_log_odds() -> Effect:
    return Effect(lambda results: gap_in_log_odds(results, "max_translation"), _translated().requires)


CLAIMS = independent(["data_params", "models"], sharing("these test examples", (
    Claim("gap-grows", "the CNN − MLP gap grows with translation", "here", "–", "points per 10 positions",
          _translated().then(slope, "setting", per=10), above=0, independent_of=_but("max_translation")),
    Claim("gap-grows.log-odds", "the gap grows with translation in log-odds, too, whose only ceiling is a test "
          "without errors", "here", "–", "log-odds per 10 positions", _in_log_odds().then(slope, "setting", per=10),
          above=0, independent_of=_but("max_translation")),
    Claim("gap-grows.below-ceiling", "it grows in log-odds without the setting that has no translation, too, where "
          "networks hardly err", "here", "–", "log-odds per 10 positions",
          _in_log_odds().then(lambda gaps: slope(gaps.sel(setting=gaps.setting > 1), "setting", per=10)),
          above=0, independent_of=_but("max_translation")),
    Claim("gap-without", "without translation the CNN − MLP gap is < 5 points", "here", "–", "points",
          _translated().then(lambda gaps: gaps.reindex(setting=[1.0]).squeeze("setting")), below=5,
          independent_of=_but("max_translation")),
    Claim("ten-times-the-examples", "a CNN with 1000 training examples beats an MLP with 10 000", "here", "–", "points",
          _gap_of(cnn=1000, mlp=10_000), above=0, independent_of=_but("n_train")),
    Claim("examples-close-the-gap", "100 000 training examples in place of 4000 close the CNN − MLP gap by 10 points",
          "here", "–", "points", _gap_of(cnn=4000, mlp=4000) - _gap_of(cnn=100_000, mlp=100_000), above=10,
          independent_of=_but("n_train")),
    *(_noise_claim(kind, model) for kind in ("smooth", "white") for model in ("mlp", "cnn")),
    *map(_resolution_claim, ("mlp", "cnn")),
)))  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Tabulate accuracy and gap at the lowest, the usual and the highest setting of each data parameter."""
    rows, gaps = [], (gap, gap_in_log_odds) if has_gap(results) else ()
    for data_param in results.data_param.values:
        usual = float(results.usual.sel(data_param=data_param).max())
        curves = [curve(results, data_param, model) for model in results.model.values]
        settings = curves[0].setting.values.tolist()
        for setting in dict.fromkeys((settings[0], usual, settings[-1])):
            accuracies = [plus_minus(accuracy.sel(setting=setting)) for accuracy in curves]
            differences = [plus_minus(measure(results, data_param).sel(setting=setting)) for measure in gaps]
            rows.append((data_param, f"{setting:g}", *accuracies, *differences))
    names = ("CNN − MLP", "in log-odds")[: len(gaps)]
    columns = ("data parameter", "setting", *map(model_title, results.model.values), *names)
    return Table(over_seeds(results, "Test accuracy (%)"), columns, rows)


SIZES = (100, 300, 1000, 10_000, 30_000, 100_000)
PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=10, max_translations=(1, 60), corr_noise_scales=(0.0,),
                      iid_noise_scales=(0.0,), shear_scales=(0.0,), scale_coeffs=(0.0,), final_seq_lengths=(10, 40),
                      train_sizes=(100, 200), data=MNIST1D(n_train=200, n_valid=0, n_test=100)),
    "quick": Protocol(n_seeds=4, n_steps=3000, data_params=("max_translation", "corr_noise_scale", "iid_noise_scale"),
                      max_translations=(1, 16, 48), corr_noise_scales=(0.0, 0.25, 0.5),
                      iid_noise_scales=(0.0, 0.02, 0.1)),
    "examples": Protocol(n_seeds=4, data_params=("n_train",), models=tuple(NETWORKS),
                         train_sizes=SIZES),
    "paper": Protocol(n_seeds=10, models=tuple(NETWORKS), train_sizes=SIZES),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 0.9, "examples": 5, "paper": 44}
STUDY = Study.of_module(__name__)
