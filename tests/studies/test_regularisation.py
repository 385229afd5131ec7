"""The study `regularisation`: each regulariser does what its name says, and clarity is that of made-up accuracies."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.stats import f_oneway

from flylab import MNIST1D, Plan
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies.regularisation import REGULARISERS, f_statistic, networks
from flylab.studies.regularisation.measures import jackknifed
from flylab.studies.regularisation.method import stopped
from flylab.study.registry import get_study
from flylab.study.study import protocol_of
from flylab.training.objectives import Batch
from flylab.training.tuning import Fit

STUDY = get_study("regularisation")
KEY = jax.random.key(3)
X = np.random.default_rng(0).normal(size=(12, 7)).astype(np.float32)
Y = np.arange(7)
BATCH = Batch(jnp.asarray(X), jnp.asarray(Y))
PLAIN = networks.objective_of("none", (12,), 8)
PARAMS = PLAIN.init(KEY, {})


def losses(name, strength, n=1, shape=(12,)):
    """Return the loss under a regulariser for some keys."""
    objective = networks.objective_of(name, shape, 8)
    loss = jax.jit(lambda key, strength: objective.loss(PARAMS, BATCH, {"strength": strength}, key)[0])
    return np.array([loss(key, strength) for key in jax.random.split(KEY, n)])


@pytest.mark.slow
def test_a_strength_of_0_is_the_plain_loss_and_others_differ_between_steps():
    plain = PLAIN.loss(PARAMS, BATCH, {}, KEY)[0]
    for name in ("dropout", "label_smoothing", "augmentation"):
        np.testing.assert_allclose(losses(name, 0.0), plain, rtol=1e-5)
    for name in ("dropout", "mixup", "augmentation"):
        assert len({*losses(name, 0.5, n=2).tolist()}) == 2


def test_smooth_labels_are_mixed_with_the_uniform_distribution():
    logits = PLAIN.predict(PARAMS, BATCH.x, {}, KEY)
    np.testing.assert_allclose(networks.logits(PARAMS, BATCH.x), logits, rtol=1e-5)
    labels = 0.8 * np.eye(10)[Y] + 0.2 / 10
    cross_entropies = -(labels.T * jax.nn.log_softmax(logits, 0)).sum(0)
    np.testing.assert_allclose(losses("label_smoothing", 0.2), cross_entropies.mean(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_shifting_rolls_each_example(monkeypatch, shape):
    seen = []
    monkeypatch.setattr(networks, "logits", lambda params, x: (seen.append(np.asarray(x)), jnp.zeros((10, 7)))[1])
    networks.shifted({}, BATCH, 0.5, KEY, shape)
    rolls = [
        [by for by in np.ndindex(*shape) if np.array_equal(after, np.roll(before, by, range(len(shape))))]
        for before, after in zip(X.T.reshape(-1, *shape), seen[0].T.reshape(-1, *shape), strict=True)
    ]
    assert all(rolls)
    assert len({by for (by,) in rolls}) > 2


def test_batch_normalisation_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    objective = networks.objective_of("batch_norm", (12,), 8)
    start = objective.init(KEY, {})

    def tensor(x):
        return torch.tensor(np.asarray(x))

    norms = {layer: torch.nn.BatchNorm1d(8) for layer in networks.LAYERS}
    for layer, norm in norms.items():
        norm.bias.data = tensor(start.params[layer]["b"])

    def forward():
        def linear(name, x):
            return torch.nn.functional.linear(x, *(tensor(start.params[name][part]) for part in "wb"))

        h = torch.relu(norms["hidden1"](linear("hidden1", tensor(X.T))))
        h = h + torch.relu(norms["hidden2"](linear("hidden2", h)))
        return linear("output", h)

    loss, _, *(state,) = objective.loss(start, BATCH, {}, KEY)
    expected = torch.nn.functional.cross_entropy(forward(), tensor(Y))
    np.testing.assert_allclose(loss, expected.detach(), rtol=1e-4)
    for layer, norm in norms.items():
        norm.eval()
        np.testing.assert_allclose(state["mean"][layer], norm.running_mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(state["var"][layer], norm.running_var, rtol=1e-4)
    out = objective.predict(start._replace(state=state), BATCH.x, {}, KEY)
    np.testing.assert_allclose(out.T, forward().detach(), rtol=1e-3, atol=1e-4)


def test_early_stopping_reports_the_best_evaluation_so_far():
    loss = np.array([[[np.nan, 1.0, 2.0, 0.5, 0.7], [3.0, 4.0, np.inf, np.nan, 5.0]]])

    def train(data, plan):
        dims = ("trial", "seed", "step")
        found = {"valid_loss": (dims, loss), "test_accuracy": (dims, np.arange(10.0).reshape(loss.shape))}
        return xr.Dataset(found, {"step": list(plan.evaluated)})

    kept = stopped(Fit({}, train), 1).train(None, Plan(4, eval_every=2))
    assert kept.step.values.tolist() == [0, 2, 4]
    assert kept.test_accuracy.values.tolist() == [[[0, 1, 3], [5, 5, 5]]]


def made_up(differences, n_seeds=12, n_steps=1):
    """Return accuracies whose regularisers differ by some standard deviations of a seed, by data set."""
    rng, names = np.random.default_rng(1), [*REGULARISERS]
    values = [size * np.arange(8)[:, None] + rng.normal(size=(8, n_seeds)) for size in differences.values()]
    accuracy = 60 + np.repeat(np.stack(values)[..., None], n_steps, -1)
    cost = np.ones((len(differences), 8, n_seeds)) * np.array([1.0, 64.0])[: len(differences), None, None]
    coords = {"dataset": [*differences], "regulariser": names, "seed": range(n_seeds), "step": range(n_steps)}
    variables = {"test_accuracy": (("dataset", "regulariser", "seed", "step"), accuracy),
                 "flops_per_step": (("dataset", "regulariser", "seed"), cost)}  # fmt: skip
    return xr.Dataset(variables, coords, {"study": "regularisation", "preset": "quick", "run": "r"})


def words(results):
    return {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {"quick": []})}


def test_f_is_that_of_a_repeated_measurement():
    accuracy = made_up({"mnist1d": 0.1}, 200).test_accuracy.isel(dataset=0, step=0)
    assert float(f_statistic(accuracy)) == pytest.approx(f_oneway(*accuracy.values).statistic, rel=0.1)
    np.testing.assert_allclose(f_statistic(accuracy + 100 * accuracy.seed), f_statistic(accuracy))  # seeds are blocks


def test_the_jackknife_of_a_mean_is_its_values():
    results = xr.Dataset({"value": ("seed", [1.0, 2.0, 6.0])}, {"seed": range(3)})
    np.testing.assert_allclose(jackknifed(lambda some: some.value.mean(), results), results.value)
    assert jackknifed(lambda some: some.value.mean(), results.isel(seed=[0, 1])).isnull().all()


def test_claims_hold_where_signals_are_clearer_and_fall_where_images_are():
    clear, unclear = (words(made_up({"mnist1d": ours, "mnist": theirs})) for ours, theirs in ((4, 1), (-1, 4)))
    ids = {f"{claim}.mnist" for claim in ("discriminates-regularisers", "seeds", "same-order")}
    helping = {f"helps.{name}" for name in REGULARISERS if name != "none"}
    assert {id_ for id_, word in clear.items() if word == "supported"} == ids | helping
    assert {unclear[id_] for id_ in (ids | helping) - {"discriminates-regularisers.mnist"}} == {"refuted"}
    assert unclear["discriminates-regularisers.mnist"] == "supported"  # 4 times as clear, 64 times the cost
    assert {unclear[id_] for id_ in clear.keys() - ids - helping} == {"not tested"}  # on digits


def test_images_that_cost_more_are_not_clearer_for_nothing():
    claim = next(claim for claim in STUDY.claims if claim.id == "discriminates-regularisers.mnist")
    assert claim.effect is not None
    nothing, something = (claim.effect(made_up({"mnist1d": size, "mnist": size}, 40)) for size in (0, 1))
    assert abs(float(nothing.mean())) < 0.5
    assert float(something.mean()) == pytest.approx(3, abs=0.5)  # log₂ √64


@pytest.mark.long
def test_a_short_run_of_every_part(tmp_path):
    names = ("none", "weight_decay", "early_stopping")
    protocol = replace(STUDY.presets["smoke"], n_seeds=1, regularisers=names, dataset=("mnist1d",), n_steps=4,
                       eval_every=2)  # fmt: skip
    run = execute(STUDY, "smoke", protocol, tmp_path)
    assert run.results.regulariser.values.tolist() == [*names]
    assert np.isfinite(run.results.test_accuracy).all()
    table = STUDY.table(run.results)
    assert [row[0] for row in table.rows[:3]] == [REGULARISERS[name].title for name in names]
    STUDY.figure(run.results).savefig(tmp_path / "figure.png")
    STUDY.figure(made_up({"mnist1d": 1, "digits": 1}, 3, 4)).savefig(tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": ("mnits",)}, r"dataset\[0\]='mnits' must be one of mnist1d"),
        ({"regularisers": ("l2",)}, r"regularisers\[0\]='l2' must be one of none"),
        ({"data": MNIST1D(n_valid=0)}, "n_valid=0"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)
