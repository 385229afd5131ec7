"""Training in the background: trainings take turns, stop on request, and end with the page that started them."""

import dataclasses
import re
import threading
import time
from xml.etree.ElementTree import fromstring

import jax
import numpy as np
import pytest

from flylab.app import answers, background, downloads, drawing, limits, quiz, state, svg
from flylab.app.background import BusyError, Training
from flylab.app.mistakes import confusion, first_layer, misread
from flylab.app.settings import Settings, data_of, positions, splits
from flylab.base.netcdf import open_checked
from flylab.data import formats
from flylab.training import dispatch

DATA = data_of({"n_train": 200, "n_test": 100})
LONG = Settings(DATA, ("mlp",), n_steps=20_000, n_seeds=2, batch_size=50)
SHORT = Settings(DATA, ("logistic", "cnn"), n_steps=100, n_seeds=2, batch_size=50)


@pytest.fixture(scope="module")
def done():
    training = Training(SHORT)
    training.join(120)
    assert training.phase == "done", training.error
    return training


def wait_until(is_true, seconds=60.0):
    end = time.monotonic() + seconds
    while not is_true() and time.monotonic() < end:
        time.sleep(0.02)
    return is_true()


@pytest.mark.slow
def test_training_stops_on_request():
    training = Training(LONG)
    assert wait_until(lambda: training.phase == "training")
    training.stop()
    training.join(30)
    assert training.phase == "stopped"
    assert 0 < training.share < 1
    assert training not in Training.running


def test_training_ends_with_the_thread_that_started_it():
    """A marimo page's thread ends when its tab is closed."""
    trainings = []
    page = threading.Thread(target=lambda: trainings.append(Training(LONG)))
    page.start()
    page.join()
    (training,) = trainings
    training.join(60)
    assert training.phase == "stopped"
    assert training.share < 1
    assert not Training.running


@pytest.mark.slow
def test_two_trainings_at_once_give_the_bits_of_one_alone(done):
    both = [Training(SHORT), Training(SHORT)]
    for training in both:
        training.join(120)
        assert training.phase == "done", training.error
        for name in SHORT.models:
            ours, alone = training.populations[name], done.populations[name]
            jax.tree.map(np.testing.assert_array_equal, ours.params, alone.params)


@pytest.fixture
def narrow():
    """Room for one training to run, and one to wait; a page may have two."""
    limits.choose(limits.ALONE._replace(at_once=1, waiting=1, each=2))
    yield
    limits.choose(limits.ALONE)


def elsewhere(does):
    """Return what another page gets; its thread lives until the end is set."""
    end, made = threading.Event(), []

    def page():
        try:
            made.append(does())
        except ValueError as error:
            made.append(error)
        end.wait(60)

    threading.Thread(target=page, daemon=True).start()
    assert wait_until(lambda: made)
    return made[0], end


def test_trainings_wait_in_a_queue_and_too_many_are_refused(narrow):
    first = Training(LONG)
    second, end = elsewhere(lambda: Training(dataclasses.replace(LONG, n_seeds=3)))
    assert (first.place, second.place) == (0, 1)
    assert drawing.status([second], None)["text"] == "place 1 in the queue"
    refused, _ = elsewhere(lambda: Training.all_of([LONG, dataclasses.replace(LONG, n_seeds=4)]))
    assert isinstance(refused, BusyError)
    assert "1 trainings are waiting already" in str(refused)
    first.stop()
    assert wait_until(lambda: second.phase == "training")  # its turn has come
    assert first.phase == "stopped"
    end.set()
    second.join(60)
    assert not Training.running


def test_a_page_has_only_so_many_trainings(narrow):
    limits.choose(limits.now()._replace(waiting=9))
    both = Training.all_of([LONG, dataclasses.replace(LONG, n_seeds=3)])
    with pytest.raises(BusyError, match="2 trainings of this page are not over"):
        Training.of(dataclasses.replace(LONG, n_seeds=5))
    for training in both:
        training.stop()
        training.join(60)
        assert training.phase == "stopped"


def test_no_page_stops_the_training_of_another():
    training = Training.of(LONG)
    assert wait_until(lambda: training.phase == "training")
    left, end = elsewhere(lambda: Training.of(LONG).stop())
    assert left.phase == "stopped"
    assert left.populations
    assert not training.is_over
    end.set()
    assert training.stop() is training
    training.join(60)
    assert training.phase == "stopped"


def test_a_failure_is_reported(monkeypatch):
    def fail(*_):
        raise ValueError("no such luck")

    monkeypatch.setattr(background, "watch_members", fail)
    training = Training(SHORT)
    training.join(60)
    assert (training.phase, training.error) == ("failed", "no such luck")


def test_confusion_and_misread(done):
    population, y = done.populations["cnn"], splits(DATA).test.y
    table = confusion(population, y, 10)
    np.testing.assert_allclose(table.sum(1), 100)
    accuracy = float(population.results.test_accuracy[..., -1].mean())
    assert np.average(np.diag(table), weights=np.bincount(y, minlength=10)) == pytest.approx(accuracy, abs=1e-4)
    predictions = population.results.prediction.values.reshape(-1, len(y))
    for i, instead, share in misread(population, y):
        assert instead != y[i]
        assert share == pytest.approx(100 * (predictions[:, i] != y[i]).mean())
    assert first_layer(population).shape == (25, 5)
    assert first_layer(done.populations["logistic"]).shape == (10, 40)


def test_pictures_are_well_formed(done):
    runs = drawing.runs_of([done])
    parts = [drawing.curves(runs), drawing.curves(runs, "loss", "train"), drawing.accuracies(runs), answers.templates(),
             drawing.mistakes(done, "cnn"), drawing.construction(DATA, 3, 1), drawing.examples(splits(DATA), DATA),
             answers.question(quiz.Sitting.begun(10, "plain", 1, is_practice=True).answered(3))]  # fmt: skip
    for part in parts:
        fromstring(f"<div>{part.replace('&nbsp;', ' ')}</div>")
        assert "nan" not in part
        assert all(float(size) >= 12 for size in re.findall(r'font-size="([\d.]+)"', part))
    last = float(done.populations["cnn"].results.test_accuracy[..., -1].mean())
    assert f"CNN: {last:.1f} at 100" in parts[0]
    assert svg.ink("cnn") in parts[0]


def test_a_shuffled_data_set_is_constructed_to_its_end():
    data = dataclasses.replace(DATA, shuffle_seq=True)
    assert "shuffle</text>" in drawing.construction(data, 3)
    assert "shuffle</text>" not in drawing.construction(DATA, 3)
    np.testing.assert_array_equal(splits(data).train.x, splits(DATA).train.x[:, positions(data)])


def test_results_say_what_they_were_trained_with(done):
    runs = drawing.runs_of([done])
    assert "trained with" not in drawing.results(runs, [])
    differs = state.differences(SHORT, dataclasses.replace(SHORT, n_seeds=4))
    assert differs == [("seeds", "2", "4")]
    shown = drawing.results(runs, differs)
    assert "trained with seeds 2." in shown
    assert "flylab-stale" in shown


def test_a_page_that_is_loaded_again_finds_its_training(done, monkeypatch):
    monkeypatch.setitem(Training.recent, done.key, done)
    assert Training.found(done.key) is done
    assert Training.of(SHORT) is done  # it has the bits of a new one
    assert Training.found("x") is None
    first, second = threading.Event(), threading.Event()
    trainings = []

    def page(end):
        trainings.append(Training.of(LONG))
        end.wait(60)

    pages = [threading.Thread(target=page, args=(end,)) for end in (first, second)]
    pages[0].start()
    assert wait_until(lambda: trainings and trainings[0].phase == "training")
    pages[1].start()
    assert wait_until(lambda: len(trainings) == 2)
    assert trainings[0] is trainings[1]
    first.set()
    pages[0].join()
    trainings[0].join(1)
    assert not trainings[0].is_over  # the other page still shows it
    second.set()
    trainings[0].join(60)
    assert trainings[0].phase == "stopped"


def test_downloads_can_be_loaded(done, tmp_path):
    (tmp_path / "data.npz").write_bytes(downloads.data(DATA))
    loaded = formats.load(tmp_path / "data.npz")
    np.testing.assert_array_equal(loaded.train.x, splits(DATA).train.x)
    (tmp_path / "results.nc").write_bytes(downloads.results(done))
    results = open_checked(tmp_path / "results.nc")
    assert results.model.values.tolist() == ["logistic", "cnn"]
    assert "train_members" in results.attrs["program"]
    from safetensors.numpy import load

    weights = load(downloads.weights(done))
    np.testing.assert_array_equal(weights["logistic.1.weight"], done.populations["logistic"].params["w"][0, 1])
    assert weights["cnn.0.conv1.weight"].shape == (25, 1, 5)


@pytest.mark.slow
def test_compiled_programs_are_dropped_now_and_then(monkeypatch):
    monkeypatch.setattr(background, "MOST_PROGRAMS", 1)
    training = Training(SHORT)
    training.join(120)
    assert wait_until(lambda: dispatch._program.cache_info().currsize == 0)
    again = Training(SHORT)
    again.join(120)
    assert again.phase == "done"
    np.testing.assert_array_equal(
        training.populations["cnn"].results.test_loss, again.populations["cnn"].results.test_loss
    )
