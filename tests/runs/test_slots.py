"""Functions of users in the slots of studies: names, digests, checks, and what is trained of them."""

import json
import pickle
import shlex
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

import flylab
from flylab.cli.main import main
from flylab.reporting import repeat_command, study_of
from flylab.results.tables import text_table
from flylab.runs import runner
from flylab.runs.plan import plan_of_study
from flylab.runs.slots import filled
from flylab.study import get_study, protocol_of

MINE = """
import numpy as np

def size(initial, trained):
    return np.abs(trained)

def growth(initial, trained):
    return np.abs(trained) - np.abs(initial)

def mean(left, right):
    return (left + right) / 2
"""
TINY = {
    "model": "logistic", "analysis_steps": 5, "analysis_every": 5, "n_steps": 20, "arrangements": ("plain",),
    "controls": (),
}  # fmt: skip
POOLS = {"train_sizes": (1000,), "poolings": ("none", "average"), "endless": False}


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    path = tmp_path_factory.mktemp("mine") / "mine.py"
    path.write_text(MINE)
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Finished runs of the studies' own arms."""
    folder = tmp_path_factory.mktemp("runs")
    flylab.run("lottery", "smoke", folder, **TINY)
    flylab.run("pooling", "smoke", folder, **POOLS)
    return folder


def run(study, out, executor=None, **given):
    """Run the smoke preset with functions in slots, and return what the runner does."""
    functions = {name: value for name, value in given.items() if name in get_study(study).slots}
    fields = {name: value for name, value in given.items() if name not in functions}
    protocol = protocol_of(get_study(study), "smoke", **fields)
    return runner.run(plan_of_study(filled(get_study(study), functions), "smoke", protocol), out, executor=executor)


@pytest.mark.slow
def test_lottery_trains_only_the_new_arm_which_equals_its_own_where_the_criterion_does(out, mine):
    done = run("lottery", out, **TINY, criterion=[f"{mine}:size", f"{mine}:growth"])
    assert done.n_trained == 4  # two seeds of each function
    results = done.results
    assert results.criterion.values.tolist() == ["ticket", "random", "one-shot", "shuffled", "size", "growth"]
    own = flylab.run("lottery", "smoke", out, **TINY)
    assert results.sel(own.coords).drop_attrs().identical(own.drop_attrs())
    for name in ("search_accuracy", "search_loss", "adjacency"):
        values = results[name].isel(model=0)
        np.testing.assert_array_equal(values.sel(criterion="size"), values.sel(criterion="ticket"))
        assert (values.sel(criterion="growth") != values.sel(criterion="ticket")).any()
    accuracy = results.test_accuracy.isel(model=0)
    np.testing.assert_array_equal(accuracy.sel(treatment="size"), accuracy.sel(treatment="ticket"))
    assert accuracy.sel(treatment="growth").notnull().all()
    assert run("lottery", out, **TINY, criterion=[f"{mine}:size", f"{mine}:growth"]).n_trained == 0


@pytest.mark.slow
def test_pooling_by_a_function_equals_its_own(out, mine):
    done = run("pooling", out, **POOLS, pooling=f"{mine}:mean")
    assert done.n_trained == 2  # seeds
    accuracy = done.results.test_accuracy
    np.testing.assert_array_equal(accuracy.sel(pooling="mean"), accuracy.sel(pooling="average"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "slot", "name", "fields"),
    [("lottery", "criterion", "growth", TINY), ("pooling", "pooling", "mean", POOLS)],
)
def test_table_figure_and_report_show_it_by_its_name(study, slot, name, fields, out, mine):
    results = flylab.run(study, "smoke", out, **fields, **{slot: f"{mine}:{name}"})
    assert results.run.endswith(f"-{name}")
    found = study_of(results)
    assert f"\n{name} " in text_table(found.table(results))
    legends = [ax.get_legend() for ax in found.figure(results).findobj(lambda part: hasattr(part, "get_legend"))]
    shown = [text.get_text() for legend in legends if legend is not None for text in legend.get_texts()]
    assert name in shown
    assert repeat_command(results.attrs).endswith(f"--{slot} {mine}:{name}")


def test_own_members_keep_their_names(mine):
    study, names = get_study("pooling"), []
    protocol = study.presets["smoke"]
    for one in (study, filled(study, {"pooling": f"{mine}:mean"})):
        names.append([name for group in plan_of_study(one, "smoke", protocol).groups() for name in group.names])
    assert names[1][: len(names[0])] == names[0]
    assert len(names[1]) == len(names[0]) + 6  # three training sets, two seeds


def digest(path, code, name="thing"):
    path.write_text(code)
    (function,) = filled(get_study("lottery"), {"criterion": f"{path}:{name}"}).filled["criterion"]
    sys.modules.pop("beside_it", None)
    return function.digest


BASE = "import beside_it\nWEIGHT = 2\ndef thing(a, b):\n    return beside_it.scale(b) * WEIGHT\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (("return", "# a comment\n    return"), False),
        (("    return", "    'a docstring'\n    return"), False),
        (("WEIGHT = 2", "WEIGHT = 3"), True),
        (("(b) * WEIGHT", "(b) + WEIGHT"), True),
    ],
)
def test_what_the_digest_of_a_file_covers(change, differs, tmp_path):
    (tmp_path / "beside_it.py").write_text("def scale(x): return 1 * x\n")
    first, second = digest(tmp_path / "a_file.py", BASE), digest(tmp_path / "a_file.py", BASE.replace(*change))
    assert (first != second) == differs
    (tmp_path / "beside_it.py").write_text("def scale(x): return 4 * x\n")
    assert digest(tmp_path / "a_file.py", BASE) != first


class Unreadable:
    """An object of which nobody knows what it holds."""

    def __init__(self):
        self.lock = threading.Lock()

    def __rpow__(self, values):
        return values


def power(exponent):
    def thing(initial, trained):
        return np.abs(trained) ** exponent

    return thing


@pytest.mark.slow
def test_an_object_is_known_by_its_code_and_what_it_holds():
    def filling(function):
        return filled(get_study("lottery"), {"criterion": function}).filled["criterion"][0]

    two, again, three = map(filling, (power(2), power(2), power(3)))
    assert two.digest == again.digest != three.digest
    assert two.is_known
    unreadable = power(Unreadable())
    assert not filling(unreadable).is_known
    assert filling(unreadable).digest != filling(unreadable).digest


@pytest.mark.slow
def test_what_nobody_can_read_is_trained_and_not_kept(out):
    unreadable, before = Unreadable(), stored(out)

    def thing(left, right):
        return right * (unreadable is not None)

    for _ in range(2):
        done = run("pooling", out, **POOLS, pooling=thing)
        assert done.n_trained == 2
        assert done.results.test_accuracy.sel(pooling="thing").notnull().any()
    assert stored(out) == before


def stored(out):
    from flylab.runs.database import read_other
    from flylab.runs.store import _SCHEMA

    return sorted(read_other(out / "flylab.sqlite", _SCHEMA, "SELECT name FROM member"))


BAD = {
    "no file": ("nowhere.py:f", "nowhere.py does not exist"),
    "no function": ("{file}:nothing", "has no 'nothing'; it defines size"),
    "no place": ("growth", "'growth' names nothing: give FILE.py:NAME"),
    "no number": ("def f(a, b): return 'much'", "f returns str, not an array of numbers"),
    "nothing": ("def f(a, b): pass", "f returns NoneType, not an array"),
    "another shape": ("def f(a, b): return b.sum()", r"f returns an array of shape \(\), not \(3,\)"),
    "NaN": ("import numpy as np\ndef f(a, b): return b * np.nan", "f returns numbers that are not finite"),
    "fails": ("def f(a, b): return b / [][0]", r"f raised IndexError: list index out of range \(bad.py, line 1\)"),
    "one argument": ("def f(a): return a", r"f raised TypeError: f\(\) takes 1 positional argument"),
    "no function at all": ("f = 7", "is of type int: give a function"),
    "a class": ("class f: pass", "is of type type: give a function"),
    "a file that fails": ("1 / 0", "bad.py raised ZeroDivisionError"),
    "a name that is taken": ("def ticket(a, b): return b", "--criterion ticket: this name is taken"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_function_that_does_not_fit_is_one_line_before_any_work(case, mine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text, message = BAD[case]
    place = text.format(file=mine)
    if "\n" in text or " " in text:
        (tmp_path / "bad.py").write_text(text)
        place = "bad.py:ticket" if "ticket" in text else "bad.py:f"
    with pytest.raises(ValueError, match=message):
        flylab.run("lottery", "smoke", "runs", criterion=place)
    assert main(["run", "lottery", "smoke", "--criterion", place]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


def test_names_must_differ_and_lambdas_have_none(mine):
    for given, message in (
        ([f"{mine}:growth", f"{mine}:growth"], "this name is taken"),
        (lambda a, b: b, "has no name: give a function that is defined by def"),
    ):
        with pytest.raises(ValueError, match=message):
            filled(get_study("lottery"), {"criterion": given})
    with pytest.raises(ValueError, match="train has no slot 'criterion'; it has none"):
        filled(get_study("train"), {"criterion": f"{mine}:growth"})


@pytest.mark.slow
def test_a_function_that_fails_only_in_training_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "late.py").write_text("def late(a, b): return b if b.size < 100 else b[:2]\n")
    assert main(["run", "lottery", "smoke", "--n-steps", "20", "--criterion", "late.py:late", "--n-seeds", "1"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "flylab: late returns an array of shape (2, 40), not (20, 40)"


def test_a_function_of_a_file_goes_to_workers_by_its_place(tmp_path):
    path = tmp_path / "moving.py"
    path.write_text(MINE)
    (function,) = filled(get_study("lottery"), {"criterion": f"{path}:size"}).filled["criterion"]
    sent = pickle.dumps(function)
    there = pickle.loads(sent)
    assert there(np.zeros(2), np.array([-1.0, 2.0])).tolist() == [1, 2]
    path.write_text(MINE.replace("np.abs(trained)", "trained"))
    with pytest.raises(ValueError, match=r"moving.py:size has changed since the run began"):
        pickle.loads(sent)(0, 1)


@pytest.mark.long
def test_the_command_line_with_workers_parts_and_a_script(out, mine, tmp_path, capsys):
    words = ["run", "pooling", "smoke", "--train-sizes", "1000", "--pooling", f"{mine}:mean", "--out", str(tmp_path)]
    assert main([*words, "--dry-run"]) == 0
    assert "members    24; 0 are finished" in capsys.readouterr().out
    command = [sys.executable, "-m", "flylab", *words, "--workers", "2"]
    done = subprocess.run([*command, "--part", "1/2"], capture_output=True, text=True)
    assert "trained 12 members of part 1/2" in done.stdout, done.stderr
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0
    here = run("pooling", out, **POOLS | {"endless": True}, pooling=f"{mine}:mean").results
    (folder,) = (tmp_path / "pooling").iterdir()
    there = flylab.load(folder)
    np.testing.assert_array_equal(there.test_accuracy.sel(pooling="mean"), here.test_accuracy.sel(pooling="mean"))
    script = tmp_path / "pooling.sbatch"
    assert main(["slurm", "--output", str(script), *words]) == 0
    assert shlex.join(words) in script.read_text()


def test_a_slot_is_no_field(mine):
    study = get_study("pooling")
    with pytest.raises(ValueError, match="the protocol's field 'poolings' would be an option twice"):
        replace(study, slots={"poolings": study.slots["pooling"]})
    assert json.loads(filled(study, {"pooling": f"{mine}:mean"}).origin["filled"]) == {"pooling": [f"{mine}:mean"]}
    assert filled(study, {"pooling": ()}) is study


def test_a_worker_finds_the_same_function_in_every_batch(mine):
    """So that it compiles once; the same name in another file is another function."""
    (own,) = filled(get_study("pooling"), {"pooling": f"{mine}:mean"}).filled["pooling"]
    copy = pickle.loads(pickle.dumps(own))
    assert copy is not own
    assert {copy} == {own}
    other = mine.with_name("other.py")
    other.write_text(MINE.replace("/ 2", "/ 4"))
    assert filled(get_study("pooling"), {"pooling": f"{other}:mean"}).filled["pooling"] != (own,)
