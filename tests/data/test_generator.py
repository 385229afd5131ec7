"""The generator in JAX: the published distribution, pure, differentiable, and a source for training."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ks_2samp

from flylab.data import MNIST1D, Templates, compose, digits, published, shuffled
from flylab.data.generator import CONTINUOUS, DATA_PARAMS, constants, endless, generated, repeating, sample
from flylab.models import dense
from flylab.training.objectives import supervised
from flylab.training.population import train_members
from flylab.training.step import Plan
from flylab.training.train import train

KEY = jax.random.key(1)
SMALL = MNIST1D(n_train=50, n_valid=50, n_test=50)
N = 5000
CONFIGS = {
    "default": MNIST1D(),
    "other data_params": MNIST1D(padding=(5, 30), scale_coeff=1.2, max_translation=100, corr_noise_scale=0.5,
                           iid_noise_scale=0.3, shear_scale=0.1, final_seq_length=25),
    "padding that falls": MNIST1D(padding=(20, 11), iid_noise_scale=0.2),
    "more points than before": MNIST1D(padding=(0, 9), template_len=10, final_seq_length=30, iid_noise_scale=0.2),
}  # fmt: skip


@pytest.fixture(scope="module", params=CONFIGS, ids=CONFIGS)
def both(request):
    """The same distribution from both generators: `(x, y)` each, x not yet standardised by different constants."""
    config = CONFIGS[request.param]
    theirs = published(replace(config, n_train=N, n_test=0, n_valid=0)).train
    ours = sample(config, KEY, N)
    return (np.asarray(ours.x, float), np.asarray(ours.y)), theirs


def test_every_position_of_every_class_is_distributed_as_published(both):
    """Two-sample Kolmogorov–Smirnov tests; the smallest p of hundreds stays above what chance gives once in 1000."""
    (x, y), theirs = both
    p = [ks_2samp(x[y == k][:, j], theirs.x[theirs.y == k][:, j]).pvalue for k in range(10) for j in range(x.shape[1])]
    assert min(p) > 1e-3 / len(p)
    assert np.mean(np.array(p) < 0.05) < 0.15  # neighbouring positions are not independent


def z_scores(a, b):
    """Of the differences of means over rows."""
    return (a.mean(0) - b.mean(0)) / (a.var(0) / len(a) + b.var(0) / len(b)) ** 0.5


def power(x):
    return np.abs(np.fft.rfft(x, axis=1)) ** 2


def test_moments_and_spectrum_are_as_published(both):
    """Class means, products of positions and of their squares, power at each frequency: within 5 standard errors."""
    (x, y), theirs = both
    for k in range(10):
        assert np.abs(z_scores(x[y == k], theirs.x[theirs.y == k])).max() < 5
    for statistic in (
        lambda v: (v[:, :, None] * v[:, None]).reshape(len(v), -1),
        lambda v: (v[:, :, None] ** 2 * v[:, None] ** 2).reshape(len(v), -1),
        power,
    ):
        assert np.abs(z_scores(statistic(x), statistic(theirs.x))).max() < 5


def test_a_wrong_data_parameter_would_be_noticed():
    """The tests above can fail: a fifth more noise is seen."""
    x = np.asarray(sample(MNIST1D(corr_noise_scale=0.3), KEY, 2 * N).x)
    theirs = published(MNIST1D(n_train=2 * N, n_test=0, n_valid=0)).train.x
    assert np.abs(z_scores(power(x), power(theirs))).max() > 5


def test_standardised():
    x = np.asarray(sample(MNIST1D(), KEY, N).x)
    assert abs(x.mean()) < 0.02
    assert abs(x.std() - 1) < 0.02


@pytest.mark.slow
def test_example_depends_on_key_and_number_only():
    many = sample(MNIST1D(), KEY, 300)
    for n, first in ((7, 0), (50, 100), (1, 299)):
        few = sample(MNIST1D(n_train=7990, seed=5), KEY, n, first=first)
        np.testing.assert_array_equal(few.x, many.x[first : first + n])
        np.testing.assert_array_equal(few.y, many.y[first : first + n])
    assert not np.array_equal(sample(MNIST1D(), jax.random.key(2), 300).x, many.x)


@pytest.fixture(scope="module")
def signal():
    """Of single examples, the constants of standardisation held: value, gradient and forward derivative."""
    shared, source = constants(MNIST1D()), endless(MNIST1D())

    def signal(values):
        one = jax.vmap(lambda i: source.example(shared, values, KEY, i)[0])
        return jnp.sin(one(jnp.arange(20))).sum()

    forward = jax.jit(lambda values, tangents: jax.jvp(signal, (values,), (tangents,))[1])
    return jax.jit(jax.value_and_grad(signal)), forward


@pytest.fixture(scope="module")
def roughness():
    """Constants of standardisation included: they follow the data parameters."""

    def roughness(values):
        return jnp.square(jnp.diff(sample(MNIST1D(), KEY, 200, data_params=values).x)).mean()

    return jax.jit(jax.value_and_grad(roughness))


def shifted(values, name, by):
    """Return data parameters, one of which is shifted; one program serves all."""
    return {key: np.float32(value + by * (key == name)) for key, value in values.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTINUOUS)
def test_gradient_equals_finite_differences(name, signal):
    graded, forward = signal
    values, h = {key: getattr(MNIST1D(), key) for key in CONTINUOUS}, 1e-2
    analytic = graded(shifted(values, name, 0))[1][name]
    numeric = (graded(shifted(values, name, h))[0] - graded(shifted(values, name, -h))[0]) / (2 * h)
    tangents = shifted(dict.fromkeys(CONTINUOUS, 0.0), name, 1)
    np.testing.assert_allclose(analytic, numeric, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(analytic, forward(shifted(values, name, 0), tangents), rtol=1e-4, atol=1e-4)
    assert abs(float(analytic)) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTINUOUS)
def test_gradient_of_sample_is_its_derivative(name, roughness):
    values, h = {key: getattr(MNIST1D(), key) for key in CONTINUOUS} | {"iid_noise_scale": 0.2}, 2e-2
    numeric = (roughness(shifted(values, name, h))[0] - roughness(shifted(values, name, -h))[0]) / (2 * h)
    np.testing.assert_allclose(roughness(shifted(values, name, 0))[1][name], numeric, rtol=3e-2, atol=1e-3)


@pytest.fixture(scope="module")
def traced():
    return jax.jit(lambda values: sample(MNIST1D(), KEY, 100, data_params=values))


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA_PARAMS)
def test_traced_value_equals_the_configs(name, traced):
    value = {"max_translation": 3, "label_noise": 0.5}.get(name, 0.7)
    want = sample(replace(MNIST1D(), **{name: value}), KEY, 100)
    got = traced({key: np.float32(getattr(MNIST1D(), key)) for key in DATA_PARAMS} | {name: np.float32(value)})
    np.testing.assert_allclose(got.x, want.x, atol=1e-5)
    np.testing.assert_array_equal(got.y, want.y)


@pytest.mark.slow
def test_vmap_over_data_params_and_keys():
    noise, keys = jnp.array([0.0, 0.5]), jax.random.split(KEY, 2)
    many = jax.vmap(lambda k, v: sample(MNIST1D(), k, 30, data_params={"iid_noise_scale": v}).x)(keys, noise)
    one = sample(MNIST1D(), keys[1], 30, data_params={"iid_noise_scale": noise[1]}).x
    np.testing.assert_allclose(many[1], one, atol=1e-5)


def test_other_seeds_sizes_and_data_params_do_not_compile_again():
    from flylab.data import generator

    def traced() -> int:
        return generator._sample._cache_size()

    sample(MNIST1D(), KEY, 33)
    before = traced()
    sample(MNIST1D(n_train=90, seed=3, iid_noise_scale=0.5, max_translation=9), jax.random.key(9), 33, first=5)
    assert traced() == before


@pytest.mark.slow
def test_labels_noise_and_random():
    clean = np.asarray(sample(MNIST1D(), KEY, N).y)
    assert np.abs(np.bincount(clean) / N - 0.1).max() < 0.02
    noisy = sample(MNIST1D(label_noise=0.3), KEY, N)
    assert abs(np.mean(np.asarray(noisy.y) != clean) - 0.3 * 0.9) < 0.02
    np.testing.assert_array_equal(noisy.x, sample(MNIST1D(), KEY, N).x)
    never = sample(MNIST1D(label_noise=0.3, label_noise_repeats=False), KEY, N)
    assert abs(np.mean(np.asarray(never.y) != clean) - 0.3) < 0.02
    assert set(np.unique(np.asarray(sample(MNIST1D(random_labels=3), KEY, N).y))) == {0, 1, 2}
    some = np.asarray(sample(MNIST1D(classes=(7, 3), label_noise=0.2), KEY, N).y)
    assert set(np.unique(some)) == {3, 7}


@pytest.mark.slow
def test_templates_and_arrangements():
    rng = np.random.default_rng(0)
    config = MNIST1D(templates=Templates.of(rng.normal(size=(3, 17)), y=[4, 0, 7]), n_train=30, n_test=0, n_valid=0)
    assert set(np.unique(np.asarray(sample(config, KEY, 50).y))) == {0, 4, 7}
    plain = sample(MNIST1D(iid_noise_scale=0.0), KEY, 20).x
    order = shuffled(40, seed=3)
    mixed = sample(MNIST1D(iid_noise_scale=0.0, permutation=order), KEY, 20).x
    np.testing.assert_allclose(mixed, plain[:, list(order)], atol=1e-5)
    drawn = sample(MNIST1D(iid_noise_scale=0.0, shuffle_seq=True, seed=3), KEY, 20).x
    np.testing.assert_allclose(drawn, mixed, atol=1e-5)


@pytest.mark.slow
def test_composed_templates_are_all_sequences():
    ten, pairs = digits().arrays()[0], compose()
    np.testing.assert_array_equal(pairs.arrays()[0][37], np.concatenate([ten[3], ten[7]]))
    assert pairs.y == tuple(range(100))
    two = compose(Templates.of([[0, 1, 0], [0, 2, 0]], y=[5, 5]), 3)  # labels tell sequences apart, not templates
    assert (len(two.t), two.y[-1], two.x[1]) == (9, 7, (0, 1, 0, 0, 1, 0, 0, 2, 0))
    config = MNIST1D(templates=pairs, template_len=24, final_seq_length=1000, n_train=200, n_test=0, n_valid=0)
    assert np.unique(published(config).train.y).size == 100
    assert sample(config, KEY, 3).x.shape == (3, 1000)
    for n, said in ((0, "n=0 must be an integer ≥ 1"), (5, "at most 10000"), (10**9, "of at most 100 templates")):
        with pytest.raises(ValueError, match=said):  # and not after hours
            compose(n=n)
    with pytest.raises(ValueError, match="templates=3 must be Templates"):
        compose(3)  # pyright: ignore[reportArgumentType]


def test_generated_is_like_published():
    ours, theirs = generated(replace(SMALL, label_noise=1.0)), published(SMALL)
    for name in ("train", "valid", "test"):
        got, want = getattr(ours, name), getattr(theirs, name)
        assert got.x.shape == want.x.shape
        assert got.x.dtype == np.float32
    np.testing.assert_allclose(ours.t, theirs.t, rtol=0.15)
    clean = generated(SMALL)
    np.testing.assert_array_equal(ours.test.y, clean.test.y)  # only training labels are noisy
    assert (ours.train.y != clean.train.y).mean() > 0.5
    assert not np.array_equal(clean.train.x, clean.test.x)


# ── as a source for training ─────────────────────────────────────────────────────────────────────────────────────────

OBJECTIVE = supervised(dense.logistic())


@pytest.mark.slow
def test_population_trains_on_fresh_data_under_swept_data_params():
    grid = {"learning_rate": [1e-2], "iid_noise_scale": [0.02, 2.0], "seed": range(3)}
    population = train_members(OBJECTIVE, endless(SMALL), Plan(60, eval_every=30), grid)
    assert set(population.results) == {"test_accuracy", "test_loss", "valid_accuracy", "valid_loss", "prediction"}
    last = population.results.test_accuracy.isel(step=-1).squeeze("learning_rate").mean("seed")
    assert float(last[0]) > float(last[1]) + 5


@pytest.mark.slow
def test_a_member_on_fresh_data_is_the_same_alone():
    plan, data_params = Plan(30), {"learning_rate": [1e-2]}
    many = train_members(
        OBJECTIVE, endless(SMALL), plan, {**data_params, "iid_noise_scale": [0.1, 0.5], "seed": range(3)}
    )
    one = train_members(OBJECTIVE, endless(SMALL), plan, {**data_params, "iid_noise_scale": [0.5], "seed": [2]})
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0, 1, 2], b[0, 0, 0]), many.params, one.params)


@pytest.mark.slow
def test_batches_are_the_endless_sets_examples():
    """Step s trains on examples s · batch size … of the member's own stream: an epoch over them, kept, is the same."""
    from flylab.base.rng import stream

    plan = Plan(4, batch_size=10, eval_every=4)
    source, params = endless(SMALL), OBJECTIVE.init(KEY, {})
    fresh = train(OBJECTIVE, params, source, plan, {"learning_rate": 0.01}, key=KEY)
    kept = sample(SMALL, stream(KEY, "data"), 40)
    splits = published(SMALL)._replace(train=jax.tree.map(np.asarray, kept))
    fixed = train(OBJECTIVE, params, splits, plan, {"learning_rate": 0.01}, key=KEY)
    np.testing.assert_allclose(fresh.history["loss"], fixed.history["loss"], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), fresh.params, fixed.params)


@pytest.mark.slow
def test_training_is_differentiable_in_a_data_parameter():
    params = OBJECTIVE.init(KEY, {})

    def last_loss(noise):
        data_params = {"learning_rate": 0.01, "iid_noise_scale": noise}
        return train(OBJECTIVE, params, endless(SMALL), Plan(10, batch_size=20), data_params, key=KEY).history["loss"][
            -1
        ]

    slope = jax.jit(jax.grad(last_loss))(0.5)
    assert np.isfinite(slope)
    assert float(slope) != 0


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        ({"iid_noise": [0.1]}, "'iid_noise' is read by nothing"), ({"n_train": [9]}, "'n_train' cannot be traced"),
        ({"max_translation": [5, 0]}, "max_translation=0"), ({"label_noise": [0.1, 7.0]}, "label_noise=7.0"),
    ],
)  # fmt: skip
def test_wrong_data_params_are_refused(axis, says):
    with pytest.raises(ValueError, match=says):
        train_members(OBJECTIVE, endless(SMALL), Plan(2), {"learning_rate": [1e-2], **axis, "seed": [0]})


def test_empty_test_set_is_refused():
    with pytest.raises(ValueError, match=r"test set is empty"):
        train_members(OBJECTIVE, endless(replace(SMALL, n_test=0)), Plan(2), {"learning_rate": [1e-2], "seed": [0]})


def test_keys_of_another_kind():
    assert sample(MNIST1D(), jax.random.key(0, impl="rbg"), 5).x.shape == (5, 40)


@pytest.mark.slow
def test_without_validation_set():
    source = endless(replace(SMALL, n_valid=0))
    results = train_members(OBJECTIVE, source, Plan(5), {"learning_rate": [1e-2], "seed": [0]}).results
    assert set(results) == {"test_accuracy", "test_loss", "prediction"}


def test_refuses_a_data_parameter_that_changes_shapes():
    with pytest.raises(ValueError, match=r"'final_seq_length' cannot be traced.*iid_noise_scale"):
        sample(MNIST1D(), KEY, 3, data_params={"final_seq_length": 20})
    with pytest.raises(ValueError, match=r"label_noise=3\.0"):
        sample(MNIST1D(), KEY, 3, data_params={"label_noise": 3.0})


@pytest.mark.slow
def test_a_repeating_source_gives_its_examples_again():
    source = endless(MNIST1D())
    again = repeating(source, 7)
    shared, key = source.prepare({}), jax.random.key(3)
    for i, same in ((3, 3), (10, 3), (700, 0)):
        x, y = again.example(shared, {}, key, jnp.int32(i))
        expected, label = source.example(shared, {}, key, jnp.int32(same))
        np.testing.assert_array_equal(x, expected)
        assert y == label
    x, _ = again.example(shared, {"n_train": np.float32(2)}, key, jnp.int32(5))  # a name replaces the number
    np.testing.assert_array_equal(x, source.example(shared, {}, key, jnp.int32(1))[0])
    with pytest.raises(ValueError, match="n_train=0 must be an integer ≥ 1"):
        again.check({"n_train": 0})
