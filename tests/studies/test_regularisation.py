"""The study `regularisation`: each method does what its name says, and clarity is that of made-up accuracies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import flylab
from flylab.models import Stateful
from flylab.studies import regularisation
from flylab.studies.regularisation.measures import accuracy, clarity, clearer, jackknifed
from flylab.studies.regularisation.method import METHODS, _stopped
from flylab.studies.regularisation.networks import EPSILON, forward, objective_of
from flylab.training.objectives import Batch
from flylab.training.tuning import Fit

KEY = jax.random.key(3)
X = np.random.default_rng(0).normal(size=(12, 7)).astype(np.float32)
Y = np.arange(7) % 10
BATCH = Batch(jnp.asarray(X), jnp.asarray(Y))


def losses(method, strength, n=1, shape=(12,)):
    """Return the loss of a method for some keys, and the plain loss at the same parameters."""
    objective, plain = objective_of(method, shape, 8), objective_of("none", shape, 8)
    params = objective.init(KEY, {})
    of = [objective.loss(params, BATCH, {"strength": strength}, key)[0] for key in jax.random.split(KEY, n)]
    return np.array(of), plain.loss(params, BATCH, {}, KEY)[0]


@pytest.mark.parametrize("method", ["dropout", "label_smoothing", "augmentation"])
def test_without_strength_it_is_the_plain_loss(method):
    changed, plain = losses(method, 0.0)
    np.testing.assert_allclose(changed, plain, rtol=1e-5)


@pytest.mark.parametrize("method", ["dropout", "mixup", "augmentation"])
def test_a_random_method_differs_between_steps(method):
    changed, _ = losses(method, 0.5, n=3)
    assert len({*changed.tolist()}) == 3


def test_unchanged_layers_are_the_published_mlp():
    objective = objective_of("none", (12,), 8)
    params = objective.init(KEY, {})
    logits = objective.predict(params, X, {}, KEY)
    np.testing.assert_allclose(forward(params, BATCH.x, lambda _, z: z), logits, rtol=1e-5)


def test_label_smoothing_is_cross_entropy_with_smooth_labels():
    (changed,), _ = losses("label_smoothing", 0.2)
    objective = objective_of("none", (12,), 8)
    logits = objective.predict(objective.init(KEY, {}), X, {}, KEY)
    labels = 0.8 * np.eye(10)[Y] + 0.2 / 10
    np.testing.assert_allclose(changed, -(labels.T * jax.nn.log_softmax(logits, 0)).sum(0).mean(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_shifting_an_example_permutes_it(shape):
    seen = []

    def apply(params, x):
        seen.append(np.asarray(x))
        return jnp.zeros((10, x.shape[1]))

    from flylab.studies.regularisation.networks import _shifted

    _shifted(shape, apply, {}, BATCH, 0.5, KEY)
    for before, after in zip(X.T.reshape(-1, *shape), seen[0].T.reshape(-1, *shape), strict=True):
        rolls = [np.roll(before, by, tuple(range(len(shape)))) for by in np.ndindex(*shape)]
        assert any(np.array_equal(after, roll) for roll in rolls)
    assert not np.array_equal(seen[0], X)


def test_batch_normalisation_normalises_and_keeps_running_statistics():
    objective = objective_of("batch_norm", (12,), 8)
    params = objective.init(KEY, {})
    loss, _, state = objective.loss(params, BATCH, {}, KEY)
    z = params.params["hidden1"]["w"] @ X + 0 * params.params["hidden1"]["b"][:, None]
    z = np.asarray(z) + np.asarray(params.params["hidden1"]["b"])[:, None]
    np.testing.assert_allclose(state["mean"]["hidden1"], 0.1 * z.mean(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(state["var"]["hidden1"], 0.9 + 0.1 * z.var(1, ddof=1), rtol=1e-4)
    mean, var = ({layer: s[layer] for layer in s} for s in (state["mean"], state["var"]))
    assert isinstance(params, Stateful)
    assert np.isfinite(loss)
    out = objective.predict(params._replace(state={"mean": mean, "var": var}), X, {}, KEY)
    first = (z - np.asarray(mean["hidden1"])[:, None]) / np.sqrt(np.asarray(var["hidden1"])[:, None] + EPSILON)
    assert out.shape == (10, 7)
    assert np.isfinite(first).all()


def test_early_stopping_reports_the_best_evaluation_so_far():
    loss = np.array([[[3.0, 1.0, 2.0, 0.5, 0.7]]])

    def train(data, plan):
        steps = list(plan.evaluated)
        dims = ("trial", "seed", "step")
        return xr.Dataset({"valid_loss": (dims, loss), "test_accuracy": (dims, 10 * loss)}, {"step": steps})

    stopped = _stopped(Fit({}, train)).train(None, flylab.Plan(4, eval_every=1))
    assert stopped.valid_loss.values.ravel().tolist() == [3.0, 1.0, 1.0, 0.5, 0.5]
    assert stopped.test_accuracy.values.ravel().tolist() == [30.0, 10.0, 10.0, 5.0, 5.0]
    at_end = _stopped(Fit({}, train)).train(None, flylab.Plan(4, eval_every=1)).isel(step=-1)
    assert float(at_end.valid_loss.squeeze()) == 0.5


def made(difference: dict[str, float], n_seeds: int = 12) -> xr.Dataset:
    """Return accuracies whose methods differ by some standard deviations of a seed, by data set."""
    rng, methods = np.random.default_rng(1), [*METHODS]
    steps = difference.values()
    values = [step * np.arange(len(methods))[:, None] + rng.normal(size=(len(methods), n_seeds)) for step in steps]
    results = xr.Dataset(
        {"test_accuracy": (("dataset", "regulariser", "seed", "step"), np.stack(values)[..., None]),
         "flops": (("dataset", "regulariser", "seed"), np.ones((len(difference), len(methods), n_seeds)))},
        {"dataset": [*difference], "regulariser": methods, "seed": range(n_seeds), "step": [1]},
    )  # fmt: skip
    return results


def test_clarity_is_the_f_statistic():
    from scipy.stats import f_oneway

    results = made({"mnist1d": 1.0}, 40)
    values = accuracy(results, "mnist1d").values
    assert clarity(results, "mnist1d") == pytest.approx(f_oneway(*values).statistic, rel=0.1)  # seeds explain nothing
    shifted = results.assign(test_accuracy=results.test_accuracy + 100 * results.seed)
    assert clarity(shifted, "mnist1d") == pytest.approx(clarity(results, "mnist1d"))


def test_the_jackknife_of_a_mean_is_its_values():
    results = xr.Dataset({"value": ("seed", [1.0, 2.0, 6.0])}, {"seed": range(3)})
    np.testing.assert_allclose(jackknifed(lambda some: float(some.value.mean()), results), results.value)
    assert np.isnan(jackknifed(lambda some: 1.0, results.isel(seed=[0, 1]))).all()


@pytest.mark.parametrize(("ours", "expected"), [(4.0, "supported"), (0.2, "refuted")])
def test_which_set_is_clearer(ours, expected):
    results = made({"mnist1d": ours, "mnist": 1.0})
    claims = {claim.id: claim for claim in regularisation.CLAIMS}
    claim = claims["discriminates-regularisers.seeds.mnist"]
    values = claim.effect(results)
    assert (values.mean() > 0) == (expected == "supported")
    assert float(values.mean()) == pytest.approx(np.log2(ours), abs=0.5)
    costly = results.assign(flops=results.flops.where(results.dataset != "mnist", 64.0))
    gained = clearer(costly, "mnist", at_equal_flops=True) - clearer(costly, "mnist", at_equal_flops=False)
    np.testing.assert_allclose(gained, 3, atol=1e-9)  # log₂ √64


def test_a_smoke_run(tmp_path):
    results = flylab.run("regularisation", "smoke", out=tmp_path)
    assert results.regulariser.values.tolist() == ["none", "dropout", "batch_norm"]
    assert results.dataset.values.tolist() == ["mnist1d", "digits"]
    assert np.isfinite(results.test_accuracy).all()
    assert len(regularisation.table(results).rows) == 5
    assert flylab.verdicts(results)
