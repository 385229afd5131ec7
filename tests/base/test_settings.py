"""Settings of JAX: pinned, refused, or part of names."""

import contextlib

import jax
import numpy as np
import pytest

from flylab.base import runtime, settings
from flylab.models import get_model
from flylab.training.objectives import supervised
from flylab.training.population import train_members, watch_members
from flylab.training.step import Plan

PINNED = {
    "jax_enable_x64": True,
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_default_matmul_precision": "bfloat16",
}
REFUSED = {
    "jax_disable_jit": True,
    "jax_no_tracing": True,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_transfer_guard": "disallow",
    "jax_transfer_guard_device_to_host": "disallow_explicit",
}
NAMED = {"jax_softmax_custom_jvp": True, "jax_use_direct_linearize": False, "jax_disable_most_optimizations": True}


@contextlib.contextmanager
def configured(**values):
    before = {name: getattr(jax.config, name, jax.config.values[name]) for name in values}
    try:
        for name, value in values.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@pytest.mark.slow
@pytest.mark.parametrize("train", [train_members, lambda *args: [*watch_members(*args)][-1]])
def test_results_do_not_depend_on_pinned_settings(tiny, train):
    arguments = supervised(get_model("logistic")), tiny, Plan(3), {"learning_rate": [0.1], "seed": [0]}
    expected = train(*arguments).results
    with configured(**PINNED):
        assert jax.numpy.ones(1).dtype == "float64"
        results = train(*arguments).results
        assert jax.config.jax_enable_x64  # the user's own code has its settings back
    assert results.identical(expected)
    assert results.train_loss.dtype == np.float32


def test_names_do_not_depend_on_pinned_settings():
    expected = settings.named()
    with configured(**PINNED):
        assert settings.named() == expected
        assert not settings.unusual()


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_nothing_can_be_trained_under_are_refused_before_any_work(name):
    with configured(**{name: REFUSED[name]}), pytest.raises(ValueError, match=f"{name}={REFUSED[name]} must be"):
        runtime.initialise()
    assert runtime.initialise()


def test_a_guard_against_transfers_in_a_block_is_refused():
    with jax.transfer_guard("disallow"), pytest.raises(ValueError, match="jax_transfer_guard"):
        runtime.initialise()


@pytest.mark.parametrize("name", NAMED)
def test_other_settings_are_named(name):
    before = settings.named()
    with configured(**{name: NAMED[name]}):
        assert settings.unusual() == {name: str(NAMED[name])}
        assert settings.named() != before
    assert settings.named() == before


def test_flags_of_xla_are_named_but_not_the_number_of_devices(monkeypatch, tmp_path):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    before, fast = settings.named(), "--xla_cpu_enable_fast_math=true"
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    assert settings.named() == before
    monkeypatch.setenv("XLA_FLAGS", f"--xla_force_host_platform_device_count=8 {fast}")
    assert settings.unusual() == {"XLA_FLAGS": fast}
    (tmp_path / "flags").write_text(f"{fast}\n")
    monkeypatch.setenv("XLA_FLAGS", str(tmp_path / "flags"))  # XLA reads a file whose name it finds there
    assert settings.unusual() == {"XLA_FLAGS": fast}


def test_variables_of_other_libraries_are_named_where_they_are_set(monkeypatch):
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "AVX512F")
    assert settings.unusual() == {"NPY_DISABLE_CPU_FEATURES": "AVX512F"}
