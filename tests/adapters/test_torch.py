"""The PyTorch data sets."""

import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import flylab
from flylab import published
from flylab.adapters.torch import MNIST1D, Endless

SMALL = flylab.MNIST1D(n_train=200, n_valid=0, n_test=100)


def test_is_the_published_set_by_default():
    splits = published()
    for train, want in ((True, splits.train), (False, splits.test)):
        data = MNIST1D(train)
        assert len(data) == len(want.y)
        assert data.data.dtype == torch.float32
        np.testing.assert_array_equal(data.data, want.x.astype("float32"))
        np.testing.assert_array_equal(data.targets, want.y)
    assert data.classes == [str(i) for i in range(10)]


def test_items_transforms_and_channel():
    data = MNIST1D(config=SMALL, transform=lambda x: x.flip(-1), target_transform=lambda y: -y, channel_dim=True)
    signal, label = data[3]
    assert signal.shape == (1, 40)
    np.testing.assert_array_equal(signal[0], data.data[3, 0].flip(0))
    assert label == -int(data.targets[3])
    assert isinstance(MNIST1D(config=SMALL)[-1][1], int)
    assert "train: 200 examples of shape (1, 40)" in repr(data)
    with pytest.raises(IndexError):
        data[200]


def test_takes_splits_and_refuses_others(tmp_path):
    from flylab.data import load, save

    splits = load(save(tmp_path / "a.npz", published(SMALL)))
    np.testing.assert_array_equal(MNIST1D(config=splits).data, MNIST1D(config=SMALL).data)
    with pytest.raises(TypeError, match=r"must be a config, .* or splits, .* not dict"):
        MNIST1D(config={"num_samples": 3})


def test_changing_the_data_changes_no_other():
    MNIST1D(config=SMALL).data.zero_()
    assert MNIST1D(config=SMALL).data.abs().sum() > 0


def test_ten_line_training_script():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(5):
        for signal, label in DataLoader(MNIST1D(), batch_size=100, shuffle=True, num_workers=0):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(signal), label).backward()
            optimizer.step()
    test = MNIST1D(train=False)
    assert (model(test.data).argmax(1) == test.targets).float().mean() > 0.5


# ── endless ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_endless_is_the_generators_and_goes_on():
    import jax

    from flylab.data.generator import sample

    want = sample(SMALL, jax.random.key(7), 60)
    data = Endless(SMALL, seed=7, block=30, channel_dim=True)
    loader = DataLoader(data, batch_size=10)
    got = [batch for _ in range(2) for batch in islice(loader, 3)]  # a second iteration goes on
    assert data.n_drawn == 60
    np.testing.assert_array_equal(torch.cat([x for x, _ in got])[:, 0], want.x)
    np.testing.assert_array_equal(torch.cat([y for _, y in got]), want.y)


def test_no_example_comes_twice_though_iterated_side_by_side():
    data = Endless(SMALL, block=10)
    one, two = iter(data), iter(data)
    seen = [next(it)[0] for it in (one, two, one) for _ in range(15)]
    assert len(torch.unique(torch.stack(seen), dim=0)) == 45


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [({"block": 0}, "block=0"), ({"seed": None}, "seed=None"), ({"config": published(SMALL)}, "not Splits")],
)
def test_endless_refuses(kwargs, says):
    with pytest.raises((ValueError, TypeError), match=says):
        Endless(**kwargs)


def test_endless_transforms():
    signal, label = next(iter(Endless(SMALL, transform=torch.abs, target_transform=str)))
    assert (signal >= 0).all()
    assert label in [str(i) for i in range(10)]


WORKERS = """
import torch
from torch.utils.data import DataLoader
from flylab.adapters.torch import Endless
if __name__ == "__main__":
    torch.manual_seed(0)
    loader = DataLoader(Endless(block=50), batch_size=20, num_workers=2, multiprocessing_context="{context}")
    rows = iter(loader)
    seen = torch.cat([next(rows)[0] for _ in range(8)])
    print(len(torch.unique(seen, dim=0)))
    del rows
"""


@pytest.mark.long
def test_spawned_workers_have_examples_of_their_own(tmp_path):
    (tmp_path / "main.py").write_text(WORKERS.format(context="spawn"))
    done = subprocess.run([sys.executable, tmp_path / "main.py"], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "160", done.stderr


@pytest.mark.long
def test_forked_workers_after_jax_get_a_clear_error(tmp_path):
    (tmp_path / "main.py").write_text("import jax\n" + WORKERS.format(context="fork"))
    done = subprocess.run([sys.executable, tmp_path / "main.py"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "does not survive a fork: give the DataLoader num_workers=0" in done.stderr


@pytest.mark.slow
def test_the_plain_data_set_needs_no_jax():
    code = "import sys; from flylab.adapters.torch import MNIST1D; MNIST1D(); print('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
