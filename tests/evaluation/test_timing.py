"""Seconds of a training with each contestant: of which, by whose code, and what is drawn with them."""

import numpy as np
import pytest

import flylab
from flylab.cli.main import main
from flylab.data import MNIST1D
from flylab.evaluation.timing import timed, timing_figure, timing_table

TINY = {"n_seeds": 2, "models": ("logistic",), "n_trials": 2, "n_steps": 20, "eval_every": 10,
        "data": MNIST1D(n_train=200, n_valid=100, n_test=100)}  # fmt: skip
FILE = "import optax\n\ndef mine(learning_rate):\n    return optax.sgd(learning_rate)\n"


@pytest.fixture(scope="module")
def contest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timing")
    (folder / "my.py").write_text(FILE)
    results = flylab.run("optimizers", "smoke", out=folder, optimizers=("sgd",), optimizer=f"{folder}/my.py:mine",
                         **TINY)  # fmt: skip
    return results, f"{folder}/my.py:mine", next((folder / "optimizers").iterdir())


@pytest.mark.slow
def test_each_contestant_is_timed(contest):
    results, place, _ = contest
    seconds = timed(results, [place], 1)
    assert dict(seconds.sizes) == {"model": 1, "task": 1, "optimizer": 2}
    assert np.isfinite(seconds).all()
    assert (seconds > 0).all()
    made = seconds.copy(data=[[[2.0, 0.5]]])  # so that what is drawn is known
    table = timing_table(results, made)
    slow = str(made.optimizer.values[0])
    assert {row[2]: row[-1] for row in table.rows}[{"sgd": "SGD"}.get(slow, slow)] == "2"
    ends = {line.get_xdata()[-1] for line in timing_figure(results, made).axes[0].get_lines()}
    assert ends == {2.0, 0.5}


def test_the_command(contest, capsys):
    _, place, folder = contest
    assert main(["time", str(folder), place, "--rounds", "1"]) == 0
    assert "Seconds of a training" in " ".join(capsys.readouterr().out.split())
    assert (folder / "time.png").stat().st_size > 1000


REFUSED = {  # a run's words name code that is not run unless it is given
    (): "mine is a user's: give its place as well, such as my.py:mine",
    ("--rounds", "0"): "rounds=0 must be an integer ≥ 1",
}


@pytest.mark.parametrize("words", REFUSED)
def test_refuses(words, contest, capsys):
    assert main(["time", str(contest[2]), *words]) == 2
    assert REFUSED[words] in capsys.readouterr().err


def test_other_studies_are_no_contests(contest):
    with pytest.raises(ValueError, match="these are results of pooling: those of contests can be timed: optimizers"):
        timed(contest[0].assign_attrs(study="pooling"))
