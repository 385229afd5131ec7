"""`flylab new study`, and the study that it writes, from end to end."""

import importlib
import json
import subprocess
import sys

import pytest

from flylab import template
from flylab.cli.main import main


@pytest.mark.slow
def test_what_it_writes_runs_at_once_and_trains_nothing_twice(workplace, capsys):
    assert main(["new", "study", "wide-study"]) == 0
    assert capsys.readouterr().out == "wide_study.py is a study; try it: flylab run wide_study.py smoke\n"
    assert main(["run", "wide_study.py", "smoke"]) == 0
    said = capsys.readouterr().out
    assert "test accuracy (%)" in said
    assert "trained 4 members" in said
    (run,) = (workplace / "runs" / "wide_study").iterdir()
    (claim,) = json.loads((run / "claims.json").read_text())
    assert (claim["id"], claim["n_seeds"]) == ("wider-is-better", 2)
    assert (run / "figure.png").read_bytes().startswith(b"\x89PNG")
    page = (run / "report.html").read_text()
    assert template.__doc__ in page
    assert f"flylab run {workplace}/wide_study.py smoke" in page
    (run / "report.html").unlink()
    assert main(["report", "runs"]) == 0
    assert (run / "report.html").read_text() == page

    text = 'study = "wide_study.py"\npreset = "smoke"\n[axes]\nlearning_rate = [0.01, 0.02]\n'
    (workplace / "sweep.toml").write_text(text)
    for words, says in (
        (["run", str(workplace / "wide_study.py"), "smoke"], "nothing to train"),
        (["run", "./wide_study.py", "smoke", "--n-seeds", "3", "--part", "1/2"], "trained 1 members of part 1/2"),
        (["run", "wide_study.py", "smoke", "--n-seeds", "3", "--dry-run"], "members    6; 5 are finished"),
        (["sweep", "sweep.toml"], "trained 4 members"),
        (["claims", "runs"], "learning_rate=0.02"),
        (["slurm", "run", "wide_study.py", "smoke"], "wide_study-smoke.sbatch has 8 jobs"),
        (["help", "run", "wide_study.py", "smoke"], "--widths"),
    ):
        assert main(words) == 0
        assert says in capsys.readouterr().out, words


@pytest.mark.long
def test_workers_find_the_file_from_another_folder(workplace):
    assert main(["new", "study", "far"]) == 0
    (workplace / "below").mkdir()
    command = [sys.executable, "-m", "flylab", "run", "../far.py", "smoke", "--workers", "2"]
    done = subprocess.run(command, cwd=workplace / "below", capture_output=True, text=True)
    assert "trained 4 members" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("3d", "'3d' is no name for a study"),
        ("a.b", "'a.b' is no name for a study"),
        ("../up", "'../up' is no name for a study"),
        ("class", "'class' is no name for a study"),
        ("json", "'json' is the name of an installed module"),
        ("lottery", "'lottery' is the name of a study of flylab"),
        ("mine", "mine.py exists already: give another name"),
    ],
)
def test_a_name_that_cannot_be(name, says, workplace, capsys):
    (workplace / "mine.py").write_text("precious")
    assert main(["new", "study", name]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1
    assert (workplace / "mine.py").read_text() == "precious"
    assert [path.name for path in workplace.iterdir()] == ["mine.py"]


def test_the_template_is_short_and_a_module():
    assert importlib.import_module("flylab.template").STUDY.claims
    with open(template.__file__) as file:
        assert len(file.readlines()) < 70
