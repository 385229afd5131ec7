"""The fingerprint of code: what must change it, what must not, and what has none."""

import ast
import functools
import importlib
import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import flylab
from flylab.base import settings
from flylab.models.registry import others_models
from flylab.runs import fingerprint
from flylab.runs.fingerprint import UnhashableError, code_fingerprint, reached_by
from flylab.runs.reach import COMPUTING
from flylab.study.registry import get_study, list_studies

ROOT = Path(flylab.__file__).parent
FILES = {
    "study.py": '''
"""A study's file."""
import functools
import numpy as np
from flylab import Study, Claim
from flylab.base import rng
from small_pkg import layers, claims as all_claims
from small_pkg import drawing
from small_pkg.lazy import scaled
from small_pkg import lazy
from . import tables
from .registry import register

SCALE = 2.0
NAMES = {"one", "two"}
WEIGHTS = np.array([1.0, 2.0])
BY_NAME = {"double": lambda x: x * 2, "half": lambda x: x / 2}
COLOURS = ["blue"]


def make(step):
    def stepped(x):
        return x + step
    return stepped


stepped = make(5)


class Network:
    depth = 3

    def __init__(self, width=7):
        self.width = width


NETWORK = Network(9)


@functools.singledispatch
def shown(value):
    return value


@shown.register
def _(value: int):
    return value + 11


def options(size=13, *, more=17):
    """Options."""
    return size + more  # the sum


def run(protocol, condition, seeds, *, key=None, **more):
    """Run."""
    from small_pkg import late
    import small_pkg.deep.inner as inner
    chosen = getattr(layers, condition["layer"])
    return [BY_NAME[condition["name"]](SCALE), stepped(1), NETWORK.width, shown(1), options(), chosen(1), late.TIMES,
            inner.DEEP, tables.ROWS, lazy.eager, scaled, NAMES, WEIGHTS, late.helper]


if len(NAMES) > 1:
    SCALE *= 1.5
layers.MODE = "residual"
register("mode", 21)


def helper_of_claims(r):
    return r + 100


def figure(results):
    return drawing.draw(COLOURS, "axes")


def table(results):
    return "a table"


CLAIMS = (Claim("one", "the first claim", "here", "-", "points", lambda r: helper_of_claims(r), above=0),)
STUDY = Study(question="Why?", presets={}, conditions=lambda protocol: [], run=run, claims=CLAIMS, figure=figure,
              table=table, n_steps=lambda p, c: 41)
if __name__ == "__main__":
    print(STUDY.question)
''',
    "layers.py": "MODE = None\ndef plain(x):\n    return x\n\ndef residual(x):\n    return x + plain(x)\n",
    "late.py": "from small_pkg.later import helper\nTIMES = 3\n",
    "later.py": "def helper():\n    return 31\n",
    "drawing.py": "def draw(colours, where):\n    return 'drawn'\n",
    "claims.py": "OTHER = 'other claims'\n",
    "tables.py": "ROWS = 43\n",
    "registry.py": "KNOWN = {}\ndef register(name, value):\n    KNOWN[name] = value\n",
    "lazy.py": "from small_pkg import eagerly\neager = eagerly.EAGER\nscaled = 47\n",
    "eagerly.py": "EAGER = 53\n",
    "deep/__init__.py": "DEPTH = 59\n",
    "deep/inner.py": "DEEP = 61\n",
    "deep/unused.py": "UNUSED = 67\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes an installed package anew with changes, imports it, and returns its study."""
    installed = tmp_path / "site-packages"
    installed.mkdir()
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder = installed / "small_pkg"

    def written(*changes, files=FILES):
        for name, text in {"__init__.py": "", **files}.items():
            for file, old, new in changes:
                if file == name:
                    assert old in text, old
                    text = text.replace(old, new)
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_text(text)
        return imported("small_pkg.study")

    yield written
    forget("small_pkg")


def imported(name):
    forget(name.partition(".")[0])
    importlib.invalidate_caches()
    return importlib.import_module(name)


def forget(package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


UNUSED = "module that nothing imports"
UNCHANGED = {
    "docstring of a function": ("study.py", '"""Run."""', '"""Train."""'),
    "docstring of the file": ("study.py", '"""A study\'s file."""', ""),
    "no docstring any more": ("study.py", '    """Options."""\n', ""),
    "comment": ("study.py", "# the sum", "# their sum"),
    "formatting": ("study.py", "size + more", "(size\n            + more)"),
    "text of a claim": ("study.py", "the first claim", "another claim"),
    "region of a claim": ("study.py", "above=0", "above=1"),
    "what only claims reach": ("study.py", "r + 100", "r + 200"),
    "figure": ("study.py", '"axes"', '"grid"'),
    "constant of the figure": ("study.py", '["blue"]', '["red"]'),
    "table": ("study.py", '"a table"', '"a list"'),
    "question": ("study.py", "Why?", "How?"),
    "progress bar": ("study.py", "p, c: 41", "p, c: 42"),
    "module that only the figure imports": ("drawing.py", "drawn", "painted"),
    UNUSED: ("deep/unused.py", "67", "68"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
def test_what_retrains_nothing(package, change):
    assert code_fingerprint(package().run) == code_fingerprint(package(change).run)


CHANGED = {
    "run": ("study.py", "stepped(1)", "stepped(2)"),
    "constant": ("study.py", "SCALE = 2.0", "SCALE = 3.0"),
    "lambda in a dictionary": ("study.py", "x * 2", "x * 3"),
    "value of a closure": ("study.py", "make(5)", "make(6)"),
    "body of a closure": ("study.py", "x + step", "x - step"),
    "instance at module level": ("study.py", "Network(9)", "Network(10)"),
    "attribute of a class": ("study.py", "depth = 3", "depth = 4"),
    "local import": ("late.py", "TIMES = 3", "TIMES = 4"),
    "import of a local import": ("later.py", "31", "32"),
    "local import of a module in a package": ("deep/inner.py", "61", "62"),
    "the package above it": ("deep/__init__.py", "59", "60"),
    "reached by getattr": ("layers.py", "x + plain(x)", "plain(x)"),
    "singledispatch": ("study.py", "value + 11", "value + 12"),
    "default": ("study.py", "size=13", "size=14"),
    "default of a keyword": ("study.py", "more=17", "more=18"),
    "set": ("study.py", '"two"}', '"three"}'),
    "array": ("study.py", "[1.0, 2.0]", "[1.0, 2.5]"),
    "if at module level": ("study.py", "len(NAMES) > 1", "len(NAMES) > 2"),
    "augmented assignment": ("study.py", "SCALE *= 1.5", "SCALE *= 1.6"),
    "assignment to an attribute": ("study.py", '"residual"\nregister', '"plain"\nregister'),
    "call at module level": ("study.py", 'register("mode", 21)', 'register("mode", 22)'),
    "function that such a call calls": ("registry.py", "= value", "= -value"),
    "relative import": ("tables.py", "43", "44"),
    "import of an import": ("eagerly.py", "53", "54"),
    "package": ("__init__.py", "", "import jax\n"),
    "import of a module that only has effects": (
        "study.py",
        "from . import tables",
        "from . import tables, drawing as _",
    ),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_what_counts(package, change):
    assert code_fingerprint(package().run) != code_fingerprint(package(change).run)


def in_run(code):
    return "study.py", "return [BY_NAME", f"{code}\n    return [BY_NAME"


USED = {
    "figure that run calls": (in_run("figure(0)"), "figure"),
    "claims that run reads": (in_run("STUDY.claims"), "text of a claim"),
    "constant of the figure": (in_run("COLOURS"), "constant of the figure"),
    "constant that is made by a call": (("study.py", '["blue"]', 'list(["blue"])'), "constant of the figure"),
    "function with a decorator": (("study.py", "def helper", "@functools.cache\ndef helper"), "what only claims reach"),
    "quoted type": (("study.py", "run(protocol", 'run(protocol: "list[helper_of_claims]"'), "what only claims reach"),
    "import elsewhere": (("late.py", "TIMES", "from small_pkg.study import figure\nTIMES"), "figure"),
    "import of the file as a module": (in_run("import small_pkg.study as own; getattr(own, 'figure')"), "figure"),
    "any name": (in_run("globals()['figure']"), "figure"),
    "any name, then what a figure imports": (in_run("globals()['figure']"), "module that only the figure imports"),
    "import of what the figure imports": (("late.py", "TIMES", "from . import drawing\nTIMES"),
                                          "module that only the figure imports"),
}  # fmt: skip


@pytest.mark.parametrize(("use", "change"), USED.values(), ids=USED)
def test_presentation_counts_where_training_may_use_it(package, use, change):
    assert code_fingerprint(package(use).run) != code_fingerprint(package(use, UNCHANGED[change]).run)


REFUSED = {
    "computed name": "import importlib\nname = 'json'\nimportlib.import_module(name)\n",
    "renamed": "from importlib import import_module as load\nload('json')\n",
    "called elsewhere": "import functools, importlib\nfunctools.partial(importlib.import_module, 'json')\n",
    "a file": "from importlib.util import spec_from_file_location\nspec_from_file_location('a', 'b')\n",
    "evaluated": "eval('1')\n",
    "lazy package": "import importlib\ndef __getattr__(name):\n    return importlib.import_module(f'json.{name}')\n",
    "all names of a package": "from small_pkg.deep import *\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_code_that_may_import_what_it_computes_has_none(package, text):
    with pytest.raises(UnhashableError, match="may import what it computes"):
        code_fingerprint(package(("late.py", "TIMES = 3", text)).run)


ELSEWHERE = {
    "a module that is not there": "def late():\n    import nowhere_to_be_found",
    "a name of one": "def late():\n    from nowhere_to_be_found import name",
    "by a call": "import importlib\ndef late():\n    importlib.import_module('nowhere_to_be_found')",
    "in a package": "def late():\n    import small_pkg.nowhere",
    "a name of one in a package": "def late():\n    from small_pkg.nowhere import name",
    "another path": "import sys as s\ndef late():\n    s.path.insert(0, 'lib')\n    import small_pkg.late",
    "another path, by its name": "from sys import path\ndef late():\n    from sys import path as p\n    p.pop()",
    "another place of a package": "import small_pkg\ndef late():\n    small_pkg.__path__.append('lib')",
}


@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE)
def test_code_that_may_import_from_elsewhere_has_none(package, text):
    with pytest.raises(UnhashableError, match=r"cannot be found|where modules are found"):
        code_fingerprint(package(("later.py", "def helper():\n    return 31", f"{text}\nhelper = late")).run)


def test_a_module_counts_as_it_is_imported(package, tmp_path, monkeypatch):
    """Another file of that name comes first on the path by now, but Python has imported this one."""
    before = code_fingerprint(package().run)
    (tmp_path / "small_pkg").mkdir()
    (tmp_path / "small_pkg" / "__init__.py").write_text("OTHER = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert code_fingerprint(sys.modules["small_pkg.study"].run) == before


NAMED = {
    "by a call": "import importlib\nimportlib.import_module('small_pkg.deep.unused')\n",
    "all names of a module": "from small_pkg.deep.unused import *\n",
    "a method of that name": "import small_pkg.deep.unused\nlambda network: network.eval()\n",
}


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED)
def test_imports_of_names_are_followed(package, text):
    change = ("late.py", "TIMES = 3", text)
    assert code_fingerprint(package(change).run) != code_fingerprint(package(change, UNCHANGED[UNUSED]).run)


@pytest.mark.slow
def test_a_lone_file_and_the_modules_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    prints = []
    script = "import beside_it\ndef run(p, c, s):\n    return beside_it.VALUE\nif __name__ == '__main__':\n"
    script += "    from flylab.runs.fingerprint import code_fingerprint\n    print(code_fingerprint(run))\n"
    for value in (1, 2):
        (tmp_path / "alone.py").write_text(script)
        (tmp_path / "beside_it.py").write_text(f"VALUE = {value}\n")
        prints.append(code_fingerprint(imported("alone").run))
        forget("alone"), forget("beside_it")
    assert prints[0] != prints[1]
    done = subprocess.run([sys.executable, tmp_path / "alone.py"], capture_output=True, text=True)
    assert done.stdout == prints[1] + "\n"


class Callable:
    def __init__(self):
        self.waits = iter([1])

    def __call__(self, protocol, condition, seeds):
        return next(self.waits)


class Known:
    def __fingerprint__(self):
        return None


def holding(value):
    return lambda protocol, condition, seeds: value


def from_text(text="def run(p, c, s): return 1"):
    names = {"__name__": __name__, "__file__": __file__}
    exec(text, names)
    return names["run"]


UNHASHABLE = {
    "partial": lambda: functools.partial(holding, 1),
    "callable object": lambda: Callable(),
    "made by exec": lambda: from_text(),
    "builtin function": lambda: len,
    "holds an object": lambda: holding(object()),
    "holds a generator": lambda: holding(i for i in range(3)),
    "holds a set of functions": lambda: holding({holding}),
    "holds a function made by exec": lambda: holding([from_text()]),
    "nobody knows what determines it": lambda: holding(Known()),
}


@pytest.mark.parametrize("make", UNHASHABLE.values(), ids=UNHASHABLE)
def test_what_has_no_fingerprint(make):
    with pytest.raises(UnhashableError, match=r"fingerprint|source|nobody knows"):
        code_fingerprint(make())


NAMESAKES = """
K = 1

def held(x):
    return K * x

def redefined(x):
    return 1 * x

first = redefined

def redefined(x):
    return 2 * x

defaults = []
for k in (1, 2):
    def default(x, k=k):
        return k * x
    defaults.append(default)

one, two = lambda x: 1 * x, lambda x: 2 * x
"""


def test_functions_of_one_name_are_told_apart(tmp_path, monkeypatch):
    """A script may define a function in a loop, or twice, or rebind what it reads; its file does not say which."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "told_apart.py").write_text(NAMESAKES)
    module = importlib.import_module("told_apart")
    before = code_fingerprint(module.held)
    module.K = 3
    rebound = code_fingerprint(module.held)
    module.held.factor = 2
    for one, two in (
        (before, rebound),
        (rebound, code_fingerprint(module.held)),
        map(code_fingerprint, (module.first, module.redefined)),
        map(code_fingerprint, module.defaults),
        map(code_fingerprint, (module.one, module.two)),
    ):
        assert one != two


def test_code_that_has_changed_since_its_import_has_none(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "changed_since.py"
    path.write_text("def f(x): return 1\n")
    module = importlib.import_module("changed_since")
    code_fingerprint(module.f)
    path.write_text("def f(x): return 22\n")
    with pytest.warns(UserWarning, match="runs as it was"), pytest.raises(UnhashableError, match="has changed since"):
        code_fingerprint(module.f)
    code_fingerprint(importlib.reload(module).f)


HOLDING = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Size:
    width: int

class Known(tuple):
    def __fingerprint__(self):
        return f"known {self[0]}"

def holding(value):
    return lambda protocol, condition, seeds: value
"""


def test_what_a_closure_holds_counts(package):
    module = package(files={"study.py": HOLDING})
    holding, Size, Known = module.holding, module.Size, module.Known
    held = [1, 1.0, True, "1", None, [1], (1,), {"a": 1}, {"a": 2}, Size(1), Size(2), np.float32(1), np.arange(2),
            np.arange(2.0), Known([1]), Known([2]), Known, Size, holding(1), holding(2), holding, json, jax.numpy,
            jax.nn.gelu, jax.vmap]  # fmt: skip
    prints = [code_fingerprint(holding(value)) for value in held]
    assert len(set(prints)) == len(held)
    assert prints == [code_fingerprint(holding(value)) for value in held]


MODEL = """
from flylab.models import Model, register_model
from small_pkg.parts import apply

@register_model("their-model")
def theirs(length=40, n_outputs=10):
    return Model(lambda key: 1.0, apply)
"""


def test_a_registered_model_counts_where_it_is_named(package, monkeypatch):
    from flylab.models import registry
    from flylab.studies import train

    def prints(*changes):
        monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
        registry._REGISTRY.pop("their-model", None)
        package(*changes, files={"study.py": MODEL, "parts.py": "def apply(params, x):\n    return 1\n"})
        named = train.Protocol(model="their-model")
        models = ({"model": "mlp"}, None), ({"model": "their-model"}, None), ({"model": "mlp"}, named)
        return [code_fingerprint(train.STUDY.run, *model) for model in models]

    without, by_condition, by_protocol = prints()
    again, *changed = prints(("parts.py", "return 1", "return 2"))
    assert without == again
    assert by_condition == by_protocol != without
    assert by_condition not in changed


def test_flylabs_own_models_are_not_others():
    assert "mlp" not in others_models()


def reached(*studies):
    names = {name for study in studies for name in reached_by(get_study(study).run).parts}
    return {name.removeprefix("flylab.") for name in names}


def test_computing_folders_always_count():
    names = {f"{name}.{path.stem}" for name in COMPUTING for path in (ROOT / name).glob("*.py")}
    assert len(names) > 30
    assert {name.removesuffix(".__init__") for name in names} <= reached("train")


@pytest.mark.slow
def test_what_a_study_reaches():
    assert {"studies.train", "training.train", "training.population", "models.dense", "data.published", "base.rng",
            "models", "models.registry", "flylab"} <= reached("train")  # fmt: skip
    presentation = {"results.plots", "results.styles", "reporting"}
    assert not reached(*list_studies()) & {*presentation, "api", "adapters.torch", "evaluation", "cli"}


@pytest.mark.parametrize("study", list_studies())
def test_no_study_reaches_another(study):
    assert {name.split(".")[1] for name in reached(study) if name.startswith("studies.")} == {study}


SCRIPT = """
import json, sys
{first}
from flylab.base.settings import named
from flylab.runs.fingerprint import code_fingerprint, versions
from flylab.study.registry import get_study
prints = [code_fingerprint(get_study(name).run) for name in {studies}]
print(json.dumps([prints, named(), versions()]))
"""
FIRST = ("", "import torch, flylab.compat.mnist1d, flylab.adapters.torch, flylab.evaluation, flylab.studies.pooling\n"
         "from flylab import *\nimport flylab.reporting.page, sklearn.ensemble")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("first", [FIRST[0], pytest.param(FIRST[1], marks=pytest.mark.long)])
def test_the_same_in_fresh_processes_that_imported_other_things(first):
    studies = list_studies()[::-1]
    code = SCRIPT.format(first=first, studies=studies)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    prints, names, versions = json.loads(done.stdout)
    assert dict(zip(studies, prints, strict=True)) == {name: code_fingerprint(get_study(name).run) for name in studies}
    assert (names, versions) == (settings.named(), fingerprint.versions())
    assert len(set(prints)) == len(studies)


def test_versions():
    versions = fingerprint.versions()
    assert {"python", "jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax"} == set(versions)
    assert versions["jax"] == jax.__version__
    assert "none" not in versions.values()


def test_torch_counts_only_where_it_is_reached():
    from flylab.adapters.torch_training import from_torch
    from flylab.training.learners import of_model

    assert "torch" in reached_by(from_torch).packages
    assert not reached_by(of_model).packages


def executed(study):
    """Return the functions of flylab that run while a study trains one condition, as (file, first line, name)."""
    protocol, places = study.presets["smoke"], set()

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(str(ROOT)):
            places.add((frame.f_code.co_filename, frame.f_code.co_firstlineno, frame.f_code.co_qualname))

    jax.clear_caches()  # so that all is traced here
    artifacts, condition = dict(study.artifacts), study.conditions(protocol)[0]
    sys.setprofile(profile)
    try:
        study.run(protocol, condition, [0], key=jax.random.key(0), artifacts=artifacts)
    finally:
        sys.setprofile(None)
    return places


@pytest.mark.long
@pytest.mark.parametrize("name", list_studies())
def test_all_that_runs_while_training_counts(name):
    study = get_study(name)
    parts = {part.path: part for part in reached_by(study.run).parts.values()}
    places = executed(study)
    assert len({file for file, *_ in places}) > 5
    for file, line, function in places:
        assert file in parts, f"{file} is not in the fingerprint, but {function} ran"
        assert parts[file].counts(line), f"{function} of {file} ran but does not count"


@pytest.mark.parametrize("name", list_studies())
def test_claims_and_figures_of_a_study_do_not_count(name):
    part = reached_by(get_study(name).run).parts[f"flylab.studies.{name}"]
    defined = {
        getattr(node, "name", getattr(getattr(node, "targets", [None])[0], "id", None)): part.counts(node.lineno)
        for node in ast.parse(Path(part.path).read_text()).body
    }
    beside = {"table", "figure", "conditions", "CLAIMS"} & set(defined)
    assert "table" in beside
    assert not any(defined[shown] for shown in beside)
    assert f"studies.{name}.drawing" not in reached(name)
