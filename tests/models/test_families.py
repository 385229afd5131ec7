"""Each network equals a PyTorch module with the same weights, or a simpler network of ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from flylab.models import attention, convolutional, dense, n_params, outputs, recurrent
from flylab.models.flops import count, forward_flops

KEY = jax.random.key(0)
computed = jax.jit(outputs, static_argnums=0)  # one program, where each operation would compile alone


def drawn(model):
    """Draw parameters in NumPy: to compile the drawing in JAX takes as long as all the rest."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, KEY)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), shapes)


class Tcn(nn.Module):
    """The TCN of the paper, which computes every layer at every position."""

    def __init__(self, n_levels=5):
        super().__init__()
        self.skip, self.output = nn.Linear(1, 24), nn.Linear(24, 10)
        for i in range(n_levels):
            setattr(self, f"conv{i + 1}", nn.Conv1d(24 if i else 1, 24, 3, dilation=2**i))
        self.n_levels = n_levels

    def forward(self, x):
        h = x[:, None]
        for i in range(self.n_levels):
            new = getattr(self, f"conv{i + 1}")(nn.functional.pad(h, (2 * 2**i, 0))).relu()
            h = new + (h if i else self.skip(h.transpose(1, 2)).transpose(1, 2))
        return self.output(h[..., -1])


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.stride = 1 if n_in == n_out else 2
        self.conv1, self.conv2 = nn.Conv1d(n_in, n_out, 3, self.stride, 1), nn.Conv1d(n_out, n_out, 3, 1, 1)
        if n_in != n_out:
            self.skip = nn.Linear(n_in, n_out)

    def forward(self, h):
        skip = self.skip(h[..., ::2].transpose(1, 2)).transpose(1, 2) if self.stride == 2 else h
        return (self.conv2(self.conv1(h).relu()) + skip).relu()


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.output = nn.Conv1d(1, 16, 5, 2, 2), nn.Linear(32, 10)
        self.block1, self.block2, self.block3 = Block(16, 16), Block(16, 24), Block(24, 32)

    def forward(self, x):
        h = self.block3(self.block2(self.block1(self.stem(x[:, None]).relu())))
        return self.output(h.mean(-1))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 6, bidirectional=True, batch_first=True)
        self.output = nn.Linear(480, 10)

    def forward(self, x):
        return self.output(self.lstm(x[..., None])[0].flatten(1))


class Transformer(nn.Module):
    def __init__(self, positions):
        super().__init__()
        self.embed, self.output, self.norm = nn.Linear(4, 32), nn.Linear(32, 10), nn.LayerNorm(32)
        self.block1 = nn.Module()
        self.block1.norm1, self.block1.norm2 = nn.LayerNorm(32), nn.LayerNorm(32)
        self.block1.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.block1.channels1, self.block1.channels2 = nn.Linear(32, 64), nn.Linear(64, 32)
        if positions:
            self.positions = nn.Parameter(0.02 * torch.randn(32, 10))

    def forward(self, x):
        h, block = self.embed(x.reshape(-1, 10, 4)), self.block1
        h = h + self.positions.T if hasattr(self, "positions") else h
        normed = block.norm1(h)
        h = h + block.attention(normed, normed, normed)[0]
        h = h + block.channels2(nn.functional.gelu(block.channels1(block.norm2(h)), approximate="tanh"))
        return self.output(self.norm(h).mean(1))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.output, self.norm = nn.Linear(4, 32), nn.Linear(32, 10), nn.LayerNorm(32)
        for name in ("block1", "block2"):
            block = nn.Module()
            block.norm1, block.norm2 = nn.LayerNorm(32), nn.LayerNorm(32)
            block.patches1, block.patches2 = nn.Linear(10, 20), nn.Linear(20, 10)
            block.channels1, block.channels2 = nn.Linear(32, 64), nn.Linear(64, 32)
            setattr(self, name, block)

    def forward(self, x):
        h = self.embed(x.reshape(-1, 10, 4))
        for block in (self.block1, self.block2):
            across = block.norm1(h).transpose(1, 2)
            h = h + block.patches2(nn.functional.gelu(block.patches1(across), approximate="tanh")).transpose(1, 2)
            h = h + block.channels2(nn.functional.gelu(block.channels1(block.norm2(h)), approximate="tanh"))
        return self.output(self.norm(h).mean(1))


def ours(module):
    """Convert a module's parameters to ours: layers by name, convolutions with the kernel axis before channels."""
    if isinstance(module, nn.Linear | nn.Conv1d):
        w = module.weight.detach().numpy()
        return {"w": w if w.ndim == 2 else w.transpose(0, 2, 1), "b": module.bias.detach().numpy()}
    if isinstance(module, nn.LayerNorm):
        return {"scale": module.weight.detach().numpy(), "shift": module.bias.detach().numpy()}
    if isinstance(module, nn.LSTM):
        t = {name: p.detach().numpy() for name, p in module.named_parameters()}
        ends = ("l0", "l0_reverse")
        w = [np.concatenate([t[f"weight_hh_{end}"], t[f"weight_ih_{end}"]], 1) for end in ends]
        return {"w": np.stack(w), "b": np.stack([t[f"bias_ih_{end}"] + t[f"bias_hh_{end}"] for end in ends])}
    params = {name: ours(child) for name, child in module.named_children() if name != "attention"}
    params |= {name: p.detach().numpy() for name, p in module.named_parameters(recurse=False)}
    if hasattr(module, "attention"):
        heads = module.attention
        params["qkv"] = {"w": heads.in_proj_weight.detach().numpy(), "b": heads.in_proj_bias.detach().numpy()}
        params["mix"] = ours(heads.out_proj)
    return params


PAIRS = {
    "tcn": (convolutional.tcn(), Tcn), "resnet": (convolutional.resnet(), ResNet), "lstm": (recurrent.lstm(), Lstm),
    "attention": (attention.attention(), lambda: Transformer(True)),
    "bag": (attention.bag(), lambda: Transformer(False)), "mixer": (attention.mixer(), Mixer),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_equals_pytorch(name):
    """Compare outputs, gradients and the shapes of initial parameters."""
    torch.manual_seed(0)
    model, make = PAIRS[name]
    module = make()
    params = jax.tree.map(jnp.asarray, ours(module))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, jax.eval_shape(model.init, KEY))
    x = torch.randn(7, 40)
    logits = module(x)

    @jax.jit
    def logits_and_gradient(params, x):
        return outputs(model, params, x), jax.grad(lambda p: jnp.sin(outputs(model, p, x)).sum())(params)

    actual, gradient = logits_and_gradient(params, x.numpy().T)
    np.testing.assert_allclose(actual.T, logits.detach(), atol=1e-5)
    logits.sin().sum().backward()
    if name != "lstm":  # PyTorch has two biases where ours has one
        for parameter in module.parameters():
            parameter.data = parameter.grad
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=5e-5), gradient, ours(module))


@pytest.mark.slow
def test_a_locally_connected_net_with_equal_weights_everywhere_is_the_cnn():
    model, shared = convolutional.locally_connected(), convolutional.cnn(width=16)
    params = drawn(model)
    cnn = {"output": {"w": params["output"]["w"].reshape(10, 5, 16).swapaxes(1, 2).reshape(10, 80),
                      "b": params["output"]["b"]}}  # fmt: skip
    for i, n_in in enumerate((1, 16, 16)):
        layer = params[f"local{i + 1}"]
        params[f"local{i + 1}"] = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), layer)
        cnn[f"conv{i + 1}"] = {"w": layer["w"][0].reshape(16, -1, n_in), "b": layer["b"][0]}
    x = jax.random.normal(KEY, (40, 5))
    np.testing.assert_allclose(computed(model, params, x), computed(shared, cnn, x), atol=1e-5)


@pytest.mark.slow
def test_a_locally_connected_net_has_own_weights_at_every_position():
    params = convolutional.locally_connected().init(KEY)
    assert n_params(convolutional.locally_connected()) > 3 * n_params(convolutional.cnn(width=16))
    assert float(jnp.ptp(params["local2"]["w"], axis=0).min()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("length", [7, 16, 40, 41])
def test_the_last_position_of_a_tcn_sees_all_and_no_other_work_is_done(length):
    model = convolutional.tcn(length=length)
    params = drawn(model)
    touched = jax.jit(jax.jacobian(lambda x: model.apply(params, x)))(jax.random.normal(KEY, (length,)))
    assert (jnp.abs(touched).max(0) > 0).all()


@pytest.mark.slow
def test_without_positions_patches_may_be_exchanged_but_not_their_points():
    x = jax.random.normal(KEY, (40,))
    exchanged = x.reshape(10, 4)[::-1].ravel()
    for positions, same in ((False, True), (True, False)):
        model = attention.attention(positions=positions)
        params = drawn(model)
        logits, of_exchanged, of_reversed = computed(model, params, jnp.stack([x, exchanged, x[::-1]], -1)).T
        assert (float(jnp.abs(logits - of_exchanged).max()) < 1e-5) == same
        assert float(jnp.abs(logits - of_reversed).max()) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("length", [10, 38, 41])
def test_patches_fill_a_signal_that_they_do_not_divide(length):
    for model in (attention.mixer(length=length), attention.attention(length=length)):
        params, x = drawn(model), jax.random.normal(KEY, (length, 3))
        changed = computed(model, params, x.at[-1].add(1.0))  # the last point counts
        assert float(jnp.abs(computed(model, params, x) - changed).max()) > 1e-5


# ── work ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_flops_of_known_networks():
    assert forward_flops(dense.logistic(), (40,)) == 2 * 400
    assert forward_flops(dense.mlp(), (40,)) == 2 * (40 * 100 + 100 * 100 + 100 * 10)
    assert forward_flops(convolutional.cnn(), (40,)) == 2 * (19 * 25 * 5 + (10 + 5) * 25 * 75 + 1250)


def test_flops_heed_loops_branches_and_convolutions():
    x, w = jnp.ones((8, 8)), jnp.ones((1, 3, 5))
    assert count(lambda x: jax.lax.scan(lambda h, _: (h @ h, None), x, length=3)[0], x) == 3 * 2 * 8**3
    assert count(lambda x: jax.lax.cond(x[0, 0] > 0, lambda: x @ x, lambda: x), x) == 2 * 8**3
    signal = jnp.ones((1, 3, 20))
    convolution = lambda x: jax.lax.conv_general_dilated(x, w.repeat(4, 0), (1,), "VALID")  # noqa: E731
    assert count(convolution, signal) == 2 * 4 * 16 * 3 * 5
    assert count(jax.jit(lambda x: x @ x), x) == 2 * 8**3


def test_flops_are_pytorchs():
    from torch.utils.flop_counter import FlopCounterMode

    for name in ("tcn", "resnet", "mixer"):
        model, make = PAIRS[name]
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            make().eval()(torch.zeros(1, 40))
        theirs, flops = counter.get_total_flops(), forward_flops(model, (40,))
        assert flops < 0.4 * theirs if name == "tcn" else flops == theirs
