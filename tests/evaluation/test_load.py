"""What users bring: every form that is taken, and for every other a clear error."""

import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flylab.base.usercode import RefusedError
from flylab.evaluation.load import user_model
from flylab.models import convolutional
from flylab.runs.loading import load

SIGNALS = np.random.default_rng(0).standard_normal((20, 40))
HEAD = """
import equinox as eqx, jax, jax.numpy as jnp, torch, flylab
from torch import nn
from flylab.models import convolutional, get_model
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def init(key):
    return {"w": 0.1 * jax.random.normal(key, (10, 40))}
"""
GOOD = {
    "a model": ("thing = get_model('cnn')", 5210),
    "a function that makes a model": ("def thing(width=7): return get_model('mlp', width=width)", 423),
    "a pair": ("thing = (init, lambda params, x: params['w'] @ x)", 400),
    "a function that makes a pair": ("def thing(): return init, lambda params, x: params['w'] @ x", 400),
    "a torch class": ("class thing(nn.Linear):\n    def __init__(self): super().__init__(40, 10)", 410),
    "a torch class for channels": (
        "class thing(nn.Sequential):\n"
        "    def __init__(self): super().__init__(nn.Conv1d(1, 2, 40), nn.Flatten(), nn.Linear(2, 10))", 112),
    "a function that makes a torch module": ("def thing(): return nn.Linear(40, 10)", 410),
    "a torch net that starts at zero": (
        "def thing():\n    net = nn.Linear(40, 10)\n    nn.init.zeros_(net.weight)\n    return net", 410),
    "a torch tuple": (
        "class thing(nn.Linear):\n    def __init__(self): super().__init__(40, 10)\n"
        "    def forward(self, x): return super().forward(x), x", 410),
    "a torch dictionary": (
        "class thing(nn.Linear):\n    def __init__(self): super().__init__(40, 10)\n"
        "    def forward(self, x): return {'features': x, 'logits': super().forward(x)}", 410),
    "a torch sequence of points": (
        "class thing(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.gru, self.output = nn.GRU(1, 3, batch_first=True), nn.Linear(3, 10)\n"
        "    def forward(self, x): return self.output(self.gru(x)[0][:, -1])", 54 + 40),
    "torch's lazy layers": ("def thing(): return nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(10))", 265),
    "as many lazy channels as examples": (
        "def thing(): return nn.Sequential(nn.LazyConv1d(16, 3), nn.Flatten(), nn.LazyLinear(10))", 64 + 6090),
    "torch's dropout, batch norm and double precision": (
        "def thing(): return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.BatchNorm1d(40), nn.Linear(40, 10)).double()",
        490),
    "an equinox class": (
        "class thing(eqx.Module):\n    layer: eqx.nn.Linear\n"
        "    def __init__(self, *, key): self.layer = eqx.nn.Linear(40, 10, key=key)\n"
        "    def __call__(self, x): return self.layer(x)", 410),
    "an equinox function, with channels": (
        "def thing(key):\n    a, b = jax.random.split(key)\n"
        "    first, last = eqx.nn.Conv1d(1, 2, 40, key=a), eqx.nn.Linear(2, 10, key=b)\n"
        "    return eqx.nn.Sequential([first, eqx.nn.Lambda(jnp.ravel), last])", 112),
    "a pipeline": ("thing = make_pipeline(StandardScaler(), RandomForestClassifier())", np.nan),
    "a classifier's class": ("thing = RandomForestClassifier", np.nan),
}  # fmt: skip
BAD = {
    "no outputs": ("thing = get_model('mlp', n_outputs=5)", r"shape \(5,\) for one example of shape \(40,\), not"),
    "another length": ("thing = get_model('mlp', length=28)", r"given one example of shape \(40,\), raised TypeError"),
    "NaN": ("thing = (init, lambda params, x: jnp.sqrt(-1 - (params['w'] @ x) ** 2))", "outputs are not finite"),
    "ignores its input": ("thing = (init, lambda params, x: params['w'].sum(1))", "ignores its input"),
    "no parameters": ("thing = (lambda key: {}, lambda params, x: x[:10])", "at least one"),
    "whole numbers": ("thing = (lambda key: jnp.ones((10, 40), int), lambda w, x: w @ x)", "floating-point"),
    "fails": ("def thing(): raise RuntimeError('no luck')", r"thing raised RuntimeError: no luck \(mine.py, line 12\)"),
    "needs arguments": ("class thing(nn.Linear): pass", "needs arguments .*in_features, out_features"),
    "a torch module": ("thing = nn.Linear(40, 10)", "made already: give its class"),
    "an equinox module": ("thing = eqx.nn.Linear(40, 10, key=jax.random.key(0))", "made already: give its class"),
    "torch's outputs": ("def thing(): return nn.Linear(40, 5)", r"gives Tensor \(16, 5\) for .* \(16, 40\)"),
    "torch's length": ("def thing(): return nn.Linear(28, 10)", r"a batch of signals of shape \(16, 40\), raised"),
    "torch's input": (
        "class thing(nn.Linear):\n    def __init__(self): super().__init__(40, 10)\n"
        "    def forward(self, x): return super().forward(0 * x)", "ignores its input"),
    "torch without outputs": (
        "class thing(nn.Linear):\n    def __init__(self): super().__init__(40, 10)\n"
        "    def forward(self, x): return {'scores': [1], 'h': None}", r"it returns dict\(scores: list\(int\), h: N"),
    "torch's features first": (
        "class thing(nn.Linear):\n    def __init__(self): super().__init__(40, 10)\n"
        "    def forward(self, x): return x, super().forward(x)", r"gives tuple\(Tensor \(16, 40\), Tensor"),
    "torch without parameters": ("def thing(): return nn.AdaptiveAvgPool1d(10)", "no parameters to train"),
    "a regressor": ("thing = LinearRegression()", "no classifier"),
    "a number": ("thing = 7", "thing is of type int, which is no model: give a flylab.Model or a pair"),
}  # fmt: skip


def place(tmp_path, code, name="mine"):
    file = tmp_path / f"{name}.py"
    file.write_text(HEAD + textwrap.dedent(code) + "\n")
    return f"{file}:thing"


@pytest.mark.slow
@pytest.mark.parametrize("case", GOOD)
def test_is_taken(tmp_path, case):
    code, n_params = GOOD[case]
    name, thing, digest = load(place(tmp_path, code))
    found = user_model(thing, name, SIGNALS, 10, digest)
    assert found.name == "thing"
    np.testing.assert_equal(found.learner.n_params, n_params)
    assert len(found.digest) == 64


@pytest.mark.parametrize("case", BAD)
def test_is_refused(tmp_path, case):
    code, message = BAD[case]
    name, thing, digest = load(place(tmp_path, code))
    with pytest.raises(RefusedError, match=message):
        user_model(thing, name, SIGNALS, 10, digest)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("mine.py", "names nothing: give FILE.py:NAME"),
        ("nowhere.py:Net", "nowhere.py does not exist"),
        ("no.such.module:Net", "there is no module 'no.such.module'"),
        ("flylab.models.convolutional:mlp", "flylab.models.convolutional has no 'mlp'; it defines .*cnn"),
    ],
)
def test_a_place_that_is_none(where, message):
    with pytest.raises(ValueError, match=message):
        load(where)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", r"raised ZeroDivisionError: division by zero \(mine.py, line 12\)"),
        ("import no_such_package", "raised ModuleNotFoundError"),
        ("exit(3)", "raised SystemExit: 3"),
        ("def thing(:", "raised SyntaxError"),
    ],
)
def test_a_file_that_fails(tmp_path, code, message):
    with pytest.raises(RefusedError, match=message):
        load(place(tmp_path, code))


@pytest.mark.slow
def test_a_file_finds_its_neighbours_and_they_count(tmp_path):
    (tmp_path / "width_of_it.py").write_text("WIDTH = 3\n")
    code = "from width_of_it import WIDTH\ndef thing(): return get_model('mlp', width=WIDTH)"
    first = load(place(tmp_path, code))[2]
    import sys

    sys.modules.pop("width_of_it")
    (tmp_path / "width_of_it.py").write_text("WIDTH = 44\n")
    name, thing, second = load(place(tmp_path, code))
    assert first != second
    assert user_model(thing, name, SIGNALS, 10).learner.n_params == 44 * 41 + 44 * 45 + 10 * 45
    sys.modules.pop("width_of_it")


def test_the_path_and_the_modules_are_left_as_they_were(tmp_path):
    import sys

    before = list(sys.path)
    load(place(tmp_path, "thing = get_model('mlp')", name="json"))  # a file may be called as any module is
    assert sys.path == before
    assert sys.modules["json"].__name__ == "json"
    assert hasattr(sys.modules["json"], "dumps")


def test_a_network_that_starts_at_zero_is_taken():
    def init(key):
        return {"hidden": jax.random.normal(key, (8, 40)), "output": jnp.zeros((10, 8))}

    found = user_model((init, lambda p, x: p["output"] @ jax.nn.relu(p["hidden"] @ x)), "mine", SIGNALS, 10)
    assert found.learner.n_params == 400
    assert found.digest is None


def test_a_module_by_its_name():
    name, thing, _ = load("flylab.models.convolutional:cnn")
    assert (name, thing) == ("cnn", convolutional.cnn)


def test_a_network_that_draws_from_numpys_global_generator_is_refused():
    pair = (lambda key: np.random.standard_normal((10, 40)).astype(np.float32), lambda w, x: w @ x)
    with pytest.raises(RefusedError, match="init draws from NumPy's global generator"):
        user_model(pair, "mine", SIGNALS, 10)


def test_global_generators_are_put_back_and_determine_what_is_made():
    """A factory may draw: what it makes is the same each time."""

    def make():
        fixed = np.random.standard_normal((40, 40)).astype(np.float32)
        return lambda key: jax.random.normal(key, (10, 40)), lambda w, x: w @ (fixed @ x)

    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first, second = (user_model(make, "mine", SIGNALS, 10).learner for _ in range(2))
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert first.n_params == second.n_params == 400
