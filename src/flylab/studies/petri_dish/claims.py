"""What is claimed of dishes, and of MNIST-1D as a dish for images."""

from typing import Any

import numpy as np
import xarray as xr

from flylab.data.images import titles
from flylab.results.claims import Claim, independent, sharing
from flylab.results.effects import Effect
from flylab.studies.petri_dish.measures import agreement, saved, transfers, within
from flylab.studies.petri_dish.method import N_TRAIN

UNIT = "of τ"


def _permuted(values: xr.DataArray) -> xr.DataArray:
    values = values.transpose("seed", "architecture")
    return values.copy(data=np.random.default_rng(0).permuted(values.values, axis=1))  # each seed in an own order


def _share(results: xr.Dataset) -> xr.DataArray:
    return 100 * agreement("dish")(results) / agreement("whole")(results)


def _claim(id_: str, statement: str, effect: Effect, unit: str = UNIT, **more: Any) -> Claim:
    return Claim(id_, statement, more.pop("source", "here"), more.pop("published", "–"), unit, effect, **more)


def _predicts(name: str) -> Claim:
    asked = f"needs --dataset {name}" if name != "digits" else ""
    statement = f"one whole training on MNIST-1D ranks the pool as {titles({})[name]} does: τ ≥ 0.5"
    return _claim(f"mnist1d-predicts.{name}", statement, transfers(name), needs=asked, above=0.5)


CLAIMS = sharing("this pool of architectures", independent(["dataset"], (
    _claim("dish-beats-subset", "a learned dish ranks the pool better than a random subset of MNIST-1D at equal cost",
           agreement("dish") - agreement("subset"), above=0),
    _claim("dish-beats-early", "a learned dish ranks the pool better than training on MNIST-1D stopped at equal cost",
           agreement("dish") - agreement("mnist1d"), above=0),
    _claim("dish-beats-size", "a learned dish ranks the pool better than its numbers of parameters do",
           agreement("dish") - agreement("size"), above=0),
    _claim("dish-beats-subset.within", "among MLPs and among CNNs, on average, a learned dish ranks better than a "
           "random subset at equal cost",
           within("dish") - within("subset"), above=0),
    _claim("dish-beats-early.within", "among MLPs and among CNNs, on average, a learned dish ranks better than "
           "training on MNIST-1D stopped at equal cost", within("dish") - within("mnist1d"), above=0),
    _claim("dish-saves-subset", "to rank as well as a learned dish, training on a random subset costs at least twice "
           "as much", saved("subset"), "doublings", above=1),
    _claim("dish-saves-early", "to rank as well as a learned dish, training on MNIST-1D costs at least twice as much",
           saved("mnist1d"), "doublings", above=1),
    _claim("dish-reaches", "a learned dish has at least 80 % of the τ of one whole training",
           Effect(_share, (agreement("dish") - agreement("whole")).requires), "%", above=80),
    _claim("whole-is-reliable", "one whole training on MNIST-1D ranks the pool as the mean of others does: τ ≥ 0.8",
           agreement("whole"), above=0.8),
    _claim("permuted", "against the true order of permuted architectures a dish's τ is 0", agreement(
           "dish", order=_permuted), within=(-0.2, 0.2), is_sanity_check=True),
    *map(_predicts, N_TRAIN),
)))  # fmt: skip
