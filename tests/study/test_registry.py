"""Studies by name: flylab's own, those of other packages, and packages that are broken."""

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
