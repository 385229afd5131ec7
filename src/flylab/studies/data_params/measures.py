"""Accuracies and gaps against a data parameter, in points and in log-odds."""

import numpy as np
import xarray as xr

from flylab.results.effects import n_test_of


def curve(results: xr.Dataset, data_param: str, model: str, variable: str = "test_accuracy") -> xr.DataArray:
    """Return test accuracy over `seed` and `setting`; `robust_accuracy` is that of networks of the usual setting."""
    accuracy = results[variable].reindex(model=[model]).sel(data_param=data_param).squeeze("model", drop=True)
    return accuracy.dropna("setting", how="all").sortby("setting").transpose("seed", "setting")


def gap(results: xr.Dataset, data_param: str, variable: str = "test_accuracy") -> xr.DataArray:
    """Return CNN − MLP in points over `seed` and `setting`, paired by seed."""
    return curve(results, data_param, "cnn", variable) - curve(results, data_param, "mlp", variable)


def log_odds(accuracy: xr.DataArray, n_test: int = 0) -> xr.DataArray:
    """Return log(p / (1 − p)) of an accuracy p in percent, a scale whose only ceiling is that of the test examples.

    Args:
        accuracy: in percent.
        n_test: the number of test examples: half an example is added to those right and to those wrong (Haldane 1956),
            so that 100 % stays finite; where a network makes no error, its true value may lie far above.

    >>> log_odds(xr.DataArray([50.0, 100.0]), 1000).round(2).values.tolist()
    [0.0, 7.6]
    """
    share, half = accuracy / 100, 0.5 / n_test if n_test else 0.0
    odds = (share + half) / (1 - share + half)
    return odds.copy(data=np.log(odds.values))


def gap_in_log_odds(results: xr.Dataset, data_param: str, variable: str = "test_accuracy") -> xr.DataArray:
    """Return CNN − MLP in log-odds, the logarithm of their odds ratio, over `seed` and `setting`, paired by seed."""
    cnn, mlp = (log_odds(curve(results, data_param, model, variable), n_test_of(results)) for model in ("cnn", "mlp"))
    return cnn - mlp


def has_gap(results: xr.Dataset) -> bool:
    """Return whether the results have both networks of the gap."""
    return {"mlp", "cnn"} <= set(results.model.values)
