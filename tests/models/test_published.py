"""All models pass the same tests; the published ones equal PyTorch's modules."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from flylab.models import convolutional, n_params, outputs
from flylab.models.conv import Conv, conv_stack
from flylab.models.layers import conv1d, conv1d_init, linear_init, pool1d
from flylab.models.registry import PUBLISHED, get_model, list_models
from flylab.training.objectives import Batch, supervised
from flylab.training.step import Plan
from flylab.training.train import train

# test_families.py has the PyTorch modules of these
FAMILIES = {
    name: partial(get_model, name) for name in list_models() if name not in (*PUBLISHED, "pooling_cnn", "ticket")
}
MODELS = {
    **{name: partial(get_model, name) for name in PUBLISHED},
    "cnn-deep": partial(convolutional.cnn, hidden=(30, 20)),
    **{f"pooling-{name}": partial(convolutional.pooling_cnn, pooling=name) for name in convolutional.POOLINGS},
}
SIZES = {
    "logistic": 410, "mlp": 15210, "cnn": 5210, "gru": 5134, "pooling-none": 9310, "cnn-deep": 8560, "local": 14394,
    "shallow": 2560, "tcn": 7402, "resnet": 11570, "lstm": 5194, "attention": 9418, "bag": 9098, "mixer": 10054,
}  # fmt: skip
key = jax.random.key(0)
EACH_PUBLISHED = pytest.mark.parametrize("name", MODELS)
EACH_MODEL = pytest.mark.parametrize("name", MODELS | FAMILIES)


def drawn(model):
    """Draw parameters in NumPy: to compile the drawing in JAX takes long."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, key)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("float32"), shapes)


@EACH_MODEL
def test_published_size(name):
    assert n_params((MODELS | FAMILIES)[name]()) == SIZES.get(name, 3310)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [  # each pooling is in test_conv_stack…, too
        pytest.param(name, marks=pytest.mark.long if name in ("cnn-deep", "pooling-max", "pooling-average") else ())
        for name in MODELS | FAMILIES
    ],
)
def test_batched_equals_single(name):
    """Values, gradients to the parameters and gradients to the input; these are finite, and none is zero throughout."""
    model = (MODELS | FAMILIES)[name]()
    params, rng = drawn(model), np.random.default_rng(1)
    x = rng.normal(size=(40, 13)).astype("float32")

    def loss(forward):
        return jax.jit(jax.value_and_grad(lambda p, x: jnp.sin(forward(p, x)).sum(), argnums=(0, 1)))

    batched = loss(lambda p, x: outputs(model, p, x))(params, x)
    single = loss(lambda p, x: jax.vmap(model.apply, (None, -1), -1)(p, x))(params, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), batched, single)
    for gradient in (batched[1], single[1]):
        assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(jax.device_get(gradient)))


@EACH_MODEL
def test_same_arguments_same_model(name):
    """Otherwise each call of a study would compile again."""
    assert (MODELS | FAMILIES)[name]() is (MODELS | FAMILIES)[name]()


@EACH_MODEL
@pytest.mark.parametrize(("n_outputs", "length"), [(10, 40), (3, 17)])
def test_shapes(name, n_outputs, length):
    model = (MODELS | FAMILIES)[name](n_outputs=n_outputs, length=length)
    params = jax.eval_shape(model.init, key)
    assert jax.eval_shape(model.apply, params, jnp.ones(length)).shape == (n_outputs,)
    assert jax.eval_shape(partial(outputs, model), params, jnp.ones((length, 5))).shape == (n_outputs, 5)


@pytest.mark.slow
@EACH_PUBLISHED
def test_initialisation_is_pytorchs(name):
    """Each tensor is uniform within the same bound: its greatest and its mean absolute value are PyTorch's."""
    seeds = [jax.tree.leaves(MODELS[name]().init(jax.random.key(seed))) for seed in range(20)]
    torch.manual_seed(0)
    modules = [jax.tree.leaves(from_torch(name, torch_module(name).state_dict())) for _ in range(20)]
    for ours, theirs in zip(zip(*seeds, strict=True), zip(*modules, strict=True), strict=True):
        ours, theirs = np.abs(np.stack(ours)), np.abs(np.stack(theirs))
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours.max(), theirs.max(), rtol=0.03)
        np.testing.assert_allclose(ours.mean(), theirs.mean(), rtol=0.1)


# ── PyTorch ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1, self.hidden2, self.output = nn.Linear(40, 100), nn.Linear(100, 100), nn.Linear(100, 10)

    def forward(self, x):
        h = self.hidden1(x).relu()
        return self.output(h + self.hidden2(h).relu())


class Cnn(nn.Module):
    def __init__(self, deep=False):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(1, 25, 5, 2, 1), nn.Conv1d(25, 25, 3, 2, 1)
        self.conv3, self.output = nn.Conv1d(25, 25, 3, 2, 1), nn.Linear(20 if deep else 125, 10)
        if deep:
            self.hidden1, self.hidden2 = nn.Linear(125, 30), nn.Linear(30, 20)

    def forward(self, x):
        h = self.conv2(self.conv1(x[:, None]).relu()).relu()
        h = self.conv3(h).relu().flatten(1)
        if hasattr(self, "hidden1"):
            h = self.hidden2(self.hidden1(h).relu()).relu()
        return self.output(h)


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 6, bidirectional=True, batch_first=True)
        self.output = nn.Linear(480, 10)

    def forward(self, x):
        return self.output(self.gru(x[..., None])[0].flatten(1))


class PoolingCnn(nn.Module):
    def __init__(self, pooling):
        super().__init__()
        stride = 2 if pooling == "stride" else 1
        self.conv1, self.conv2 = nn.Conv1d(1, 20, 3, stride, 1), nn.Conv1d(20, 20, 3, stride, 1)
        self.output = nn.Linear(800 if pooling == "none" else 200, 10)
        pools = {"max": nn.MaxPool1d(2), "average": nn.AvgPool1d(2), "l2": nn.LPPool1d(2, 2)}
        self.pool = pools.get(pooling, nn.Identity())

    def forward(self, x):
        h = self.pool(self.conv1(x[:, None]).relu())
        return self.output(self.pool(self.conv2(h).relu()).flatten(1))


def torch_module(name):
    kind, _, pooling = name.partition("-")
    return {
        "logistic": lambda: nn.Linear(40, 10), "mlp": Mlp, "cnn": lambda: Cnn(deep=pooling == "deep"), "gru": Gru,
        "pooling": lambda: PoolingCnn(pooling),
    }[kind]()  # fmt: skip


def from_torch(name, tensors):
    """Convert a state dict to our parameters."""
    t = {k: jnp.asarray(v.detach().numpy()) for k, v in tensors.items()}
    if name == "logistic":
        return {"w": t["weight"], "b": t["bias"]}
    if name == "gru":
        ends = ("l0", "l0_reverse")

        def both(kind, *shape):
            return jnp.stack([t[f"gru.{kind}_{end}"].reshape(3, 6, *shape) for end in ends])

        gru = {
            "wi": both("weight_ih"),
            "wh": both("weight_hh", 6),
            "bi": both("bias_ih"),
            "bh": both("bias_hh"),
        }
        return {"gru": gru, "output": {"w": t["output.weight"], "b": t["output.bias"]}}
    layers = sorted({k.partition(".")[0] for k in t})
    return {
        layer: {
            "w": t[f"{layer}.weight"].transpose(0, 2, 1) if layer.startswith("conv") else t[f"{layer}.weight"],
            "b": t[f"{layer}.bias"],
        }
        for layer in layers
    }


@EACH_PUBLISHED
def test_equals_pytorch(name, tiny):
    """Logits and loss gradients to 1e-5."""
    torch.manual_seed(0)
    module = torch_module(name)
    params = from_torch(name, module.state_dict())
    x, y = tiny.train.x[:100].astype("float32"), tiny.train.y[:100]
    logits, model = module(torch.tensor(x)), MODELS[name]()

    @jax.jit
    def logits_and_gradient(params, batch):
        loss = supervised(model).loss
        return outputs(model, params, batch.x), jax.grad(lambda p: loss(p, batch, {}, key)[0])(params)

    ours, gradient = logits_and_gradient(params, Batch(jnp.asarray(x.T), jnp.asarray(y)))
    np.testing.assert_allclose(ours.T, logits.detach(), atol=1e-5)
    nn.functional.cross_entropy(logits, torch.tensor(y)).backward()
    theirs = from_torch(name, {k: p.grad for k, p in module.named_parameters()})
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), gradient, theirs)


@pytest.mark.long
@pytest.mark.parametrize("name", PUBLISHED)
def test_hundred_steps_of_adam_equal_pytorchs(name, tiny):
    """Compare to 1e-6 in float64: in float32, Adam would follow the sign of gradients that are rounding noise."""
    torch.manual_seed(0)
    module = torch_module(name).double()
    with jax.enable_x64(True):
        params = from_torch(name, module.state_dict())
        objective = supervised(MODELS[name]())
        trained = train(objective, params, tiny, Plan(100, eval_every=100), {"learning_rate": 1e-2}, key=key).params
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    x, y = torch.tensor(tiny.train.x.astype("float32")).double(), torch.tensor(tiny.train.y)
    for step in range(100):
        at = slice(step * 100 % 200, step * 100 % 200 + 100)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x[at]), y[at]).backward()
        optimizer.step()
    with jax.enable_x64(True):
        theirs = from_torch(name, module.state_dict())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), trained, theirs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "head"), [(convolutional.cnn(hidden=(30, 20)), [30, 20, 10]), (convolutional.backbone(), [])]
)
def test_cnn_layers_are_those_of_the_network(model, head):
    x = jnp.linspace(-1, 1, 40)
    params = drawn(model)
    layers = jax.jit(convolutional.cnn_layers)(params, x)
    assert [layer.size for layer in layers] == [40, 25 * 19, 25 * 10, 25 * 5, *head]
    np.testing.assert_array_equal(layers[0], x)
    np.testing.assert_allclose(layers[-1], jax.jit(model.apply)(params, x), atol=1e-6)
    np.testing.assert_allclose(jax.jit(model.apply_batch)(params, x[:, None])[:, 0], layers[-1], atol=1e-6)


# ── convolutions ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "length"), [(5, 2, 1, 40), (3, 1, 0, 9), (4, 3, 2, 17), (1, 1, 0, 5)]
)
def test_conv1d_equals_pytorch(kernel, stride, padding, length):
    layer = nn.Conv1d(3, 7, kernel, stride, padding)
    x = torch.randn(3, length)
    params = {"w": layer.weight.detach().numpy().transpose(0, 2, 1), "b": layer.bias.detach().numpy()}
    ours = conv1d(jax.tree.map(jnp.asarray, params), jnp.asarray(x.numpy()), stride, padding)
    np.testing.assert_allclose(ours, layer(x).detach(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "specs",
    [
        (Conv(4, 5, 2, 1), Conv(4, 3, 2, 1), Conv(4, 3, 2, 1)),
        (Conv(4, 3, 1, 1), Conv(5, 3, 1, 1)),
        (Conv(4, 3, 3, 0), Conv(5, 4, 2, 3)),
        (Conv(2, 7, 4, 2),),
        (Conv(3, 1, 2, 0), Conv(3, 3, 1, 1), Conv(3, 2, 3, 0)),
        (Conv(4, 3, 1, 1, "max"), Conv(5, 3, 1, 1, "max")),
        (Conv(4, 3, 2, 0, "average"), Conv(5, 3, 1, 2), Conv(2, 2, 1, 0, "l2")),
    ],
)
@pytest.mark.parametrize("length", [pytest.param(40, marks=pytest.mark.long), 33])  # the networks above have 40
def test_conv_stack_equals_conv1d_layer_by_layer(specs, length):
    """Phase order changes nothing but the speed: values, and gradients to weights and signal."""
    n_ins = [2, *(spec.channels for spec in specs)]
    keys = jax.random.split(key, len(specs))
    params = [conv1d_init(k, n, s.channels, s.kernel) for k, n, s in zip(keys, n_ins, specs, strict=False)]
    x = jax.random.normal(key, (2, length, 6))

    def plain(params, x):
        for param, spec in zip(params, specs, strict=True):
            x = jax.vmap(lambda x, p=param, s=spec: jax.nn.relu(conv1d(p, x, s.stride, s.padding)), -1, -1)(x)
            if spec.pooling:
                x = jax.vmap(lambda x, s=spec: pool1d(x, s.pooling), -1, -1)(x)
        return x

    def graded(forward):
        return jax.jit(jax.value_and_grad(lambda p, x: jnp.sin(forward(p, x)).sum(), argnums=(0, 1)))(params, x)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
        graded(lambda p, x: conv_stack(p, x, specs)), graded(plain),
    )  # fmt: skip


@pytest.mark.parametrize("length", [10, 11])
@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
def test_pool1d_equals_pytorch(pooling, length):
    """Values and gradients, also for pairs of zeros."""
    module = {"max": nn.MaxPool1d(2), "average": nn.AvgPool1d(2), "l2": nn.LPPool1d(2, 2)}[pooling]
    x = torch.randn(3, length)
    x[:, :4] = 0
    x.requires_grad_()
    ours = jax.value_and_grad(lambda x: jnp.sin(pool1d(x, pooling)).sum())
    value, gradient = ours(jnp.asarray(x.detach().numpy()))
    theirs = module(x).sin().sum()
    theirs.backward()
    np.testing.assert_allclose(value, theirs.detach(), atol=1e-5)
    there = slice(4, None) if pooling == "max" else slice(None)  # PyTorch takes the first of two equal values
    np.testing.assert_allclose(gradient[:, there], x.grad[:, there], atol=1e-6)


def test_pooling_cnn_refuses_an_unknown_pooling():
    with pytest.raises(ValueError, match="pooling='mean' must be one of none, stride, max, average, l2"):
        convolutional.pooling_cnn(pooling="mean")


def test_conv1d_refuses_a_kernel_that_is_too_long():
    with pytest.raises(ValueError, match="kernel=9 must be ≤ 5"):
        conv1d(conv1d_init(key, 1, 2, 9), jnp.ones((1, 5)))


def test_linear_init_is_bounded_by_fan_in():
    params = linear_init(key, 100, 50)
    assert float(jnp.abs(params["w"]).max()) <= 0.1
    assert float(jnp.abs(params["w"]).max()) > 0.099
