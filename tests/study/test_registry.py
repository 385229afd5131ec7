"""Studies by name: flylab's own, those of other packages, and packages that are broken."""

import sys

import pytest

from flylab.cli.main import main
from flylab.study import registry
from flylab.study.registry import get_study, list_studies


class Entry:
    """An entry point of another package."""

    value = "their_package:STUDY"

    def __init__(self, name, study):
        self.name, self.study = name, study

    def load(self):
        if isinstance(self.study, Exception):
            raise self.study
        return self.study


@pytest.fixture
def registered(monkeypatch):
    """Register studies by name, until the test ends."""

    def register(**studies):
        entries = [Entry(name.replace("_", "-"), study) for name, study in studies.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: entries)
        list_studies.cache_clear()

    yield register
    monkeypatch.undo()
    list_studies.cache_clear()


@pytest.mark.parametrize("written", ["my-study", "my_study"])
def test_a_study_of_another_package_has_one_name_however_it_is_written(registered, written):
    registered(my_study=get_study("train"))
    assert list_studies()[-1] == "my_study"
    assert get_study(written).name == "my_study"


def test_a_broken_package_is_said_and_hides_no_other_study(registered, capsys):
    registered(broken=ImportError("no module named nets"), my_study=get_study("train"))
    with pytest.raises(ValueError, match="the study 'broken' of their_package:STUDY cannot be imported: no module"):
        get_study("broken")
    assert main(["list"]) == 0
    shown = capsys.readouterr()
    assert "my-study" in shown.out
    assert "flylab: the study 'broken' of their_package:STUDY cannot be imported" in shown.err


def test_a_typo_gets_a_suggestion():
    with pytest.raises(ValueError, match="there is no study 'lotery'; did you mean 'lottery'"):
        get_study("lotery")


WHOLE = """
PRESETS = {"smoke": None}
def conditions(protocol): return []
def training(protocol): ...
def table(results): ...
def figure(results): ...
"""


@pytest.fixture
def written(workplace):
    """Write a file into the working folder."""

    def write(name, code):
        (workplace / name).write_text(code)
        return workplace / name

    return write


@pytest.mark.parametrize("spelling", ["{name}", "./{name}", "{folder}/{name}", "../{last}/{name}"])
def test_a_file_is_a_study_however_it_is_spelt(spelling, written):
    path = written("its_study.py", f'"""A question?"""\n{WHOLE}')
    first = get_study(str(path))
    found = get_study(spelling.format(name=path.name, folder=path.parent, last=path.parent.name))
    assert (found.name, found.question, found.place) == ("its_study", "A question?", str(path))
    assert found.presets is first.presets  # the file is run once


def test_a_file_is_run_again_when_it_or_what_is_beside_it_has_changed(written):
    written("its_helper.py", "N = 1\n")
    path = written("its_other_study.py", f"import its_helper\nQUESTION = f'{{its_helper.N}}?'\n{WHOLE}")
    assert get_study(str(path)).question == "1?"
    written("its_helper.py", "N = 1000\n")
    assert get_study(str(path)).question == "1000?"
    written("its_other_study.py", f"QUESTION = 'none'\n{WHOLE}")
    assert get_study(str(path)).question == "none"


def test_a_file_on_the_path_already_is_a_study(written, monkeypatch):
    path = written("found_study.py", WHOLE)
    monkeypatch.syspath_prepend(path.parent)  # as `python -m flylab` does with the working folder
    assert get_study("found_study.py").place == str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("nowhere.py", None, "there is no file .*nowhere.py; flylab new study nowhere writes one"),
        ("raises.py", "1 / 0", r"raises.py raised ZeroDivisionError: division by zero \(raises.py, line 1\)"),
        ("wrong.py", "def f(:", "wrong.py raised SyntaxError"),
        ("ends.py", "exit(3)", "ends.py raised SystemExit: 3"),
        ("imports.py", "import no_such_package", "imports.py raised ModuleNotFoundError"),
        ("empty.py", "", "empty.py is no study: .* defines no PRESETS"),
        ("partial.py", WHOLE.replace("training", "training_"), "defines neither training nor run"),
        ("json.py", WHOLE, "json.py is named as another module is: rename it"),
    ],
)
def test_a_file_that_is_no_study(name, code, message, written, capsys):
    if code is not None:
        written(name, code)
    before = sys.path.copy(), {*sys.modules}
    with pytest.raises(ValueError, match=message):
        get_study(name)
    assert main(["run", name, "smoke"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said
    if name != "partial.py" and name != "empty.py":  # these are modules all the same
        assert sys.path == before[0]
        assert name.removesuffix(".py") not in {*sys.modules} - before[1]


def test_results_make_no_code_run_that_the_user_has_not_run(written):
    """Neither results nor a sweep's file can name a file that is then run."""
    path = written("stranger.py", f"open('ran', 'w').close()\n{WHOLE}")
    for attrs in ({"study": "stranger", "place": str(path)}, {"study": "stranger.py"}, {}):
        with pytest.raises(ValueError, match=r"has not been run here|there is no study"):
            registry.study_in(attrs)
    sweep = written("sweep.toml", 'study = "stranger.py"\n[axes]\nn_steps = [1]')
    assert main(["sweep", str(sweep)]) == 2
    assert not (path.parent / "ran").exists()
    get_study("stranger.py")
    assert registry.study_in({"study": "stranger", "place": str(path)}).name == "stranger"


@pytest.mark.parametrize("name", list_studies())
def test_every_study_knows_its_flops_and_memory(name):
    study = get_study(name)
    smoke = study.presets["smoke"]
    flops, n_bytes = zip(*(study.resources(smoke, condition) for condition in study.conditions(smoke)), strict=True)
    assert min(sum(flops), max(n_bytes)) > 0  # single conditions train nothing, such as scikit-learn's methods
