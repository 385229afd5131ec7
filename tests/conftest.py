"""Shapes are checked here, and only here: jaxtyping and beartype check the array code's annotations at each call."""

import gc
import os
import sys
import warnings
from pathlib import Path

from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of two processes, threads would wait for each other

CHECKED = ("flylab.data.transforms", "flylab.base.rng", "flylab.models", "flylab.training.objectives")
hook = install_import_hook(CHECKED, "beartype.beartype")  # before anything imports flylab

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from flylab.base import compilation_cache, runtime  # noqa: E402
from flylab.training import dispatch, metagradient  # noqa: E402

if "XDG_CACHE_HOME" in os.environ:
    compilation_cache.CACHE = Path(os.environ["XDG_CACHE_HOME"]) / "flylab" / "jax"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    runtime.initialise()

# Tests of plumbing and judgement, not of numbers. The suite's time is the compiler's, half of it LLVM's optimisations,
# so what CI selects compiles their programs without most of these, by a setting of JAX. All other tests, and all other
# selections (`-m slow`, or none), compile what users get.
SELECTED = ("not slow", "slow and not long")
LIGHT = ("adapters", "analysis", "app", "cli", "evaluation", "reporting", "results", "runs", "studies", "study",
         "training")  # fmt: skip
NOT_LIGHT = ("test_fingerprint.py", "test_groups.py", "test_networks_compared.py", "test_population.py",
             "test_torch.py", "test_train.py", "test_training.py")  # fmt: skip
TESTS = Path(__file__).parent


def is_light(config: pytest.Config, path: Path) -> bool:
    """Return whether the programs of a file's tests are compiled without most optimisations."""
    return (
        config.option.markexpr in SELECTED
        and path.is_relative_to(TESTS)
        and (path.parent == TESTS or path.parent.name in LIGHT)
        and path.name not in NOT_LIGHT
    )


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(config, items):
    """Order tests so that each process changes the compiler's setting once; what takes long is slow."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")
    items.sort(key=lambda item: is_light(config, item.path))


@pytest.fixture(scope="module", autouse=True)
def optimised(request):
    """Set what JAX's compiler does for a module's tests, and for the processes that they start."""
    light = is_light(request.config, request.path)
    if jax.config.values["jax_disable_most_optimizations"] != light:
        jax.config.update("jax_disable_most_optimizations", light)
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(light))
        let_go()


@pytest.fixture(scope="session")
def tiny():
    """A small data set: 200 training, 100 validation and 100 test examples."""
    from flylab.data import MNIST1D, published

    return published(MNIST1D(n_train=200, n_valid=100, n_test=100))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A working folder, whose modules are forgotten when the test ends; studies of files are known in it only."""
    from flylab.study import registry

    monkeypatch.setattr(registry, "KNOWN", tmp_path / "cache" / "files")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(scope="module", autouse=True)
def programs_are_let_go():
    """After a module, if there are many: each compiled program maps memory, and a process may have 65 530 maps only."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") < 40_000:
        return  # collecting takes a second or two, and the next module may use some programs again
    let_go()


def let_go():
    """Forget all compiled programs."""
    dispatch.let_go()
    metagradient._program.cache_clear()
    gc.collect()
