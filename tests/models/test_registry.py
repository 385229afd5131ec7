"""Models by name: what is registered, what is refused, and how another package registers its own."""

import importlib.metadata
import re

import jax
import jax.numpy as jnp
import pytest

from flylab.models import Model, get_model, list_models, model_title, register_model, registry


@pytest.fixture(autouse=True)
def unchanged(monkeypatch):
    """Whatever a test registers is gone after it."""
    list_models()
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))


def zeros(length=40, n_outputs=10, width=1):
    return Model(lambda key: jnp.zeros((n_outputs, length)), lambda weights, x: weights @ x)


def test_the_published_networks_come_first():
    assert list_models()[:4] == ("logistic", "mlp", "cnn", "gru")
    assert len(set(list_models())) == len(list_models())


@pytest.mark.parametrize("name", list_models())
def test_no_random_number_is_drawn_twice(name):
    with jax.debug_key_reuse(True):
        jax.eval_shape(get_model(name).init, jax.random.key(0))


@pytest.mark.parametrize("name", list_models())
def test_the_same_arguments_give_the_same_model(name):
    assert get_model(name) is get_model(name, 40, 10) is get_model(name, n_outputs=10, length=40)
    assert model_title(name)


def test_a_registered_model_is_built_with_its_sizes():
    register_model("zeros", title="all zeros")(zeros)
    assert get_model("zeros", 7, 3, width=2).init(None).shape == (3, 7)
    assert get_model("zeros", width=2) is not get_model("zeros", width=3)
    assert model_title("zeros") == "all zeros"
    assert list_models()[-1] == "zeros"


def test_registering_again_is_allowed_for_the_same_constructor_only():
    register_model("zeros")(zeros)
    register_model("zeros")(zeros)
    with pytest.raises(ValueError, match="zeros"):
        register_model("zeros")(lambda length=40, n_outputs=10: zeros(length, n_outputs))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: get_model("mpl"), "there is no model 'mpl'; did you mean 'mlp'?"),
        (lambda: get_model("nothing like it"), "there is no model 'nothing like it'; there are logistic, mlp"),
        (
            lambda: get_model("mlp", channels=3),
            "the model 'mlp' has no size 'channels'; it has length, n_outputs, width",
        ),
        (lambda: get_model("ticket", 41), "must be 40 and 10, the ticket's sizes"),
        (lambda: register_model("bare")(lambda n_outputs=10: None), "must take 'length'"),
        (lambda: register_model("mlp")(zeros), "the model 'mlp' is already registered"),
        (lambda: get_model("mlp", widht=3), "did you mean 'width'?"),
        (lambda: get_model("mlp", width=0), "width=0 must be an integer ≥ 1"),
        (lambda: get_model("mlp", width=[1]), "width=[1] must be an integer ≥ 1"),
        (lambda: get_model("mlp", 0), "length=0 must be an integer ≥ 1"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=f"(?i){re.escape(message)}"):
        call()


def test_a_broken_package_is_left_out_with_a_warning(monkeypatch):
    class Entry:
        value = "bad_nets"

        @staticmethod
        def load():
            raise ModuleNotFoundError("No module named 'bad_nets'")

    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()])
    registry._load.cache_clear()
    with pytest.warns(UserWarning, match="the models of bad_nets are left out"):
        assert list_models()[:4] == registry.PUBLISHED


def test_another_package_registers_its_own(monkeypatch):
    class Entry:
        @staticmethod
        def load():
            register_model("theirs")(zeros)

    def entry_points(group):
        return [Entry()] if group == "flylab.models" else importlib.metadata.entry_points(group=group)

    monkeypatch.setattr(registry, "entry_points", entry_points)
    registry._load.cache_clear()
    assert "theirs" in list_models()
    assert get_model("theirs").apply(jnp.ones((10, 40)), jnp.ones(40)).shape == (10,)
