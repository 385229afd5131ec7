"""Architectures: claims on made-up results, and small runs with image data sets, some of which are missing."""

import gzip
import json
import re

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.base import netcdf
from flylab.cli.main import main
from flylab.data import Images, MissingImagesError, load_images, shared, shuffled
from flylab.data.images.downloads import SITES
from flylab.results.judging import judge
from flylab.results.sampling import components
from flylab.runs.plan import plan_of_study
from flylab.runs.runner import execute
from flylab.studies import architectures
from flylab.studies.architectures.images import SHUFFLED
from flylab.study import Context
from flylab.study.registry import get_study
from flylab.study.study import protocol_of
from flylab.training.step import Plan

STUDY = get_study("architectures")
TINY = {"n_seeds": 2, "n_steps": 20, "eval_every": 10, "image_n_steps": 20, "image_eval_every": 20}
TINY_WORDS = ["smoke", "--n-seeds", "2", "--n-steps", "20", "--eval-every", "10", "--image-n-steps", "20"]


@pytest.fixture
def mnist(tmp_path):
    """Write scikit-learn's digits, 8×8 pixels, in MNIST's format, and return the folder for `data_dir`."""
    return write_mnist(tmp_path / "data")


def write_mnist(folder, name="mnist", seed=0):
    splits = load_images(Images(seed=seed, n_valid=0, n_train=1400))
    files = iter(SITES["mnist"].files)
    for part in (splits.train, splits.test):
        x = part.x[..., 0] - part.x.min()
        for values in ((15 * x / x.max()).round(), part.y):
            sizes = b"".join(n.to_bytes(4, "big") for n in values.shape)
            content = bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()
            path = folder / name / next(files)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(content, mtime=0))
    return folder


FLOPS = {"mnist1d": 1.0, "digits": 3.0, "mnist": 10.0, "fashion_mnist": 10.0, "cifar10": 30.0}  # of a step, made up


def results_of(**accuracy_by_place):
    """Return results with these test accuracies (one per seed) by `dataset__model[__source[__arrangement]]`."""
    conditions, values = [], []
    for place, accuracy in accuracy_by_place.items():
        words = place.split("__")
        dataset, model, source, arrangement = (*words, *("published", "plain")[len(words) - 2 :])
        conditions.append({"dataset": dataset, "model": model, "arrangement": arrangement, "source": source})
        values.append(accuracy)
    coords = {name: list(dict.fromkeys(condition[name] for condition in conditions)) for name in conditions[0]}
    accuracies = xr.DataArray(
        np.full((*map(len, coords.values()), len(values[0]), 1), np.nan, np.float32),
        coords | {"seed": range(len(values[0])), "step": [100]},
    )
    for condition, value in zip(conditions, values, strict=True):
        accuracies.loc[condition] = np.array(value)[:, None]
    variables = dict.fromkeys(("test_accuracy", "train_accuracy", "valid_accuracy"), accuracies)
    flops = xr.DataArray([FLOPS[name] for name in coords["dataset"]], {"dataset": coords["dataset"]})
    variables["flops_per_step"] = (accuracies.isel(step=0, drop=True).notnull() * flops).transpose(*coords, "seed")
    return xr.Dataset(variables).assign_attrs(study="architectures", preset="quick", run="r")


def verdicts(results):
    return {verdict.id: verdict for verdict in judge(STUDY.claims, results, {"quick": [], "paper": []})}


SIGNALS = {"mnist1d__cnn": [94, 93, 94], "mnist1d__mlp": [65, 64, 66], "mnist1d__logistic": [31, 31, 32]}
DIGITS = {"digits__svm__fresh": [98, 99, 98.5]}
MNIST = {"mnist__cnn": [99, 99.1, 99.2], "mnist__mlp": [98, 98.2, 98.1], "mnist__logistic": [92, 92.1, 92],
         "mnist__resnet": [99.5, 99.6, 99.7]}  # fmt: skip
KINDS = ("logistic", "mlp", "cnn")
FASHION = {"fashion_mnist__cnn": [90, 90.1, 90], "fashion_mnist__mlp": [88, 88, 88.1]}
CIFAR10 = {
    "cifar10__resnet": [70, 70, 70],
    "cifar10__cnn": [65, 66, 64],
    "cifar10__mlp": [50, 51, 50],
    "cifar10__logistic": [39, 38, 39],
}


# ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_image_claims_where_the_data_are_there():
    shuffled = {"mnist__cnn__published__reshuffled": [96, 96.1, 96.2]}
    by_id = verdicts(results_of(**SIGNALS, **DIGITS, **MNIST, **shuffled, **FASHION, **CIFAR10))
    for name, effect in (
        ("discriminates", np.mean([63 - 35, 62 - 35, 62 - 36])), ("fashion-harder", np.mean([9, 9, 9.2])),
        ("discriminates-cnn", np.mean([29 - 5, 29 - 4.5, 28 - 5.5])),
        ("cifar-discriminates", np.mean([14, 14.1, 12.9])), ("sklearn-easy", 98.5),
        ("cifar-discriminates-resnet", np.mean([5 - 0.5, 4 - 0.5, 6 - 0.5])), ("reshuffle-mnist", 3),
    ):  # fmt: skip
        assert by_id[name].effect == pytest.approx(effect, abs=1e-3), name
        assert by_id[name].verdict == "supported"
        assert by_id[name].n_seeds == 3


@pytest.mark.slow
def test_levels_on_mnist_and_costs_can_be_refuted():
    """The made-up networks end at one step, where a step costs ten times as much on MNIST: less than 20 times."""
    by_id = verdicts(results_of(**SIGNALS, **DIGITS, **MNIST))
    for name, effect in (("mnist-logistic", 92.03), ("mnist-mlp", 98.1), *((f"cost-{model}", 1) for model in KINDS)):
        assert by_id[name].effect == pytest.approx(effect, abs=0.01), name
        assert by_id[name].verdict == "refuted"
    dear = results_of(**SIGNALS, **DIGITS, **MNIST)
    dear["flops_per_step"] = dear.flops_per_step * xr.where(dear.dataset == "mnist", 3, 1)
    assert {verdicts(dear)[f"cost-{model}"].verdict for model in KINDS} == {"supported"}


@pytest.mark.slow
def test_statements_name_the_images_that_were_there():
    results = results_of(**SIGNALS, **DIGITS, **MNIST, **CIFAR10)
    results.attrs["images"] = json.dumps({"mnist": "MNIST", "cifar10": "CIFAR-10 (JPEG copies)"})
    verdict = verdicts(results)["cifar-discriminates"]
    assert verdict.statement == "CIFAR-10 (JPEG copies) separates the MLP from the CNN better than MNIST"
    assert verdict.on == "MNIST and CIFAR-10 (JPEG copies)"
    assert any(row[0].startswith("CIFAR-10 (JPEG copies):") for row in STUDY.table(results).rows)


@pytest.mark.slow
def test_tuning_takes_the_rate_and_the_step_with_the_best_validation_accuracy():
    """By validation alone, for each seed; the result is a member's, the other rate leaves nothing."""
    protocol = protocol_of(STUDY, "smoke", dataset="digits", image_n_steps=4, image_eval_every=2)
    place = {"dataset": "digits", "model": "logistic", "arrangement": "plain", "source": "published"}
    described = architectures.training(protocol, **place)
    tried = described.run([0, 1], key=0).results
    found = STUDY.run(protocol, place, [0, 1], key=jax.random.key(0))
    best = tried.valid_accuracy.max("step").idxmax("learning_rate")
    np.testing.assert_array_equal(found.tuned_learning_rate, best)
    for seed, rate in zip([0, 1], best.values, strict=True):
        np.testing.assert_array_equal(
            found.test_accuracy.sel(seed=seed), tried.test_accuracy.sel(seed=seed, learning_rate=rate)
        )
    assert STUDY.n_steps(protocol, place) == described.n_steps == 8
    assert found.flops_per_step.values.tolist() == [3 * 100 * 2 * 64 * 10] * 2


@pytest.mark.slow
def test_shuffled_pixels_have_an_order_for_each_seed_and_are_no_copy():
    described = {
        arrangement: architectures.images.training(Images(), "cnn", arrangement, Plan(2, eval_every=2), [1e-3])
        for arrangement in ("plain", "reshuffled")
    }
    assert described["plain"].data is described["reshuffled"].data
    context = Context([0, 1], jax.random.key(0))
    both, plain = (architectures.images.run(one, arrangement, context) for arrangement, one in described.items())
    alone = architectures.images.run(described["reshuffled"], "reshuffled", Context([1], jax.random.key(0)))
    assert (both.test_loss != plain.test_loss).any()
    xr.testing.assert_identical(plain.sel(seed=1), alone.sel(seed=1))


def test_image_claims_can_be_refuted():
    easy = {name.replace("mnist__", "fashion_mnist__"): value for name, value in MNIST.items()}
    hard = {name: [value - 40 for value in values] for name, values in MNIST.items() if "logistic" in name}
    by_id = verdicts(results_of(**SIGNALS, digits__svm__fresh=[90, 91, 90], **{**MNIST, **hard}, **easy, **CIFAR10))
    for name, word in (("discriminates", "refuted"), ("sklearn-easy", "refuted"), ("fashion-harder", "supported")):
        assert by_id[name].verdict == word, name


@pytest.mark.parametrize(
    ("more", "untested"),
    [
        ({}, {"discriminates": "mnist", "fashion-harder": "mnist fashion_mnist",
              "cifar-discriminates": "mnist cifar10"}),
        (MNIST, {"fashion-harder": "mnist fashion_mnist", "cifar-discriminates": "mnist cifar10"}),
        (FASHION, {"discriminates": "mnist", "fashion-harder": "mnist fashion_mnist"}),
    ],
    ids=["none", "mnist", "fashion"],
)  # fmt: skip
def test_where_they_are_not_the_flag_is_named(more, untested):
    by_id = verdicts(results_of(**SIGNALS, **DIGITS, **more))
    for name, flag in untested.items():
        assert (by_id[name].verdict, by_id[name].note) == ("not tested", f"needs --dataset {flag}")
    assert by_id["sklearn-easy"].verdict == "supported"
    assert by_id["spatial-gap"].verdict == "supported"


def test_results_made_when_there_was_one_data_set_are_still_read():
    new = results_of(**SIGNALS)
    old = new.sel(dataset="mnist1d", drop=True)
    assert verdicts(old)["spatial-gap"] == verdicts(new)["spatial-gap"]
    assert architectures.compared(old) == ["mnist1d"]


@pytest.mark.parametrize(
    ("place", "accuracies", "claim", "word"),
    [
        ("mnist1d__gru__published__shuffled", [51, 52, 51.5], "gru-shuffled.paper", "refuted"),  # 57 ± 2
        ("mnist1d__gru__published__shuffled", [53, 52.5, 53.5], "gru-shuffled.nb", "supported"),
        ("mnist1d__cnn__published__shuffled", [56, 56.5, 56.2], "cnn-shuffled.paper", "supported"),
        ("mnist1d__cnn__published__reshuffled", [57, 56, 57.5], "reshuffle-cnn", "supported"),
        ("mnist1d__neighbours__published", [59.6, 59.6, 59.6], "neighbours-knn", "supported"),
        ("mnist1d__neighbours__fresh", [59.6, 59.6, 59.6], "neighbours-knn.fresh", "supported"),
        ("mnist1d__sklearn_logistic__published", [33.3, 33.3, 33.3], "neighbours-logistic", "refuted"),
    ],
)
def test_levels_stand_beside_differences(place, accuracies, claim, word):
    by_id = verdicts(results_of(**SIGNALS, **{place: accuracies}))
    assert by_id[claim].verdict == word
    assert by_id[claim].effect == pytest.approx(
        np.mean(np.subtract(SIGNALS["mnist1d__cnn"], accuracies) if claim.startswith("reshuffle") else accuracies)
    )


@pytest.mark.slow
def test_the_table_divides_the_spread_into_that_of_initialisation_and_of_data():
    fresh = {"mnist1d__cnn__fresh": [90, 94, 98], "mnist1d__mlp__fresh": [60, 65, 70]}
    table = STUDY.table(results_of(**SIGNALS, **fresh, mnist1d__cnn__published__shuffled=[57, 58, 57],
                                   mnist1d__cnn__published__reshuffled=[52, 60, 56]))  # fmt: skip
    by_name = {row[0]: row[-3:] for row in table.rows}
    assert table.columns[-3:] == (
        "sd of initialisation", "sd of data or permutation", "its share of the variance (95 % interval)"
    )  # fmt: skip
    assert by_name["CNN, plain"] == ("–", "–", "–")
    expected = components(SIGNALS["mnist1d__cnn"], fresh["mnist1d__cnn__fresh"])
    assert by_name["CNN, plain, fresh data"][:2] == (f"{expected.initialisation:.1f}", f"{expected.data:.1f}")
    assert by_name["CNN, shuffled in its own way by each seed"][0] == "0.6"
    assert by_name["CNN − MLP, plain, fresh data"][0] == "0.6"  # the spread of 29, 29, 28 … paired by seed
    assert len(STUDY.table(results_of(**SIGNALS)).columns) == 5


# ── protocol and conditions ──────────────────────────────────────────────────────────────────────────────────────────


def conditions_of(**changes):
    return STUDY.conditions(protocol_of(STUDY, "smoke", **changes))


def test_mnist1d_is_always_among_the_data_sets():
    assert protocol_of(STUDY, "smoke", dataset="mnist").dataset == ("mnist1d", "mnist")
    assert protocol_of(STUDY, "smoke", dataset=()).dataset == ("mnist1d",)
    both = protocol_of(STUDY, "smoke", dataset=("cifar10", "mnist", "mnist1d", "mnist"))
    assert both.dataset == ("mnist1d", "mnist", "cifar10")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": ("mnits",)}, "dataset[0]='mnits' must be one of mnist1d, digits, mnist"),
        ({"image_n_train": 0}, "image_n_train=0"),
        ({"image_learning_rates": (0.0,)}, "image_learning_rates[0]=0.0"),
        ({"image_learning_rates": ()}, "image_learning_rates=()"),
        ({"image_n_steps": 0}, "image_n_steps=0"),
        ({"image_eval_every": 0}, "image_eval_every=0"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        protocol_of(STUDY, "smoke", **changes)


def test_digits_references_are_in_every_run():
    """The claim `sklearn-easy` needs them; networks learn digits only if they are chosen."""
    models = [condition["model"] for condition in conditions_of() if condition["dataset"] == "digits"]
    assert models == ["neighbours", "sklearn_logistic", "svm"]
    models = [condition["model"] for condition in conditions_of(dataset="digits") if condition["dataset"] == "digits"]
    networks = ["resnet", "cnn", "mlp", "logistic", "cnn"]  # plain, and one shuffled
    assert models == [*networks, "neighbours", "sklearn_logistic", "svm"]


def test_every_seed_has_its_own_permutation_of_the_published_data():
    protocol = protocol_of(STUDY, "smoke", own_permutations=True, **TINY)
    assert {"dataset": "mnist1d", "model": "cnn", "arrangement": "reshuffled", "source": "published"} in (
        STUDY.conditions(protocol)
    )
    training = architectures.training(protocol, "mnist1d", "mlp", "reshuffled", "published")
    plain, *parts = shared(protocol.data).test, training.data(0).test, training.data(1).test
    assert not np.array_equal(parts[0].x, parts[1].x)
    for seed, part in enumerate(parts):
        np.testing.assert_array_equal(part.x, plain.x[:, shuffled(40, seed)])
        np.testing.assert_array_equal(part.y, plain.y)


def test_no_gru_on_images():
    assert not [
        condition
        for condition in conditions_of(dataset="mnist")
        if condition["model"] == "gru" and condition["dataset"] != "mnist1d"
    ]


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run with two image data sets of different length."""
    folder = tmp_path_factory.mktemp("data")
    write_mnist(folder)
    protocol = protocol_of(STUDY, "smoke", dataset=("mnist", "digits"), data_dir=str(folder), image_n_train=600, **TINY)
    assert len(load_images(Images("mnist", n_valid=0, data_dir=folder)).test.y) == 397
    return execute(STUDY, "smoke", protocol, tmp_path_factory.mktemp("runs"))


@pytest.mark.long
def test_networks_and_references_learn_images(done):
    results = done.results
    assert results.dataset.values.tolist() == ["mnist1d", "digits", "mnist"]
    assert results.dataset.attrs["long_name"] == "data set"
    assert architectures.compared(results) == ["mnist1d", "digits", "mnist"]
    for dataset in ("digits", "mnist"):
        for model in architectures.IMAGE_NETWORKS:
            for arrangement in ("plain", *(["shuffled"] if model in SHUFFLED else [])):
                curve = architectures.curves(results, "test_accuracy", model, arrangement, dataset=dataset)
                assert curve.sizes == {"seed": 2, "step": 3}
                assert np.isnan(curve).any("seed").values.tolist() == [False, True, False]  # not evaluated at 10
        for model in architectures.REFERENCES:
            assert (architectures.last(results, model, source="fresh", dataset=dataset) > 90).all()
            predicted = results.prediction.sel(dataset=dataset, model=model, arrangement="plain", source="fresh")
            assert (predicted[0] != predicted[1]).any()  # divided anew
    assert float(architectures.last(results, "mlp", dataset="digits").mean()) > 30  # in 20 steps


@pytest.mark.long
def test_predictions_and_labels_belong_together(done):
    """Missing labels and predictions are 255 where test sets have different lengths."""
    results = done.results
    for dataset, n in (("mnist1d", 100), ("digits", 397), ("mnist", 397)):
        cnn = results.sel(dataset=dataset, model="cnn", arrangement="plain", source="published")
        assert (cnn.label[:, n:] == 255).all()
        accuracy = (cnn.label == cnn.prediction)[:, :n].mean("example") * 100
        np.testing.assert_allclose(accuracy, cnn.test_accuracy.isel(step=-1), atol=1e-3)


@pytest.mark.long
def test_table_and_figure_show_every_data_set(done):
    rows = [row[0] for row in STUDY.table(done.results).rows]
    sets = ["MNIST-1D", "scikit-learn's digits", "MNIST (other files)"]
    assert {"CNN, plain", "MNIST (other files): CNN, plain", "MNIST (other files): CNN, shuffled",
            "scikit-learn's digits: MLP, plain", "MNIST (other files): RBF-SVM, plain, divided anew",
            } <= set(rows)  # fmt: skip
    assert [row.partition(":")[0] for row in rows if "CNN − logistic" in row] == sets
    panels = STUDY.figure(done.results).axes
    assert len(panels) == 4
    assert [label.get_text() for label in panels[3].get_yticklabels()] == sets


@pytest.mark.long
def test_without_images_table_and_figure_are_as_before(done):
    alone = results_of(**SIGNALS, mnist1d__gru=[90, 91, 90], **DIGITS)
    shuffled = alone.assign_coords(arrangement=["shuffled"])
    results = xr.concat([alone, shuffled], "arrangement").assign_attrs(alone.attrs)
    assert len(STUDY.figure(results).axes) == 3
    assert not [row for row in STUDY.table(results).rows if "−" in row[0]]


@pytest.mark.long
def test_mnist1d_has_the_same_bits_beside_images(done, tmp_path):
    alone = execute(STUDY, "smoke", protocol_of(STUDY, "smoke", **TINY), tmp_path).results
    ours = alone.sel(dataset="mnist1d")
    theirs = done.results.sel(dataset="mnist1d", model=ours.model)  # without the ResNet, which learns images only
    for name in ours.data_vars:
        expected = theirs[name].isel(example=slice(100)) if "example" in theirs[name].dims else theirs[name]
        xr.testing.assert_identical(ours[name].isel(example=slice(100)) if "example" in ours[name].dims else ours[name],
                                    expected)  # fmt: skip


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def names(protocol):
    axes = ("dataset", "model", "arrangement", "source")
    return {
        (*(group.condition[axis] for axis in axes), seed): name
        for group in plan_of_study(STUDY, "smoke", protocol).groups()
        for seed, name in zip(group.seeds, group.names, strict=True)
    }


def test_members_are_named_by_the_images_themselves(mnist, tmp_path):
    protocol = protocol_of(STUDY, "smoke", dataset="mnist", data_dir=str(mnist), **TINY)
    before = names(protocol)
    for path in (mnist / "mnist").iterdir():  # unpacked they are the same images
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert names(protocol) == before
    labels = mnist / "mnist/train-labels-idx1-ubyte"
    content = bytearray(labels.read_bytes())
    content[8], content[9] = content[9], content[8]
    content[10] = (content[10] + 1) % 10
    labels.write_bytes(content)
    after = names(protocol)
    changed = {place[0] for place, name in after.items() if before[place] != name}
    assert changed == {"mnist"}


def test_missing_files_are_refused_before_anything_is_trained_or_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["run", "architectures", *TINY_WORDS, "--dataset", "mnist", "--data-dir", str(tmp_path / "nowhere")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "mnist lacks train-images-idx3-ubyte.gz" in error
    assert "https://ossci-datasets" in error
    assert str(tmp_path / "nowhere/mnist") in error
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MissingImagesError):
        execute(STUDY, "smoke", protocol_of(STUDY, "smoke", dataset="cifar10", data_dir=str(tmp_path)), tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "digits", "--image-n-train", "5000"], "digits has 1797 examples"),
        (["--dataset", "mnits"], "mnits"),
    ],
)
def test_other_bad_input_is_refused_likewise(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "architectures", *TINY_WORDS, *words]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_refused_likewise(mnist, tmp_path, capsys):
    path = mnist / "mnist" / next(iter(SITES["mnist"].files))
    path.write_bytes(path.read_bytes()[:-20])
    words = ["run", "architectures", *TINY_WORDS, "--dataset", "mnist", "--data-dir", str(mnist)]
    assert main([*words, "--out", str(tmp_path / "runs")]) == 2
    assert "cannot be unpacked" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
def test_from_the_command_line(mnist, tmp_path, capsys):
    words = ["run", "architectures", *TINY_WORDS, "--dataset", "mnist", "--data-dir", str(mnist)]
    words += ["--image-n-train", "300", "--out", str(tmp_path)]
    assert main(words) == 0
    (folder,) = (tmp_path / "architectures").iterdir()
    by_id = {claim["id"]: claim for claim in json.loads((folder / "claims.json").read_text())}
    assert by_id["discriminates"]["effect"] is not None
    assert by_id["fashion-harder"]["effect"] is None
    page = (folder / "report.html").read_text()
    assert "MNIST (other files): CNN − MLP" in page
    for flag in (f"--data-dir {mnist} ", "--dataset mnist1d mnist ", "--image-n-train 300"):
        assert flag in page
    assert main(words) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert "dataset" in netcdf.open_checked(folder / "results.nc").dims
