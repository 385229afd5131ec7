"""Contests: what users bring, in JAX and in PyTorch, beside flylab's own contestants."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

import flylab
from flylab.base.usercode import RefusedError
from flylab.data import MNIST1D
from flylab.evaluation.contests import contest_leaderboards
from flylab.study import get_study
from flylab.study.contest import config_of

# evaluated at the end only, so that one program tunes and trains
TINY = {"n_seeds": 2, "models": ("logistic",), "n_trials": 3, "n_steps": 30, "eval_every": 30,
        "data": MNIST1D(n_train=200, n_valid=100, n_test=100)}  # fmt: skip
FILE = """
import jax, jax.numpy as jnp, optax, torch

def plain(learning_rate):
    return optax.adam(learning_rate)

def again(learning_rate):
    return optax.adam(learning_rate)

def plain_sgd(learning_rate):  # from 1e-4 to 1, unlike flylab's
    return optax.sgd(learning_rate)

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

def torch_loop(net, train, valid, *, plan, seed, lr):  # argument names are the user's choice
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    for _ in range(plan.n_steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(train[0]), train[1]).backward()
        optimizer.step()

def jax_loop(model, params, train, valid, *, plan, key, learning_rate):
    from flylab.models import outputs
    def loss(p):
        return jax_loss(outputs(model, p, train[0].T), train[1]).mean()
    for _ in range(plan.n_steps):
        params = jax.tree.map(lambda p, g: p - learning_rate * g, params, jax.grad(loss)(params))
    return params

def idle_loop(module, train, valid, *, plan, seed, lr):
    pass

def idle_jax_loop(model, params, train, valid, *, plan, key, learning_rate):
    return params

def loop_of_a_copy(module, train, valid, *, plan, seed, lr):
    import copy
    return copy.deepcopy(module)

def loop_without_result(model, params, train, valid, *, plan, key, learning_rate):
    pass

def jax_loss(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits.T, y)

def torch_loss(logits, y):
    return torch.nn.functional.cross_entropy(logits, y)

def sharpened(logits, y, power=1.0):
    return optax.softmax_cross_entropy_with_integer_labels(power * logits.T, y)
sharpened.ranges = {"power": (0.5, 2.0)}

def weights(params):
    return sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(params))

def bent(x):
    return jnp.where(x > 0, x, 0.2 * x)

def as_relu(x):
    return jax.nn.relu(x)

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
    return jnp.mean(logits)

def not_elementwise(x):
    return x - x.mean()
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contest")
    (folder / "mine.py").write_text(FILE)
    return folder


def run(mine, study: str, slot: str, names: list[str], **changes: Any) -> xr.Dataset:
    given: dict[str, Any] = {slot: [f"{mine}/mine.py:{name}" for name in names], **TINY, **changes}
    return flylab.run(study, "smoke", out=mine / "runs", **given).isel(model=0, task=0)


def fell(one: xr.Dataset) -> bool:
    return bool((one.train_loss.isel(step=-1) < one.train_loss.isel(step=0)).all())


OPTIMIZERS = {  # the one in JAX that is the same
    "plain": "adam", "plain_sgd": "", "with_beta": "", "TorchAdam": "adam", "TorchSgd": "plain_sgd",
    "torch_scheduled": "",
}  # fmt: skip
SPECIAL = ("line_search", "plateau", "averaged", "sam", "torch_lbfgs")


@pytest.fixture(scope="module")
def optimised(mine):
    return run(mine, "optimizers", "optimizer", list(OPTIMIZERS), optimizers=("adam",))


@pytest.mark.parametrize(("name", "same_as"), OPTIMIZERS.items())
def test_optimisers_of_users_train(optimised, name, same_as):
    one = optimised.sel(optimizer=name)
    assert fell(one)
    if same_as:  # the same optimiser, weights and batches, in whichever library
        for variable in ("tuning_accuracy", "test_loss"):
            reference = optimised[variable].sel(optimizer=same_as)
            np.testing.assert_allclose(one[variable], reference, rtol=2e-3, atol=1.01 * (variable[-8:] == "accuracy"))


@pytest.mark.long
def test_optimisers_that_need_more_than_a_gradient_train(mine):
    results = run(mine, "optimizers", "optimizer", list(SPECIAL), optimizers=("sgd",))
    assert all(fell(results.sel(optimizer=name)) for name in SPECIAL)


@pytest.mark.slow
def test_training_loops_start_and_are_tested_alike(mine):
    """The same loop, full-batch gradient descent, in both libraries."""
    results = run(mine, "optimizers", "optimizer", ["torch_loop", "jax_loop"], optimizers=("sgd",))
    assert fell(results.sel(optimizer="jax_loop"))
    for variable in ("test_loss", "train_accuracy", "tuning_accuracy"):
        ours, theirs = (results[variable].sel(optimizer=name) for name in ("jax_loop", "torch_loop"))
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1.01 * (variable[-8:] == "accuracy"))


def test_several_hyper_parameters_are_tuned(optimised):
    tuned = optimised.tuned_beta
    assert ((tuned >= 0) & (tuned <= 0.99)).sel(optimizer="with_beta").all()
    assert tuned.sel(optimizer="plain").isnull().all()


@pytest.mark.slow
def test_losses_of_users_train(mine):
    results = run(mine, "losses", "loss", ["jax_loss", "torch_loss", "sharpened"], losses=("cross_entropy",))
    reference = results.test_loss.sel(loss="cross_entropy")
    for name, same in (("jax_loss", True), ("torch_loss", True), ("sharpened", False)):
        one = results.sel(loss=name)
        assert fell(one)
        assert np.allclose(one.test_loss, reference, rtol=2e-3) == same


@pytest.mark.slow
def test_a_regulariser_of_users_trains(mine):
    tuned = run(mine, "regularisers", "regulariser", ["weights"], regularisers=("none",)).tuned_strength
    assert tuned.sel(regulariser="weights").notnull().all()
    assert tuned.sel(regulariser="none").isnull().all()  # nothing of it is tuned


@pytest.mark.long  # the other contests show that what users bring is tuned and trained
def test_an_activation_of_users_trains(mine):
    results = run(mine, "activations", "activation", ["bent", "as_relu"], activations=("relu",), models=("mlp",))
    accuracy = results.tuning_accuracy
    np.testing.assert_array_equal(accuracy.sel(activation="as_relu"), accuracy.sel(activation="relu"))
    assert (accuracy.sel(activation="bent") != accuracy.sel(activation="relu")).any()


@pytest.mark.parametrize(
    ("study", "slot", "name", "message"),
    [
        ("optimizers", "optimizer", "no_rate", "takes neither learning_rate nor lr"),
        ("optimizers", "optimizer", "no_optimizer", "no optax transformation"),
        ("optimizers", "optimizer", "unknown_range", "names 'beta', which unknown_range does not take"),
        ("optimizers", "optimizer", "Lazy", "changes no parameter"),
        ("optimizers", "optimizer", "idle_loop", "changes no parameter"),
        ("optimizers", "optimizer", "idle_jax_loop", "changes no parameter"),
        ("optimizers", "optimizer", "loop_of_a_copy", "must train the module that it is given"),
        ("optimizers", "optimizer", "loop_without_result", "must return parameters"),
        ("losses", "loss", "scalar_loss", "not one loss for each label"),
        ("activations", "activation", "not_elementwise", "not elementwise"),
    ],
)
def test_what_cannot_compete_is_refused_before_work(mine, study, slot, name, message):
    given: dict[str, Any] = {slot: f"{mine}/mine.py:{name}"}
    with pytest.raises(RefusedError, match=message):
        flylab.run(study, "smoke", out=mine / "none", **given)
    assert not (mine / "none").exists()


@pytest.mark.slow
def test_contestants_of_several_runs_share_a_leaderboard(mine, optimised):
    """On the seeds that both runs have; a protocol of its own has a table of its own."""
    run(mine, "optimizers", "optimizer", ["again", "plain"], optimizers=("sgd",), n_seeds=1)
    run(mine, "optimizers", "optimizer", [], optimizers=("sgd",), n_seeds=1, n_trials=2)
    lost = "1 seeds are left out, since not all runs of this protocol have them: 1 remain"
    several = "in several runs, of which the last counts: .*plain"
    with pytest.warns(UserWarning, match=several), pytest.warns(match=lost):
        first, *_, last = contest_leaderboards(mine / "runs", "optimizer")
    assert {"again", "SGD", "Adam", *OPTIMIZERS} <= {row[2] for row in first.rows}
    assert "one seed, which has no interval" in first.title
    assert [row[2] for row in last.rows] == ["SGD"]
    assert contest_leaderboards(mine / "nowhere", "loss") == []
    with pytest.raises(ValueError, match="kind='nonsense' must be one of optimizer, train_fn"):
        contest_leaderboards(mine, "nonsense")


def test_tasks_differ_in_what_their_names_say():
    protocol = get_study("optimizers").presets["paper"]
    plain = config_of(protocol, "plain")
    changed = {task: {name for name in vars(plain) if getattr(config_of(protocol, task), name) != getattr(plain, name)}
               for task in ("noise", "few", "shuffled")}  # fmt: skip
    assert changed == {"noise": {"label_noise"}, "few": {"n_train"}, "shuffled": {"permutation"}}


def test_validation_data_are_needed():
    with pytest.raises(ValueError, match="n_valid"):
        flylab.run("optimizers", "smoke", data=MNIST1D(n_valid=0))
