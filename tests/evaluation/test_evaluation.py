"""Evaluating a model: results are found again, flags, the leaderboard, and the command line."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from sklearn.dummy import DummyClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

import flylab
from flylab.cli.main import main
from flylab.evaluation import evaluation
from flylab.evaluation.evaluation import evaluate, flags, protocol_of
from flylab.evaluation.leaderboard import leaderboard, leaderboard_table
from flylab.study import get_study

CODE = """
import jax, jax.numpy as jnp
from sklearn.naive_bayes import GaussianNB

thing = GaussianNB()
pair = (lambda key: 0.1 * jax.random.normal(key, (10, 40)), lambda w, x: w @ x)
"""
LITTLE = {"n_steps": 4, "eval_every": 2}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder with the references in it."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "mine.py").write_text(CODE)
    evaluate(f"{folder / 'mine.py'}:pair", name="linear", preset="smoke", out=folder, **LITTLE)
    evaluate(GaussianNB(), preset="smoke", out=folder, **LITTLE)
    return folder


@pytest.mark.slow
def test_a_model_among_others(out):
    found = evaluate(GaussianNB(), preset="smoke", out=out, **LITTLE)
    assert (found.row.model, found.row.title, found.row.n_train) == ("GaussianNB", "GaussianNB", 200)
    assert {row.model for row in found.rows} == {"GaussianNB", "mlp", "cnn"}  # flylab's protocol is another
    assert found.results.sizes["model"] == 3
    assert set(found.row.by_size) == {100}
    assert {path.name for path in found.folder.iterdir()} >= {
        "figure.png",
        "figure.svg",
        "evaluation.json",
        "results.nc",
    }
    again = found.fit([0, 1])
    plain = found.results.test_accuracy.sel(model="GaussianNB", arrangement="plain", n_train=200, seed=[0, 1])
    np.testing.assert_array_equal(again.results.test_accuracy, plain)
    assert again.predict(np.zeros((3, 40))).shape == (2, 3)
    assert isinstance(again.models[0], GaussianNB)
    written = json.loads((found.folder / "evaluation.json").read_text())
    assert written["row"] == json.loads(json.dumps(evaluation.as_json(found.row)))
    assert written["protocol"]["n_steps"] == 4


@pytest.mark.slow
def test_the_zoo_stands_around_a_model_of_the_same_protocol():
    others = evaluation._others(protocol_of("quick"))
    assert {"gru", "local", "svm"} <= {row.model for row in others}
    assert not {"mlp", "cnn"} & {row.model for row in others}
    assert evaluation._others(protocol_of("quick", n_seeds=2, train_sizes=()))
    assert not evaluation._others(protocol_of("quick", learning_rate=1e-3))


@pytest.mark.long
def test_what_is_given_by_its_place_is_found_again(out, monkeypatch):
    trained = []
    real = evaluation.continuum.learn
    monkeypatch.setattr(evaluation.continuum, "learn", lambda *args, **kw: trained.append(args[2]) or real(*args, **kw))
    place = f"{out / 'mine.py'}:thing"

    def n_trained(*args, **kwargs):
        trained.clear()
        evaluate(*args, preset="smoke", out=out, **LITTLE, **kwargs)
        return len(trained)

    assert n_trained(place) > 0
    assert n_trained(place) == 0
    assert n_trained(place, n_seeds=3) > 0  # the new seed
    (out / "mine.py").write_text(CODE + "\nthing = GaussianNB(var_smoothing=0.1)\n")
    assert n_trained(place) > 0
    assert n_trained(GaussianNB(), name="made-here") > 0
    assert n_trained(GaussianNB(), name="made-here") > 0  # nobody knows what a closure holds


@pytest.mark.slow
def test_what_a_model_imports_late_is_current(out, workplace):
    """A neighbour that it imports when it is made: what is evaluated is what the neighbour says now."""
    place, made = workplace / "folder" / "late.py", []
    place.parent.mkdir()
    place.write_text("from sklearn.neighbors import KNeighborsClassifier\ndef net():\n    from neighbour import N\n"
                     "    return KNeighborsClassifier(N)\n")  # fmt: skip
    for n in (1, 20):
        (place.parent / "neighbour.py").write_text(f"N = {n}\n" + n * "#")
        for model in (f"{place}:net", KNeighborsClassifier(n)):
            made.append(evaluate(model, name="late", preset="smoke", out=out, n_seeds=1, **LITTLE).row.plain.mean)
    assert made[0] == made[1] != made[2] == made[3]


@pytest.mark.slow
def test_seeds_that_differ_in_number_do_not_mix(out):
    found = evaluate(GaussianNB(), preset="smoke", out=out, n_seeds=1, **LITTLE)
    assert found.row.n_seeds == 1
    assert np.isnan(found.row.plain.low)


@pytest.mark.parametrize("name", ["cnn", "a/b", "..", "", "a b"])
def test_a_name_that_is_none(out, name):
    with pytest.raises(ValueError, match=r"name=.* must be letters, digits"):
        evaluate(KNeighborsClassifier(), name=name or " ", preset="smoke", out=out, **LITTLE)


def test_an_unknown_preset():
    with pytest.raises(ValueError, match="no preset 'big'; it has smoke, quick, paper"):
        protocol_of("big")


def test_fewer_data_than_the_presets_sizes():
    assert protocol_of("quick", data=flylab.MNIST1D(n_train=1000)).train_sizes == (500,)


class Stumbles(GaussianNB):
    """Fails only when it is trained."""

    def fit(self, X, y):
        raise RuntimeError("not today")


def test_what_fails_in_training_is_one_line(out):
    with pytest.raises(ValueError, match=r"stumbles, in training, raised RuntimeError: not today \(test_evaluation.py"):
        evaluate(Stumbles(), name="stumbles", preset="smoke", out=out, **LITTLE)


# ── flags ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def results(accuracy=70.0, train=80.0, loss=1.0, constant=False):
    label = np.tile(np.arange(10, dtype=np.uint8), (2, 10))
    values = {
        "test_accuracy": accuracy, "train_accuracy": train, "test_loss": loss,
    }  # fmt: skip
    dims = ("model", "arrangement", "n_train", "seed", "step")
    return xr.Dataset(
        {name: (dims, np.full((1, 1, 1, 2, 1), value)) for name, value in values.items()}
        | {name: ((*dims[:4], "example"), value[None, None, None])
           for name, value in {"label": label, "prediction": 0 * label + 3 if constant else label}.items()},
        {"model": ["mine"], "arrangement": ["plain"], "n_train": [4000], "seed": [0, 1], "step": [6000]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, ()),
        ({"accuracy": 31.0, "train": 36.0}, ()),
        ({"accuracy": 12.0, "train": 15.0}, ("weak",)),
        ({"accuracy": 12.0, "train": 99.0}, ("memorises",)),
        ({"accuracy": 10.0, "train": 10.0, "constant": True}, ("constant",)),
        ({"accuracy": 10.0, "train": 10.0, "constant": True, "loss": np.nan}, ("diverged", "constant")),
        ({"loss": np.inf}, ("diverged",)),
    ],
)
def test_flags(case, expected):
    assert flags(results(**case)) == expected
    assert set(expected) <= set(evaluation.FLAGS)


class Memoriser(KNeighborsClassifier):
    """Knows what it has seen, and nothing else."""

    def fit(self, X, y):
        self.seen_ = {row.tobytes(): label for row, label in zip(np.asarray(X), y, strict=True)}
        return self

    def predict(self, X):
        return np.array([self.seen_.get(row.tobytes(), i % 10) for i, row in enumerate(np.asarray(X))])


@pytest.mark.long
def test_models_that_deserve_a_flag(out):
    def found(model, name, **changes):
        return evaluate(model, name=name, preset="smoke", out=out, **LITTLE | changes).flags

    assert found(DummyClassifier(), "dummy") == ("constant",)
    assert found(Memoriser(), "memoriser") == ("memorises",)
    linear = (lambda key: jnp.zeros((10, 40)), lambda w, x: w @ x)
    assert "diverged" in found(linear, "exploding", learning_rate=1e38)


# ── leaderboard and command line ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_leaderboard(out):
    entries = leaderboard(out)
    own = [entry for entry in entries if entry.own]
    assert {"GaussianNB", "linear"} <= {entry.row["model"] for entry in own}
    assert sum(not entry.own for entry in entries) == 16
    table = leaderboard_table(entries)
    assert table.rows[0][1] == "GRU"
    assert all("another protocol" in row[-1] for row in table.rows if row[1].endswith("*"))
    by_accuracy = [entry.row["plain"]["mean"] for entry in leaderboard(out, "accuracy")]
    assert by_accuracy == sorted(by_accuracy, reverse=True)
    with pytest.raises(ValueError, match="by='size' must be one of score, accuracy"):
        leaderboard(out, "size")


def test_a_damaged_evaluation_is_named(tmp_path):
    path = tmp_path / "evaluations" / "a" / "b" / "evaluation.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"row": {}}')
    with pytest.warns(UserWarning, match=r"evaluation.json is damaged \(KeyError\)"):
        entries = leaderboard(tmp_path)  # without it
    assert entries
    assert not any(entry.own for entry in entries)


@pytest.mark.slow
def test_command_line(out, capsys):
    words = ["evaluate", f"{out / 'mine.py'}:thing", "smoke", "--n-steps", "4", "--eval-every", "2"]
    assert main([*words, "--out", str(out)]) in (0, 2)
    said = capsys.readouterr()
    assert "thing" in said.out
    assert "100 training examples" in said.out
    assert main(["leaderboard", "--out", str(out), "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert {"row", "preset", "own", "flags"} <= set(entries[0])
    assert main(["leaderboard", "--out", str(out)]) == 0
    assert "thing *" in capsys.readouterr().out


@pytest.mark.slow
def test_a_flag_is_exit_code_2(out, capsys):
    (out / "dummy.py").write_text("from sklearn.dummy import DummyClassifier\nNet = DummyClassifier()\n")
    words = ["evaluate", f"{out / 'dummy.py'}:Net", "smoke", "--n-steps", "4", "--eval-every", "2"]
    assert main([*words, "--out", str(out)]) == 2
    assert "Net is flagged: it predicts one class" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.py:Net"], "nowhere.py does not exist"),
        ([], "MODEL is missing"),
        (["flylab.models.convolutional:cnn"], "name='cnn' must be letters"),
        (["flylab.models.convolutional:cnn", "big", "--name", "a"], '"big" for PRESET. Choose from: "smoke"'),
        (["flylab.models.convolutional:cnn", "--name", "a", "--learning-rate", "-1"], "learning_rate"),
    ],
)
def test_bad_input_is_one_line(words, message, capsys):
    assert main(["evaluate", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_the_protocol_of_an_evaluation_is_the_continuums():
    ours = protocol_of("quick")
    theirs = get_study("continuum").presets["quick"]
    assert replace(ours, models=theirs.models, train_sizes=()) == theirs
    assert ours.train_sizes == (500, 1000, 2000)
