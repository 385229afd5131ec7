"""`Population`: trained networks over named axes, to choose from, predict with, save and train on."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from flylab.base import runtime
from flylab.base.constraints import refusal
from flylab.base.types import Hparams, Key, Params
from flylab.data.inputs import class_dtype
from flylab.models.model import Model
from flylab.training import predicting
from flylab.training.objectives import Objective


class Population(NamedTuple):
    """A trained population.

    Attributes:
        params: last parameters, NumPy arrays with the grid's axes in front.
        results: `{train,valid,test}_{loss,accuracy}` over the grid's axes and `step`, accuracies in percent;
            `prediction` over `example`; the metrics that the objective's loss returns over `update` and, if the plan
            has `record_loss`, `loss`. Where targets are no classes, there are no accuracies, and `prediction` has the
            network's outputs, over `example` and `output`.
        saved_params: parameters after each step of the plan's `save_params_at`, as `params`.
        axes: labels by axis, in the order of the parameters' axes.
        hparams: what all members share: hyper-parameters that are one number, and labels that `sel` has chosen.
        objective: what they were trained for.
        key: root of their randomness.
        config: the data's parameters, where they are known, and the plan, as JSON has them.
    """

    params: Params
    results: xr.Dataset
    saved_params: tuple[Params, ...]
    axes: dict[str, list]
    hparams: dict[str, Any]
    objective: Objective
    key: Key
    config: dict[str, Any]

    def sel(self, method: str | None = None, **labels: Any) -> "Population":
        """Choose members by their labels, as xarray does: `sel(seed=3)`, `sel(seed=[1, 2], learning_rate=1e-2)`.

        An axis of which a single label is chosen is gone.

        Args:
            method: None for equal labels, or "nearest".
            labels: a label, a list of labels or a slice, by axis.

        Raises:
            ValueError: for an axis or a label that there is not.
        """
        self._require_axes(labels)
        for axis, wanted in labels.items():
            try:
                xr.DataArray(self.axes[axis], {axis: self.axes[axis]}, [axis]).sel({axis: wanted}, method)
            except (KeyError, TypeError, ValueError):
                known = ", ".join(map(str, self.axes[axis]))
                raise refusal(axis, wanted, f"among the population's: {known}") from None
        return self._chosen(lambda array: array.sel(labels, method))

    def isel(self, **places: Any) -> "Population":
        """Choose members by their places along axes, as xarray does: `isel(seed=-1)`.

        Raises:
            ValueError: for an axis that there is not.
            IndexError: for a place beyond an axis.
        """
        self._require_axes(places)
        for axis, place in places.items():
            n = len(self.axes[axis])
            if isinstance(place, int | np.integer) and not -n <= place < n:
                raise IndexError(f"{axis}={place} must be from {-n} to {n - 1}: the population has {n} along {axis}")
        return self._chosen(lambda array: array.isel(places))

    def _require_axes(self, given: Mapping[str, Any]) -> None:
        if unknown := given.keys() - self.axes.keys():
            axes = ", ".join(self.axes) or "none"
            raise ValueError(f"the population has no axis {min(unknown)!r}; its axes are {axes}")

    def _chosen(self, choose: Callable[[Any], Any]) -> "Population":
        n = self._n_members
        places = choose(xr.DataArray(np.arange(n).reshape(self._sizes), self.axes, [*self.axes]))
        axes = {str(axis): places[axis].values.tolist() for axis in places.dims}
        if empty := [axis for axis, labels in axes.items() if not labels]:
            raise ValueError(f"no member would be left along {empty[0]}: choose at least one")
        gone = {axis: places[axis].item() for axis in self.axes if axis not in axes}

        def at(leaf: np.ndarray) -> np.ndarray:
            return leaf.reshape(n, *leaf.shape[len(self.axes) :])[places.values]

        params, saved = jax.tree.map(at, (self.params, self.saved_params))
        return self._replace(params=params, results=choose(self.results), saved_params=saved, axes=axes,
                             hparams=self.hparams | gone)  # fmt: skip

    @property
    def _n_members(self) -> int:
        return math.prod(self._sizes)

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(map(len, self.axes.values()))

    def _members(self) -> Iterator[tuple[Params, Hparams, Key]]:
        """Yield each member's parameters, hyper-parameters and key."""
        for i, point in enumerate(itertools.product(*self.axes.values())):
            hparams = self.hparams | dict(zip(self.axes, point, strict=True))
            seed = hparams.pop("seed")
            hparams = {name: np.float32(value) for name, value in hparams.items()}
            yield self._params(i), hparams, jax.random.fold_in(self.key, seed)

    def params_at(self, point: Mapping[str, Any]) -> Params:
        """Return the parameters of the member with some labels; axes that the population lacks do not matter.

        Args:
            point: a label for each axis.

        Raises:
            ValueError: for a label that there is not, or an axis without one.
        """
        if missing := self.axes.keys() - point.keys():
            axis = min(missing)
            raise ValueError(
                f"the grid has no axis {axis!r}, which the population has: choose one label, population.sel({axis}=…)"
            )
        for axis, labels in self.axes.items():
            if point[axis] not in labels:
                raise refusal(axis, point[axis], f"among the population's: {', '.join(map(str, labels))}")
        places = [labels.index(point[axis]) for axis, labels in self.axes.items()]
        return self._params(int(np.ravel_multi_index(places, self._sizes)) if places else 0)

    def _params(self, i: int) -> Params:
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[len(self.axes) :])[i], self.params)

    @runtime.pinned()
    def outputs(self, x: Any) -> xr.DataArray:
        """Compute every member's outputs (logits) for examples, over the axes, `example` and `output`.

        Args:
            x: examples `(n, *shape)`, as those that they were trained on.

        Raises:
            ValueError: if they are no finite examples in rows, or do not fit the network.

        >>> from flylab import MNIST1D, Plan, get_model, published, train_members
        >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
        >>> population = train_members(get_model("logistic"), splits, Plan(20), {"learning_rate": 1e-2, "seed": [0, 3]})
        >>> dict(population.outputs(splits.test.x).sizes)
        {'seed': 2, 'example': 100, 'output': 10}
        """
        x, compute = predicting.examples(x), predicting.outputs_of(self.objective)
        with predicting.fitting(x):
            return self._labelled([np.asarray(compute(*member, x)) for member in self._members()], "output")

    def predict(self, x: Any) -> xr.DataArray:
        """Predict the class of examples by every member, over the axes and `example`; arguments as of `outputs`.

        Where targets are no classes, this is `outputs`.

        >>> from flylab import MNIST1D, Plan, get_model, published, train_members
        >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
        >>> population = train_members(get_model("logistic"), splits, Plan(20), {"learning_rate": 1e-2, "seed": [0, 3]})
        >>> bool((population.sel(seed=3).predict(splits.test.x) == population.results.prediction.sel(seed=3)).all())
        True
        """
        out = self.outputs(x)
        if self.objective.targets != "classes":
            return out
        classes = out.values.argmax(-1).astype(class_dtype(out.sizes["output"]))
        return xr.DataArray(classes, out.coords, out.dims[:-1])

    @runtime.pinned()
    def features(self, x: Any) -> dict[str, xr.DataArray]:
        """Compute every member's activations by layer, each over the axes, `example` and the layer's own dimensions.

        The model says which they are, see `Model.features`.

        Args:
            x: examples `(n, *shape)`.

        Raises:
            ValueError: if the model offers none, or as `outputs`.

        >>> from flylab import MNIST1D, Plan, get_model, published, train_members
        >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
        >>> population = train_members(get_model("cnn"), splits, Plan(2), {"learning_rate": 1e-2, "seed": [0, 3]})
        >>> {layer: values.shape for layer, values in population.features(splits.test.x[:5]).items()}
        {'conv1': (2, 5, 25, 19), 'conv2': (2, 5, 25, 10), 'conv3': (2, 5, 25, 5), 'output': (2, 5, 10)}
        """
        x, compute = predicting.examples(x), predicting.features_of(self.objective)
        with predicting.fitting(x):
            rows = [compute(*member, x) for member in self._members()]
        return {
            layer: self._labelled([row[layer] for row in rows], *(f"{layer}_{i}" for i in range(values.ndim - 1)))
            for layer, values in rows[0].items()
        }

    def _labelled(self, rows: Sequence[np.ndarray], *own: str) -> xr.DataArray:
        values = np.stack(rows).reshape(*self._sizes, *rows[0].shape)
        return xr.DataArray(values, self.axes, [*self.axes, "example", *own])

    def stopped(self, by: str = "valid_loss") -> "Population":
        """Return each member as it was at the saved step where a measure was lowest: early stopping.

        Nothing is trained for it, so results stay as they are bit for bit: the plan's `save_params_at` lists the steps
        to choose from.

        Args:
            by: the measure, a variable over `step`. Not a number counts as the greatest.

        Returns:
            The population with these parameters; its `results` are those of the chosen step, in the coordinate `step`.

        Raises:
            ValueError: if no parameters are saved, or for an unknown measure.
        """
        measures = [str(name) for name, values in self.results.items() if "step" in values.dims]
        if by not in measures:
            raise refusal("by", by, f"one of {', '.join(measures) or 'none: they are stopped already'}")
        if not self.saved_params:
            raise ValueError("there are no saved parameters: give the plan save_params_at, e.g. (0, 100, 200)")
        steps = self.config["plan"]["save_params_at"][: len(self.saved_params)]
        values = self.results[by].sel(step=steps).transpose(*self.axes, "step")
        best = np.where(np.isnan(values), np.inf, values).argmin(-1)

        def chosen(*leaves: np.ndarray) -> np.ndarray:
            n_own = leaves[0].ndim - len(self.axes)
            stacked = np.stack(leaves)
            return np.take_along_axis(stacked, best[(None, ..., *[None] * n_own)], 0)[0]

        at = xr.DataArray(np.asarray(steps)[best], self.axes, [*self.axes])
        results = self.results[measures].sel(step=at)
        return self._replace(params=jax.tree.map(chosen, *self.saved_params), results=results, saved_params=())

    def save(self, path: str | Path) -> Path:
        """Write the population to a safetensors file: parameters, results, axes, and how to build its network.

        `Population.load` reads it again.

        Args:
            path: the file to write.

        Returns:
            The path.

        Raises:
            OSError: if the path cannot be written.
        """
        from flylab.training.saving import save  # which makes populations

        return save(path, self)

    @classmethod
    def load(cls, path: str | Path, model: Objective | Model | None = None) -> "Population":
        """Read a population that `save` has written. Nothing in the file is run.

        Args:
            path: the file.
            model: the model or objective; not needed for models of the registry, which are built by their name.

        Raises:
            ValueError: if the file is no population, needs more memory than its size allows, or is of another model;
                or if its model is none of the registry and is not given.
            OSError: if it cannot be read.

        >>> from flylab import MNIST1D, Plan, get_model, published, train_members
        >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
        >>> population = train_members(get_model("logistic"), splits, Plan(2), {"learning_rate": 1e-2, "seed": [0, 3]})
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     same = Population.load(population.save(f"{folder}/population.safetensors"))
        >>> same.axes, same.config["data"]["n_train"]
        ({'seed': [0, 3]}, 100)
        """
        from flylab.training.saving import load

        return load(path, model)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as it is saved: models of the registry by their names."""
        from flylab.training.saving import decode, encode, registered

        return decode, (encode(self), None if registered(self.objective) else self.objective)
