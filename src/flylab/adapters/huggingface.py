"""MNIST-1D as a Hugging Face `datasets.DatasetDict`."""

from typing import Any

import numpy as np

from flylab.adapters.core import SUBSETS, class_names, splits_of
from flylab.base.optional import need
from flylab.data import MNIST1D, Splits


def dataset_dict(data: MNIST1D | Splits | None = None) -> Any:
    """Return the sets as a `datasets.DatasetDict` with `train`, `validation` and `test`.

    The feature `x` is a float32 sequence of fixed length, `y` is a `ClassLabel`. Empty sets are left out. Nothing is
    downloaded.

    Args:
        data: a config, or splits of 1-D signals. The default is the published set.

    Raises:
        MissingExtraError: if `datasets` is not installed.

    >>> dataset_dict()["train"].features["y"].num_classes
    10
    """
    hf = need("datasets", "hf", "a Hugging Face data set")
    splits = splits_of(data)
    length = splits.train.x.shape[1]
    features = hf.Features({
        "x": hf.List(hf.Value("float32"), length=length), "y": hf.ClassLabel(names=class_names(splits)),
    })  # fmt: skip
    info = hf.DatasetInfo(
        description="MNIST-1D: procedurally varied 1-D digits.",
        citation="Greydanus and Kobak, Scaling Down Deep Learning with MNIST-1D, ICML 2024, arXiv:2011.14439",
        homepage="https://github.com/greydanus/mnist1d",
        features=features,
    )
    sets = {("validation" if name == "valid" else name): getattr(splits, name) for name in SUBSETS}
    return hf.DatasetDict({
        name: hf.Dataset.from_dict({"x": np.asarray(part.x, np.float32), "y": np.asarray(part.y)}, info=info.copy())
        for name, part in sets.items() if len(part.y)
    })  # fmt: skip
