"""The human quiz: correct answers are counted, compared with networks, and saved on this machine."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flylab.app import answers, quiz
from flylab.data import MNIST1D, published


def test_a_sitting():
    sitting = quiz.Sitting.begun(10, "plain", seed=1)
    assert len(set(sitting.items)) == 10
    y = published(MNIST1D()).test.y
    for i in sitting.items[:9]:
        sitting = sitting.answered(int(y[i]))
    assert not sitting.is_over
    assert sitting.answered(3).is_over
    assert sitting.undone().answers == sitting.answers[:-1]
    sitting = sitting.answered((int(y[sitting.items[9]]) + 1) % 10)
    assert sitting.is_over
    assert sitting.n_right == 9
    assert sitting.answered(3) == sitting.undone() == sitting
    shown = answers.sitting(sitting)
    assert "9 of 10 right" in shown
    assert "90 (60 … 98)" in shown


@pytest.mark.parametrize(("n", "arrangement"), [(11, "plain"), (10**9, "plain"), (10, "x"), (0, "plain")])
def test_invalid_sittings_are_refused(n, arrangement):
    with pytest.raises(ValueError, match="must be one of"):
        quiz.Sitting.begun(n, arrangement)


@pytest.mark.parametrize("digit", [-1, 10, "3"])
def test_only_digits_are_answers(digit):
    with pytest.raises(ValueError, match="must be an integer from 0 to 9"):
        quiz.Sitting.begun(10, "plain").answered(digit)


def test_networks_are_those_of_the_published_protocol():
    """The committed predictions give the accuracies of README's table on this test set."""
    all_items = range(1000)
    plain, shuffled = (quiz.networks_on(name, all_items) for name in quiz.ARRANGEMENTS)
    for title, (on_these, on_all) in plain.items():
        assert on_these == on_all
        assert {"logistic regression": 31, "MLP": 64, "CNN": 94, "GRU": 90}[title] == pytest.approx(on_all, abs=1)
    assert shuffled["CNN"][1] < plain["CNN"][1] - 30
    assert quiz.networks_on("plain", [0])["CNN"][0] in np.arange(0, 101, 10)


def test_what_people_and_networks_both_miss():
    y = published(MNIST1D()).test.y
    predicted = quiz.predictions().sel(model="cnn", arrangement="plain").values
    hard = int(np.argmax((predicted != y).mean(0)))
    easy = int(np.argmin((predicted != y).mean(0)))
    wrong = tuple(int(y[i] + 1) % 10 for i in (hard, easy))
    missed = quiz.both_missed([quiz.Sitting("plain", (hard, easy), wrong)], "plain")
    assert [example for example, _, _ in missed] == [hard]
    assert quiz.both_missed([quiz.Sitting("plain", (hard,), (int(y[hard]),))], "plain") == []
    counts = {k: (n, bad) for k, n, bad in quiz.errors_by_class([quiz.Sitting("plain", (hard, easy), wrong)])}
    assert sum(n for n, _ in counts.values()) == sum(bad for _, bad in counts.values()) == 2


def test_sittings_are_saved_and_exported(tmp_path):
    first, second = (quiz.Sitting.begun(10, name, seed=2).answered(4) for name in quiz.ARRANGEMENTS)
    second = quiz.Sitting(second.arrangement, second.items, second.answers, first.started + 1)
    for sitting in (first, second):
        quiz.save(tmp_path, sitting)
    assert quiz.load(tmp_path) == [first, second]
    assert "So far, shuffled: " in answers.sittings(quiz.load(tmp_path))
    rows = quiz.exported([first, second]).decode().splitlines()
    assert rows[0] == "started,arrangement,example,true_class,answer"
    assert len(rows) == 3


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
_numbers = st.lists(st.integers(0, 12), max_size=2) | _json
_fields = {"arrangement": st.sampled_from(quiz.ARRANGEMENTS) | _json, "items": _numbers, "answers": _numbers}
_like = st.fixed_dictionaries({}, optional={**_fields, "started": _json})


@given(_json | _like)
def test_files_that_are_not_sittings_are_skipped(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("quiz")
    (folder / "quiz").mkdir()
    (folder / "quiz" / "1.json").write_text(json.dumps(data))
    for sitting in quiz.load(folder):
        answers.sittings([sitting])
