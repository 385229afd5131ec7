"""Contests: what users bring, in JAX and in PyTorch, beside flylab's own contestants."""

import numpy as np
import pytest
import xarray as xr

import flylab
from flylab.base.usercode import RefusedError
from flylab.data import MNIST1D
from flylab.study import get_study
from flylab.study.contest import config_of

TINY = {"n_seeds": 2, "models": ("logistic",), "n_trials": 3, "n_steps": 30, "eval_every": 15,
        "data": MNIST1D(n_train=200, n_valid=100, n_test=100)}  # fmt: skip
FILE = """
import jax, jax.numpy as jnp, optax, torch

def plain(learning_rate):
    return optax.adam(learning_rate)

def with_beta(learning_rate, beta=0.9):
    return optax.sgd(learning_rate, momentum=beta)
with_beta.ranges = {"learning_rate": (1e-3, 1.0), "beta": (0.0, 0.99)}

def line_search(scale):
    return optax.lbfgs(scale, memory_size=3)
line_search.ranges = {"scale": (0.1, 1.0)}

def plateau(learning_rate):
    return optax.chain(optax.adam(learning_rate), optax.contrib.reduce_on_plateau(accumulation_size=5))

def averaged(learning_rate):
    return optax.contrib.schedule_free_sgd(learning_rate)

def sam(learning_rate):
    ascent = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    return optax.contrib.sam(optax.sgd(learning_rate), ascent, opaque_mode=True)

class TorchAdam(torch.optim.Adam):
    pass

class TorchSgd(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            closure()
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad

def torch_scheduled(params, lr):
    optimizer = torch.optim.SGD(params, lr=lr)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)

def torch_lbfgs(params, lr):
    return torch.optim.LBFGS(params, lr=lr, max_iter=2)

def jax_loss(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits.T, y)

def torch_loss(logits, y):
    return torch.nn.functional.cross_entropy(logits, y)

def sharpened(logits, y, power=1.0):
    return optax.softmax_cross_entropy_with_integer_labels(power * logits.T, y)
sharpened.ranges = {"power": (0.5, 2.0)}

def weights(params):
    return jnp.abs(params["w"]).sum()

def bent(x):
    return jnp.where(x > 0, x, 0.2 * x)

def no_rate(speed):
    return optax.sgd(speed)

def no_optimizer(learning_rate):
    return learning_rate

def unknown_range(learning_rate):
    return optax.sgd(learning_rate)
unknown_range.ranges = {"beta": (0, 1)}

class Lazy(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})
    def step(self, closure=None):
        closure()

def scalar_loss(logits, y):
    return logits.mean()

def not_elementwise(x):
    return x - x.mean()
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contest")
    (folder / "mine.py").write_text(FILE)
    return folder


def run(mine, study: str, slot: str, name: str, **changes) -> xr.Dataset:
    own = ("adam", "sgd") if slot == "optimizer" else ("cross_entropy",) if slot == "loss" else ("none",)
    field = {"optimizer": "optimizers", "loss": "losses", "regulariser": "regularisers"}[slot]
    return flylab.run(
        study, "smoke", out=mine / "runs", **{slot: f"{mine}/mine.py:{name}", field: own}, **TINY | changes
    )


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        ("plain", "adam"), ("with_beta", None), ("line_search", None), ("plateau", None), ("averaged", None),
        ("sam", None), ("TorchAdam", "adam"), ("TorchSgd", "sgd"), ("torch_scheduled", None), ("torch_lbfgs", None),
    ],
)  # fmt: skip
def test_optimisers_of_users_train(mine, name, same_as):
    results = run(mine, "optimizers", "optimizer", name)
    one = results.sel(optimizer=name, model="logistic", task="plain")
    assert (one.train_loss.isel(step=-1) < one.train_loss.isel(step=0)).all()
    if same_as is not None:  # the same optimiser, weights and batches, in whichever library
        for variable in ("tuning_accuracy", "test_loss"):
            reference = results[variable].sel(optimizer=same_as, model="logistic", task="plain")
            np.testing.assert_allclose(one[variable], reference, rtol=2e-3, atol=1.01 * (variable[-8:] == "accuracy"))


@pytest.mark.parametrize(
    ("name", "same"), [("jax_loss", True), ("torch_loss", True), ("sharpened", False)]
)  # fmt: skip
def test_losses_of_users_train(mine, name, same):
    results = run(mine, "losses", "loss", name).sel(model="logistic", task="plain")
    one, reference = results.sel(loss=name), results.sel(loss="cross_entropy")
    assert (one.train_loss.isel(step=-1) < one.train_loss.isel(step=0)).all()
    assert np.allclose(one.test_loss, reference.test_loss, rtol=2e-3) == same


def test_a_regulariser_of_users_trains(mine):
    results = run(mine, "regularisers", "regulariser", "weights").sel(model="logistic", task="plain")
    assert results.tuned_strength.sel(regulariser="weights").notnull().all()
    assert results.tuned_strength.sel(regulariser="none").isnull().all()  # nothing of it is tuned


def test_an_activation_of_users_trains(mine):
    small = {name: value for name, value in TINY.items() if name != "models"}
    results = flylab.run("activations", "smoke", out=mine / "runs", activation=f"{mine}/mine.py:bent",
                         activations=("relu",), **small)  # fmt: skip
    one = results.sel(activation="bent", model="mlp", task="plain")
    assert (one.train_loss.isel(step=-1) < one.train_loss.isel(step=0)).all()


@pytest.mark.parametrize(
    ("study", "slot", "name", "message"),
    [
        ("optimizers", "optimizer", "no_rate", "takes neither learning_rate nor lr"),
        ("optimizers", "optimizer", "no_optimizer", "no optax transformation"),
        ("optimizers", "optimizer", "unknown_range", "names 'beta', which unknown_range does not take"),
        ("optimizers", "optimizer", "Lazy", "changes no parameter"),
        ("losses", "loss", "scalar_loss", "not one loss for each label"),
        ("activations", "activation", "not_elementwise", "not elementwise"),
    ],
)
def test_what_cannot_compete_is_refused_before_work(mine, study, slot, name, message):
    with pytest.raises(RefusedError, match=message):
        flylab.run(study, "smoke", out=mine / "none", **{slot: f"{mine}/mine.py:{name}"})
    assert not (mine / "none").exists()


def test_tasks_differ_in_what_their_names_say():
    protocol = get_study("optimizers").presets["paper"]
    plain = config_of(protocol, "plain")
    changed = {task: {name for name in vars(plain) if getattr(config_of(protocol, task), name) != getattr(plain, name)}
               for task in ("noise", "few", "shuffled")}  # fmt: skip
    assert changed == {"noise": {"label_noise"}, "few": {"n_train"}, "shuffled": {"permutation"}}


def test_validation_data_are_needed():
    with pytest.raises(ValueError, match="n_valid"):
        flylab.run("optimizers", "smoke", data=MNIST1D(n_valid=0))
