"""Activations: the standard ones equal PyTorch's; a network's table equals the network in all derivatives."""

import json
import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional

from flylab.models import activations

TORCH = {"swish": functional.silu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
PARAMS = activations.network_init(jax.random.key(0), 7)
x = jnp.linspace(-3, 3, 22).reshape(2, 11)


def plain(p, x):
    return (p["v"] * jnp.tanh(x[..., None] * p["w"] + p["b"])).sum(-1) + p["c"]


@pytest.mark.parametrize("name", activations.ALL)
def test_usual_functions_equal_pytorchs(name):
    values = np.linspace(-8, 8, 101, dtype=np.float32)
    want = TORCH.get(name, getattr(functional, name, None))(torch.tensor(values))
    np.testing.assert_allclose(activations.ALL[name](values), want, rtol=1e-5, atol=1e-6)


def test_initial_weights_are_those_of_pytorchs_linear_layers():
    p = activations.network_init(jax.random.key(0), 10_000)
    assert p["w"].shape == p["b"].shape == p["v"].shape == (10_000,)
    for name, bound in (("w", 1.0), ("b", 1.0), ("v", 0.01)):
        assert 0.999 * bound < jnp.abs(p[name]).max() <= bound


def test_network_is_the_plain_form():
    np.testing.assert_allclose(activations.network(PARAMS, x), plain(PARAMS, x), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_table_equals_its_network_in_every_derivative():
    """Values, gradients of weights and input, the weights' gradient of a function of the slope, and forward mode."""

    @partial(jax.jit, static_argnums=0)
    def derivatives(f):
        def of_slope(p, x):
            return jnp.sin(3 * jax.grad(lambda x: jnp.cos(f(p, x)).sum())(x)).sum()

        first = jax.grad(lambda p, x: jnp.sin(f(p, x)).sum(), (0, 1))(PARAMS, x)
        second = jax.grad(of_slope, (0, 1))(PARAMS, x)
        tangent = jax.tree.map(jnp.ones_like, (PARAMS, x))
        return first, second, jax.jvp(f, (PARAMS, x), tangent), jax.jvp(of_slope, (PARAMS, x), tangent)

    got = derivatives(lambda p, x: activations.tabled(activations.table(p), x))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), got, derivatives(plain))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.5, 1, 10, 100])
def test_a_table_is_exact_everywhere(scale):
    """Units bend near 0 and far from it; float64 leaves only the table's own error."""
    p = {name: np.asarray(leaf, float) for name, leaf in activations.network_init(jax.random.key(1), 50).items()}
    p |= {"w": 3 * p["w"] / scale, "b": 3 * p["b"]}
    points = np.concatenate([np.linspace(-20, 20, 2001) * scale, np.geomspace(1e-12, 4095, 1000)])
    with jax.enable_x64(True):
        got, want = activations.tabled(activations.table(p), points), plain(p, points)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-8)


@pytest.mark.slow
def test_a_table_takes_any_number():
    """It is constant with zero gradient beyond its last nodes; not-a-number stays not-a-number."""
    table = activations.table(PARAMS)
    far = jnp.array([-jnp.inf, -1e30, -4095, 4095, 1e30, jnp.inf])
    got, slope = jax.jit(jax.vmap(jax.value_and_grad(lambda x: activations.tabled(table, x))))(far)
    np.testing.assert_array_equal(got, jnp.repeat(got[2:4], 3))
    np.testing.assert_array_equal(slope[jnp.array([0, 1, 4, 5])], 0)
    assert np.isnan(activations.tabled(table, jnp.array([jnp.nan, 0.5]))).tolist() == [True, False]


@pytest.mark.slow
def test_batched_equals_single():
    table = activations.table(PARAMS)
    for f in (lambda x: activations.network(PARAMS, x), lambda x: activations.tabled(table, x)):
        np.testing.assert_allclose(jax.vmap(jax.vmap(f))(x), f(x), rtol=1e-6, atol=1e-6)


def test_a_learnable_activation_begins_near_elu():
    got = activations.learnable(PARAMS, x) - jax.nn.elu(x)
    np.testing.assert_allclose(got, 0.2 * plain(PARAMS, x), rtol=1e-4, atol=1e-6)
    by_table = activations.learnable(activations.table(PARAMS), x)
    np.testing.assert_allclose(by_table, activations.learnable(PARAMS, x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"weights": {"w": [NaN], "b": [1], "v": [1], "c": 0}}',
        '{"weights": {"w": [1], "b": [1], "v": [1, 2], "c": 0}}',
        '{"weights": {"w": "x"}}',
        "no JSON",
    ],
)
def test_a_file_without_an_activation_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"a.json holds no learned activation"):
        activations.load_weights(path)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_weights_survive_their_file(tmp_path, ending):
    weights = jax.tree.map(np.asarray, PARAMS)
    path = activations.save_weights(tmp_path / f"a.{ending}", weights, {"run": "r"})
    jax.tree.map(np.testing.assert_array_equal, activations.load_weights(path), weights)
    if ending == "json":
        content = json.loads(path.read_text())
        grid = {name: np.array(values) for name, values in content["grid"].items()}
        np.testing.assert_allclose(jax.nn.elu(grid["x"]) + 0.2 * plain(weights, grid["x"]), grid["y"], atol=1e-5)
        assert content["provenance"] == {"run": "r"}
    with pytest.raises(ValueError, match=r"a.pkl' must end in .json or .safetensors"):
        activations.save_weights(tmp_path / "a.pkl", weights, {})


@pytest.mark.slow
def test_a_file_may_hold_several_functions(tmp_path):
    one = jax.tree.map(np.asarray, PARAMS)
    two = {name: np.stack([leaf, 2 * leaf]) for name, leaf in one.items()}
    path = activations.save_weights(tmp_path / "two.safetensors", two, {})
    jax.tree.map(np.testing.assert_array_equal, activations.load_functions(path), two)
    with pytest.raises(ValueError, match="holds 2 learned activations; load_functions"):
        activations.load_weights(path)
    with pytest.raises(ValueError, match="a JSON file holds one function"):
        activations.save_weights(tmp_path / "two.json", two, {})
    path = activations.save_weights(tmp_path / "one.json", one, {})
    assert activations.load_functions(path)["w"].shape == (1, *one["w"].shape)


def test_a_network_of_few_units_is_the_same():
    few = activations.network_init(jax.random.key(3), 8)
    np.testing.assert_allclose(activations.network(few, x), plain(few, x), rtol=0, atol=1e-6)


def test_closed_form_recovers_a_network_of_two_units():
    """The reported error is that of the returned coefficients."""
    weights = {"w": np.array([1.3, -0.4]), "b": np.array([0.5, 0.2]), "v": np.array([2.0, -3.0]), "c": np.array(0.7)}
    fit = activations.closed_form(weights, n_terms=2)
    assert fit.error < 1e-6
    x = np.linspace(-5, 5, 31)
    got = np.tanh(x[:, None] * fit.b + fit.c) @ fit.a + fit.d
    np.testing.assert_allclose(got, 0.2 * plain(weights, x), atol=1e-5)


def test_a_file_gives_one_function(tmp_path):
    """The function object is the same, so that programs compile once; a changed file gives another function."""
    # without a closed form, whose fit takes seconds
    path = activations.save_weights(tmp_path / "a.safetensors", PARAMS, {})
    loaded = activations.load(path)
    assert activations.load(str(path)) is loaded
    before = jax.jit(loaded)(x)
    np.testing.assert_allclose(before, activations.learnable(PARAMS, x), rtol=0, atol=1e-6)
    activations.save_weights(path, jax.tree.map(lambda leaf: 2 * leaf, PARAMS), {})
    os.utime(path, ns=(1, 1))
    assert not np.allclose(jax.jit(activations.load(path))(x), before)


def test_the_committed_activation():
    """It differs from ELU, and its closed form is as exact as the file says."""
    content = json.loads(activations.ARTIFACT.read_text())
    x = np.linspace(-5, 5, 201, dtype=np.float32)
    y = activations.learned(x)
    np.testing.assert_allclose(y, content["grid"]["y"], atol=1e-4)
    assert np.abs(y - jax.nn.elu(x)).max() > 0.5
    fit = content["closed_form"]
    got = jax.nn.elu(x) + np.tanh(x[:, None] * fit["b"] + fit["c"]) @ np.array(fit["a"]) + fit["d"]
    assert np.abs(y - got).max() <= fit["error"] + 1e-4
    assert fit["error"] < 0.01
    assert content["provenance"]["run"].startswith("paper-")
