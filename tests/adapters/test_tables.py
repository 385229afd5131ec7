"""scikit-learn, pandas and Hugging Face."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from flylab import MNIST1D, published
from flylab.adapters.huggingface import dataset_dict
from flylab.adapters.pandas import frame
from flylab.adapters.sklearn import load_mnist1d
from flylab.base import optional

SMALL = MNIST1D(n_train=200, n_valid=50, n_test=100)
SPLITS = published(SMALL)


def test_loader_is_like_scikit_learns():
    from sklearn.datasets import load_digits

    ours, theirs = load_mnist1d(), load_digits()
    assert ours.data.shape == (5000, 40)
    assert ours.data.dtype == theirs.data.dtype
    assert ours.target.dtype == theirs.target.dtype
    assert set(ours) >= {"data", "target", "frame", "feature_names", "target_names", "DESCR"}
    assert ours.frame is None
    assert ":Number of Instances: 5000" in ours.DESCR
    np.testing.assert_array_equal(ours.data[:4000], published().train.x)
    np.testing.assert_array_equal(ours.target[4000:], published().test.y)


def test_loader_as_frame_and_subset():
    bunch = load_mnist1d(as_frame=True, subset="valid", config=SMALL)
    assert list(bunch.frame.columns) == [*bunch.feature_names, "target"]
    np.testing.assert_array_equal(bunch.data.to_numpy(), SPLITS.valid.x)
    np.testing.assert_array_equal(bunch.target, SPLITS.valid.y)
    data, target = load_mnist1d(return_X_y=True, as_frame=True, config=SPLITS)
    assert (data.shape, target.name) == ((300, 40), "target")
    with pytest.raises(ValueError, match="subset='validation' must be one of train, valid, test, all"):
        load_mnist1d(subset="validation")


def test_empty_subset():
    assert load_mnist1d(subset="valid", config=MNIST1D(n_train=20, n_valid=0, n_test=10)).data.shape == (0, 40)


@pytest.mark.long
def test_pipeline_with_cross_validation():
    X, y = load_mnist1d(return_X_y=True)
    scores = cross_val_score(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), X, y, cv=3)
    assert 0.25 < scores.mean() < 0.4


def test_what_is_loaded_is_ones_own():
    load_mnist1d(config=SMALL).data[:] = 0
    assert np.abs(load_mnist1d(config=SMALL).data).sum() > 0


def test_frame():
    table = frame(SMALL)
    assert list(table.columns[:3]) == ["split", "label", "x0"]
    valid = table[table.split == "valid"]
    np.testing.assert_array_equal(valid.filter(regex="^x").to_numpy(), SPLITS.valid.x)
    np.testing.assert_array_equal(valid.label, SPLITS.valid.y)
    assert '"n_train":200' in table.attrs["config"]


def test_hugging_face():
    data = dataset_dict(SMALL)
    assert {name: len(one) for name, one in data.items()} == {"train": 200, "validation": 50, "test": 100}
    assert data["train"].features["y"].names == [str(i) for i in range(10)]
    rows = data["test"].with_format("numpy")[:]
    np.testing.assert_array_equal(rows["x"], SPLITS.test.x.astype("float32"))
    np.testing.assert_array_equal(rows["y"], SPLITS.test.y)
    few = dataset_dict(MNIST1D(n_train=20, n_valid=0, n_test=10, classes=(3, 7)))
    assert set(few) == {"train", "test"}
    assert few["train"].features["y"].num_classes == 8


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda: frame(SMALL), r"a data frame needs the package pandas: pip install 'flylab\[data\]'"),
        (lambda: load_mnist1d(as_frame=True), r"flylab\[data\]"), (lambda: dataset_dict(SMALL), r"flylab\[hf\]"),
    ],
)  # fmt: skip
def test_missing_package(use, says, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(optional.importlib, "import_module", missing)
    with pytest.raises(optional.MissingExtraError, match=says):
        use()
