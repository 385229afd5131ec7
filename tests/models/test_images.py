"""Layers and networks for images: all networks pass the same tests, and equal PyTorch's modules."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from flylab.data import Images, load_images
from flylab.models import Model, activations, convolutional, n_params, outputs
from flylab.models.flops import forward_flops
from flylab.models.layers import conv2d, conv2d_init
from flylab.training.objectives import supervised
from flylab.training.population import train_members
from flylab.training.step import Plan

key = jax.random.key(0)


# ── PyTorch ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Cnn(nn.Module):
    """Convolutions of stride 2."""

    def __init__(self, shape, widths=(16, 16, 16)):
        super().__init__()
        for i, n_out in enumerate(widths):
            setattr(self, f"conv{i + 1}", nn.Conv2d(widths[i - 1] if i else shape[2], n_out, 3, 2, 1))
        height, width = (-(-n // 2 ** len(widths)) for n in shape[:2])
        self.n_layers, self.output = len(widths), nn.Linear(widths[-1] * height * width, 10)

    def forward(self, x):
        for i in range(self.n_layers):
            x = getattr(self, f"conv{i + 1}")(x).relu()
        return self.output(x.permute(0, 2, 3, 1).flatten(1))  # ours has channels last


class Block(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(n_in, n_out, 3, stride, 1), nn.Conv2d(n_out, n_out, 3, 1, 1)
        if stride == 2:
            self.skip = nn.Conv2d(n_in, n_out, 1, 2)

    def forward(self, x):
        return (self.conv2(self.conv1(x).relu()) + (self.skip(x) if hasattr(self, "skip") else x)).relu()


class ResNet(nn.Module):
    def __init__(self, shape, widths=(16, 24, 32)):
        super().__init__()
        self.stem, self.output = nn.Conv2d(shape[2], widths[0], 5, 2, 2), nn.Linear(widths[-1], 10)
        self.block1 = Block(widths[0], widths[0], 1)
        for i, n_in in enumerate(widths[:-1]):
            setattr(self, f"block{i + 2}", Block(n_in, widths[i + 1], 2))
        self.n_blocks = len(widths)

    def forward(self, x):
        x = self.stem(x).relu()
        for i in range(self.n_blocks):
            x = getattr(self, f"block{i + 1}")(x)
        return self.output(x.mean((2, 3)))


def ours(module):
    """Convert a module's parameters to ours: layers by name, convolutions with channels last."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        w = module.weight.detach().numpy()
        w = w if w.ndim == 2 else w[..., 0, 0] if w.shape[2:] == (1, 1) else w.transpose(0, 2, 3, 1)
        return {"w": w, "b": module.bias.detach().numpy()}
    return {name: ours(child) for name, child in module.named_children()}


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Case(NamedTuple):
    model: Model
    module: nn.Module
    shape: tuple[int, int, int]
    size: int  # parameters


def case(shape, size, *widths, make=convolutional.cnn2d, module=Cnn):
    sizes = [widths] if widths else []
    return Case(make(shape, 10, *sizes), module(shape, *sizes), shape, size)


resnet = partial(case, make=convolutional.resnet2d, module=ResNet)
CASES = {
    "cnn2d-digits": case((8, 8, 1), 4970),
    "cnn2d-mnist": case((28, 28, 1), 7370),
    "cnn2d-cifar": case((32, 32, 3), 52730, 32, 48, 64),
    "cnn2d-one": case((5, 12, 2), 1204, 6),
    "cnn2d-five": case((9, 33, 1), 770, 4, 5, 4, 3, 5),
    "resnet2d-digits": resnet((8, 8, 1), 31474),
    "resnet2d-cifar": resnet((32, 32, 3), 32274),
    "resnet2d-odd": resnet((13, 9, 2), 1152, 4, 6),
}  # fmt: skip
SLOW = ("cnn2d-five", "cnn2d-cifar", "resnet2d-cifar", "cnn2d-mnist", "resnet2d-digits")
EACH = pytest.mark.parametrize("name", CASES)
MOST = pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.long if n in SLOW else ()) for n in CASES])
ALONE = pytest.mark.parametrize(  # what a ResNet does with one image is what it does with a batch of one
    "name", [pytest.param(n, marks=pytest.mark.long if n in SLOW or "resnet" in n else ()) for n in CASES]
)


def graded(forward, params, x):
    """Return value and gradients, to parameters and images, of a function of all outputs, and the outputs."""

    def value(params, x):
        out = forward(params, x)
        return jnp.sin(out).sum(), out

    (_, out), gradients = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))(params, x)
    return out, *gradients


def compare(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=5e-5), ours, theirs)


@pytest.mark.slow
@MOST
def test_equals_pytorch(name):
    """Outputs, gradients to parameters and images, shapes of initial parameters and FLOPs."""
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    model, module, shape, size = CASES[name]
    params, x = ours(module), torch.randn(3, *shape, requires_grad=True)
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, jax.eval_shape(model.init, key))
    assert n_params(model) == size
    out, gradient, to_x = graded(partial(outputs, model), params, x.detach().numpy().transpose(1, 2, 3, 0))
    with FlopCounterMode(display=False) as counter:
        theirs = module(x.permute(0, 3, 1, 2))
    assert forward_flops(model, shape) == forward_flops(model, (int(np.prod(shape)),)) == counter.get_total_flops() // 3
    np.testing.assert_allclose(out.T, theirs.detach(), atol=1e-5)
    theirs.sin().sum().backward()
    compare(to_x, x.grad.numpy().transpose(1, 2, 3, 0))
    for parameter in module.parameters():
        parameter.data = parameter.grad
    compare(gradient, ours(module))


@pytest.mark.slow
@ALONE
def test_batched_equals_single(name):
    """Values, gradients to the parameters and to the images, which may be flat; none is zero throughout."""
    model, _, shape, _ = CASES[name]
    params, x = model.init(key), np.random.default_rng(0).normal(size=(*shape, 3)).astype("float32")
    batched = graded(partial(outputs, model), params, x)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(jax.device_get(batched)))
    compare(batched, graded(lambda p, x: jax.vmap(model.apply, (None, -1), -1)(p, x), params, x))
    *flat, to_x = graded(partial(outputs, model), params, x.reshape(-1, 3))
    compare((*flat, to_x.reshape(x.shape)), batched)


ACTIVATIONS = [jnp.sin, activations.learned]


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.__name__)
def test_cnn2d_has_any_activation(activation):
    """Also a learned one; its gradients are those of one image at a time."""
    model = convolutional.cnn2d((8, 6, 1), 3, (4, 5), activation)
    params, x = model.init(key), np.random.default_rng(0).normal(size=(8, 6, 1, 4)).astype("float32")
    single = graded(lambda p, x: jax.vmap(model.apply, (None, -1), -1)(p, x), params, x)
    compare(graded(partial(outputs, model), params, x), single)


@EACH
def test_no_random_number_is_drawn_twice(name):
    with jax.debug_key_reuse(True):
        jax.eval_shape(CASES[name].model.init, key)


@pytest.mark.long
@pytest.mark.parametrize("make", [convolutional.cnn2d, convolutional.resnet2d])
def test_networks_train_alone_as_in_groups(make, monkeypatch):
    splits, plan = load_images(Images(n_train=100, n_valid=50, n_test=50)), Plan(20, 50)

    def trained(seeds):
        return train_members(make(), splits, plan, {"learning_rate": [1e-2], "seed": seeds})

    both, alone = trained([0, 3]), trained([3])
    assert (both.results.train_loss.isel(step=-1) < both.results.train_loss.isel(step=0)).all()
    jax.tree.map(np.testing.assert_array_equal, alone.params, both.sel(seed=[3]).params)
    monkeypatch.setenv("FLYLAB_GROUP", "4")
    np.testing.assert_allclose(trained([3]).results.test_loss, alone.results.test_loss, rtol=1e-3)


@pytest.mark.slow
def test_cnn2d_is_cached_and_compiles_once():
    assert convolutional.cnn2d() is convolutional.cnn2d()
    assert convolutional.cnn2d(activation=jnp.tanh) is not convolutional.cnn2d()
    traced = []

    def activation(h):
        traced.append(h.shape)
        return jnp.tanh(h)

    splits, grid = load_images(Images(n_train=100, n_valid=50, n_test=50)), {"learning_rate": [1e-3], "seed": range(2)}
    train_members(supervised(convolutional.cnn2d(activation=activation)), splits, Plan(3), grid)
    assert traced
    traced.clear()
    train_members(supervised(convolutional.cnn2d(activation=activation)), splits, Plan(3), grid)
    assert not traced


# ── layers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [(3, 2, 1, (8, 8)), (3, 1, 0, (9, 5)), (4, 3, 2, (17, 10)), (1, 1, 0, (5, 6)), (5, 2, 1, (28, 28))],
)
def test_conv2d_equals_pytorch(kernel, stride, padding, size):
    """Values, and gradients to weights, bias and image."""
    layer = nn.Conv2d(3, 7, kernel, stride, padding)
    image = torch.randn(3, *size, requires_grad=True)
    params = {"w": layer.weight.detach().numpy().transpose(0, 2, 3, 1), "b": layer.bias.detach().numpy()}
    x = image.detach().numpy().transpose(1, 2, 0)

    @partial(jax.grad, argnums=(0, 1), has_aux=True)
    def gradients(params, x):
        out = conv2d(params, x, stride, padding)
        return jnp.sin(out).sum(), out

    (gradient, to_x), out = jax.jit(gradients)(params, x)
    expected = layer(image)
    expected.sin().sum().backward()
    np.testing.assert_allclose(out, expected.detach().numpy().transpose(1, 2, 0), atol=1e-5)
    np.testing.assert_allclose(gradient["w"], layer.weight.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradient["b"], layer.bias.grad, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(to_x, image.grad.numpy().transpose(1, 2, 0), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_conv2d_init_is_pytorchs():
    """U(−b, b) with b = 1/√fan_in: values stay within the bounds and nearly reach them."""
    params, layer = conv2d_init(key, 3, 400, 3), nn.Conv2d(3, 400, 3).requires_grad_(False)
    for ours, theirs in ((params["w"], layer.weight), (params["b"], layer.bias)):
        assert ours.size == theirs.numel()
        assert float(jnp.abs(ours).max()) <= 27**-0.5
        assert float(jnp.abs(ours).max()) == pytest.approx(float(theirs.abs().max()), rel=0.02)
        assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.1)


@pytest.mark.slow
def test_conv2d_refuses_a_kernel_that_is_too_large():
    with pytest.raises(ValueError, match="kernel=9 must be ≤ 5"):
        conv2d(conv2d_init(key, 1, 2, 9), jnp.ones((20, 5, 1)))
