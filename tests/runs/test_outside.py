"""Digests of users' code: what it may read beside its source leaves it without one."""

import sys

import pytest

from flylab.runs.loading import load

BEGINNING = "import os, sys\nfrom pathlib import Path\nimport numpy as np\n"
READS = {
    "a file": ("def thing(): return open('w.txt').read()", "open"),
    "a file, by another name": ("f = open\ndef thing(): return f('w.txt')", "open"),
    "a path": ("def thing(): return Path('w.txt').read_text()", "read_text"),
    "an array": ("def thing(): return np.load('w.npy')", "load"),
    "an array, by an imported name": ("from numpy import loadtxt as l\ndef thing(): return l('w.txt')", "loadtxt"),
    "raw numbers": ("def thing(): return np.fromfile('w.bin')", "fromfile"),
    "a table": ("import pandas\ndef thing(): return pandas.read_csv('w.csv')", "read_csv"),
    "weights": ("import torch\ndef thing(): return torch.load('w.pt')", "load"),
    "the environment": ("def thing(): return os.environ['WIDTH']", "environ"),
    "the environment, by get": ("def thing(): return os.getenv('WIDTH', '3')", "getenv"),
    "the environment, by an imported name": ("from os import environ as e\ndef thing(): return e['WIDTH']", "environ"),
    "arguments": ("def thing(): return sys.argv[1]", "argv"),
    "a folder": ("def thing(): return sorted(Path('.').glob('*'))", "glob"),
    "another program": ("import subprocess\ndef thing(): return subprocess.run('date')", "subprocess"),
    "a library": ("def thing():\n    import ctypes\n    return ctypes.CDLL('./w.so')", "ctypes"),
    "modules elsewhere": ("def thing():\n    sys.path.insert(0, 'lib')\n    import neighbour", "sys.path"),
    "modules elsewhere, by an imported name": (
        "def thing():\n    from sys import path\n    path.append('lib')",
        "path",
    ),
    "whether a file is there": ("def thing(): return os.path.exists('w.txt')", "exists"),
    "by a text": ("def thing(): return getattr(np, 'load')('w.npy')", "load"),
    "chance": ("def thing(): return np.random.default_rng().random()", r"default_rng\(\)"),
    "in a neighbour": ("def thing():\n    from neighbour import width\n    return width()", "environ"),
}


def loaded(folder, code, neighbour="import os\ndef width(): return os.environ['WIDTH']\n"):
    (folder / "neighbour.py").write_text(neighbour)
    (folder / "mine.py").write_text(BEGINNING + code + "\n")
    return load(f"{folder / 'mine.py'}:thing")[2]


@pytest.mark.parametrize("case", READS)
def test_nobody_knows_whether_that_has_changed(case, tmp_path):
    code, what = READS[case]
    with pytest.warns(UserWarning, match=rf"depends on more than its code: {what} \((mine|neighbour).py, line \d+\)"):
        assert loaded(tmp_path, code) is None


def test_code_that_cannot_be_read_says_so(tmp_path):
    with pytest.warns(UserWarning, match="mine may import what it computes.* trained anew each time"):
        assert loaded(tmp_path, "def thing(): return __import__('neigh' + 'bour').WIDTH") is None


@pytest.mark.parametrize("code", [
    "from torch import nn\nclass thing(nn.Linear):\n    def forward(self, input): return self.readout(input)",
    "def thing(): return np.random.default_rng(3).random()",
    "def thing(net): net.load_state_dict({}); path = Path('a') / 'b'; os.path.join('a', 'b'); return path",
])  # fmt: skip
def test_what_only_looks_like_reading(code, tmp_path):
    assert len(loaded(tmp_path, code)) == 64


def test_a_neighbour_that_is_imported_late_counts(tmp_path):
    code = "def thing():\n    import neighbour\n    return neighbour.WIDTH"
    first, again, other = (loaded(tmp_path, code, f"WIDTH = {width}") for width in (3, 3, 44))
    assert first == again != other
    assert "neighbour" not in sys.modules
