"""Digests of users' code: what it may read beside its source leaves it without one."""

import importlib
import sys

import pytest

from flylab.runs.loading import load
from flylab.runs.slots import filled
from flylab.study import get_study

BEGINNING = "import os, sys\nfrom pathlib import Path\nimport numpy as np\n"
READS = {
    "a file": ("def thing(): return open('w.txt').read()", "open"),
    "a file, by another name": ("f = open\ndef thing(): return f('w.txt')", "open"),
    "a path": ("def thing(): return Path('w.txt').read_text()", "pathlib.Path"),
    "a path from elsewhere": ("def thing(path): return path.read_text()", "read_text"),
    "an array": ("def thing(): return np.load('w.npy')", "numpy.load"),
    "an array, by an imported name": (
        "from numpy import loadtxt as l\ndef thing(): return l('w.txt')",
        "numpy.loadtxt",
    ),
    "raw numbers": ("def thing(): return np.fromfile('w.bin')", "numpy.fromfile"),
    "numbers of MATLAB": ("import scipy.io\ndef thing(): return scipy.io.loadmat('w.mat')", "scipy.io.loadmat"),
    "a table": ("import pandas\ndef thing(): return pandas.read_csv('w.csv')", "pandas.read_csv"),
    "a table of another kind": ("import pandas as pd\ndef thing(): return pd.HDFStore('w.h5')", "pandas.HDFStore"),
    "an image": (
        "import matplotlib.pyplot as plt\ndef thing(): return plt.imread('w.png')",
        "matplotlib.pyplot.imread",
    ),
    "weights": ("import torch\ndef thing(): return torch.load('w.pt')", "torch.load"),
    "raw weights": ("import torch\ndef thing(): return torch.from_file('w.bin', size=1)", "torch.from_file"),
    "a stored data set": ("from sklearn.datasets import load_iris\nthing = load_iris", "sklearn.datasets.load_iris"),
    "a raw file": ("import io\ndef thing(): return io.FileIO('w.txt').readall()", "io.FileIO"),
    "a compressed file": ("import gzip\ndef thing(): return gzip.GzipFile('w.gz').readline()", "gzip.GzipFile"),
    "a line": ("import linecache\ndef thing(): return linecache.getline('w.txt', 1)", "linecache.getline"),
    "XML": ("import xml.etree.ElementTree as E\ndef thing(): return E.parse('w.xml')", "xml.etree.ElementTree.parse"),
    "sound": ("from wave import Wave_read\ndef thing(): return Wave_read('w.wav')", "wave.Wave_read"),
    "the environment": ("def thing(): return os.environ['WIDTH']", "os.environ"),
    "the environment, by get": ("def thing(): return os.getenv('WIDTH', '3')", "os.getenv"),
    "the environment, by an imported name": (
        "from os import environ as e\ndef thing(): return e['WIDTH']",
        "os.environ",
    ),
    "the environment, by expanding": ("def thing(): return os.path.expandvars('$WIDTH')", "os.path.expandvars"),
    "the environment, by a computed name": ("def thing(): return getattr(os, 'env' + 'iron')", "os"),
    "the environment, by the module's names": ("def thing(): return vars(os)['environ']", "os"),
    "the environment, by an operator": (
        "from operator import attrgetter as a\ndef thing(value): return a('environ')(value)",
        "operator.attrgetter",
    ),
    "the environment, by another module": ("def thing(): return np.os.environ", "environ"),
    "the built-in names": ("def thing(): return __builtins__['open']('w.txt')", "__builtins__"),
    "arguments": ("def thing(): return sys.argv[1]", "sys.argv"),
    "all arguments": ("def thing(): return sys.orig_argv", "sys.orig_argv"),
    "the terminal": ("def thing(): return input()", "input"),
    "a folder": ("def thing(): return os.walk('.')", "os.walk"),
    "where it runs": ("def thing(): return os.getcwd()", "os.getcwd"),
    "the machine": ("import platform\ndef thing(): return platform.node()", "platform.node"),
    "how many processors": ("def thing(): return os.cpu_count()", "os.cpu_count"),
    "how many devices": ("import jax\ndef thing(): return jax.device_count()", "jax.device_count"),
    "a setting of JAX": ("import jax\ndef thing(): return jax.config.jax_enable_x64", "jax.config.jax_enable_x64"),
    "a GPU": ("import torch\ndef thing(): return torch.cuda.is_available()", "torch.cuda.is_available"),
    "the time": ("import time\ndef thing(): return time.time()", "time.time"),
    "the date": ("from datetime import datetime\ndef thing(): return datetime.now()", "datetime.datetime.now"),
    "a number of this process": ("def thing(): return hash('a')", "hash"),
    "another program": ("import subprocess\ndef thing(): return subprocess.run('date')", "subprocess.run"),
    "a library": ("def thing():\n    import ctypes\n    return ctypes.CDLL('./w.so')", "ctypes.CDLL"),
    "all names of a module": ("from os import *\ndef thing(): return sep", r"os\.\*"),
    "a private name": ("def thing(): return np._core.multiarray.fromfile", "numpy._core.multiarray.fromfile"),
    "modules elsewhere": ("def thing():\n    sys.path.insert(0, 'lib')\n    import neighbour", "sys.path"),
    "modules elsewhere, by an imported name": (
        "def thing():\n    from sys import path\n    path.append('lib')",
        "sys.path",
    ),
    "whether a file is there": ("def thing(): return os.path.exists('w.txt')", "os.path.exists"),
    "by a text": ("def thing(): return getattr(np, 'load')('w.npy')", "numpy.load"),
    "chance": ("def thing(): return np.random.default_rng().random()", r"default_rng\(\)"),
    "chance, said": ("def thing(): return np.random.default_rng(None).random()", r"default_rng\(\)"),
    "chance, later": ("make = np.random.default_rng\ndef thing(): return make().random()", r"default_rng\(\)"),
    "chance, in the global generator": ("def thing(): return np.random.seed()", r"seed\(\)"),
    "in a neighbour": ("def thing():\n    from neighbour import width\n    return width()", "os.environ"),
    "a module from a neighbour": (
        "def thing():\n    from neighbour import os as o\n    return o.getcwd()",
        "os.getcwd",
    ),
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


@pytest.mark.slow
@pytest.mark.parametrize("code", [
    "from torch import nn\nclass thing(nn.Linear):\n    def forward(self, input): return self.readout(input)",
    "def thing(): return np.random.default_rng(3).random()",
    "def thing(net): return net.load_state_dict({})",
    "import matplotlib.pyplot as plt\ndef thing(input, hash=3): return input + hash",
    "import torch\ndef thing(): return getattr(torch, 'relu')",
    "from torch import nn\ndef thing(name): return getattr(nn.functional, name)",
    "import jax\ndef thing(seed): return jax.random.key(seed)",
    "import torch\ntorch.backends.cudnn.deterministic = True\ndef thing(): return torch.float32",
])  # fmt: skip
def test_what_only_looks_like_reading(code, tmp_path):
    assert len(loaded(tmp_path, code)) == 64


def test_a_neighbour_that_is_imported_late_counts(tmp_path):
    code = "def thing():\n    import neighbour\n    return neighbour.WIDTH"
    first, again, other = (loaded(tmp_path, code, f"WIDTH = {width}") for width in (3, 3, 44))
    assert first == again != other
    assert "neighbour" not in sys.modules


OUTSIDE = {
    "a file": "float(np.loadtxt('w.txt'))",
    "the environment": "float(os.environ['W'])",
    "a file, in a neighbour": "beside()",
    "a file, in a neighbour that is imported late": "late()",
    "nothing": "2.0",
    "what the file has read": "READ",
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_an_object_that_reads_more_than_its_code_is_not_known(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("W", "2")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    reads = "import numpy as np\ndef beside(): return float(np.loadtxt('w.txt'))\n"
    (tmp_path / "a_neighbour.py").write_text(reads)
    code = "import os, sys\nimport numpy as np\nfrom a_neighbour import beside\nREAD = np.loadtxt('w.txt')\n"
    code += "def late():\n    import a_neighbour\n    return a_neighbour.beside()\n"
    (tmp_path / "a_reader.py").write_text(f"{code}def thing(left, right): return {OUTSIDE[case]} * right\n")
    digests = []
    for number in (2, 3):
        (tmp_path / "w.txt").write_text(str(number))
        module = importlib.import_module("a_reader")
        (found,) = filled(get_study("lottery"), {"criterion": module.thing}).filled["criterion"]
        digests.append(found.digest)
        assert found.is_known == (case in ("nothing", "what the file has read"))
        for name in ("a_reader", "a_neighbour"):
            del sys.modules[name]
    assert (len(set(digests)) == 1) == (case == "nothing")
