"""Plain training: every registered network trains; by default the networks are the published ones."""

import jax
import numpy as np
import pytest

import flylab
from flylab.models import list_models
from flylab.models.registry import PUBLISHED
from flylab.studies.train import STUDY, Protocol, figure, table, training

DATA = flylab.MNIST1D(n_train=100, n_valid=0, n_test=100)


NETWORKS = [
    pytest.param(name, marks=() if name in PUBLISHED and name != "gru" else pytest.mark.long) for name in list_models()
]


@pytest.mark.slow
@pytest.mark.parametrize("model", NETWORKS)
def test_every_network_learns_and_has_its_cost(model):
    protocol = Protocol(n_seeds=2, model=model, n_steps=3, eval_every=1, data=DATA)
    assert STUDY.resources(protocol, {"model": model})[0] > 3 * 2 * 100 * 40
    results = STUDY.run(protocol, {"model": model}, [0, 1], key=jax.random.key(0))
    assert dict(results.test_accuracy.sizes) == {"seed": 2, "step": 4}
    assert np.isfinite(results.test_loss).all()


def test_by_default_it_is_the_published_network():
    assert {name: flylab.n_params(training(Protocol(model=name), name).model) for name in PUBLISHED} == {
        "logistic": 410, "mlp": 15_210, "cnn": 5_210, "gru": 5_134,
    }  # fmt: skip


@pytest.mark.slow
def test_table_and_figure(tmp_path):
    results = flylab.run("train", "smoke", tmp_path, n_steps=5, data=DATA)
    assert table(results).rows[0][0] == "mlp"
    assert table(results).rows[0][2] == "–"  # there is no validation set
    assert figure(results).axes[0].get_ylabel() == "accuracy (%)"
    assert flylab.verdicts(results) == []


@pytest.mark.parametrize(
    "change", [{"width": 0}, {"model": "x"}, {"n_steps": 0}, {"learning_rate": 0.0}, {"shuffle": "x"}]
)
def test_refuses(change):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"{name}={value!r} must be"):
        Protocol(**change)
    assert STUDY.claims == ()
