"""Running a study: what is kept, what is trained again, and that nothing is lost."""

import json
import sqlite3
import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from flylab.base import netcdf
from flylab.data import MNIST1D
from flylab.results.claims import Claim
from flylab.runs.assembly import assemble
from flylab.runs.content import split_by_seed
from flylab.runs.plan import plan_of_study
from flylab.runs.runner import execute
from flylab.runs.runner import run as run_plan
from flylab.runs.store import Store
from flylab.study.protocol import BaseProtocol
from flylab.study.registry import get_study
from flylab.study.study import Study, Table, protocol_of


@dataclass(frozen=True)
class Counting(BaseProtocol):
    """A protocol that costs nothing."""

    factor: float = 2.0


ROOT = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_member_1'"


class Log:
    """What was trained, which determines nothing, though `run` reaches it."""

    def __init__(self):
        self.trained = []

    def __fingerprint__(self):
        return "a log"


log = Log()


def conditions(protocol):
    return [{"model": "one", "source": "a"}, {"model": "two", "source": "b"}]


def run(protocol, condition, seeds, *, key, artifacts, progress, resume=None):
    """Values that name their condition and seed."""
    log.trained.extend((condition["model"], seed) for seed in seeds)
    base = {"one": 100.0, "two": 200.0}[condition["model"]]
    values = [[base + protocol.factor * seed, 0.5] for seed in seeds]
    counts = np.array([[seed] for seed in seeds], "u1")
    return xr.Dataset(
        {"test_accuracy": (("seed", "step"), values), "count": (("seed", "example"), counts)},
        {"seed": list(seeds), "step": [0, 1] if condition["model"] == "one" else [1, 2]},
    )


STUDY = Study(
    question="Does it count?",
    presets={"smoke": Counting(n_seeds=2), "quick": Counting(n_seeds=3)},
    conditions=conditions,
    run=run,
    claims=[Claim("c", "s", "here", "1", "%", lambda r: r.test_accuracy.sel(model="one", source="a", step=0), above=0)],
    figure=lambda results: Figure(),
    table=lambda results: Table("t", ["a"], [["1"]]),
    name="counting",
)


@pytest.fixture(autouse=True)
def _forget():
    log.trained.clear()


def names_of(study=STUDY, protocol=None):
    """The names of all members, in order."""
    return [name for group in plan_of_study(study, "quick", protocol or Counting()).groups() for name in group.names]


def execute_with(out, preset="quick", force=False, **changes):
    return execute(STUDY, preset, protocol_of(STUDY, preset, **changes), out, force=force)


def test_results_have_names_units_and_provenance(tmp_path):
    done = execute_with(tmp_path)
    results = done.results
    assert dict(results.test_accuracy.sizes) == {"model": 2, "source": 2, "seed": 3, "step": 3}
    assert results.test_accuracy.attrs == {"long_name": "test accuracy", "units": "%"}
    assert results.test_accuracy.sel(model="two", source="b", step=1).values.tolist() == [200, 202, 204]
    assert np.isnan(results.test_accuracy.sel(model="two", source="b", step=0)).all()  # it was not evaluated there
    assert np.isnan(results.test_accuracy.sel(model="one", source="b")).all()
    assert results["count"].sel(model="two", source="b").values.ravel().tolist() == [0, 1, 2]
    assert (results["count"].sel(model="two", source="a") == 255).all()
    assert done.folder.parent == tmp_path / "counting"
    provenance = json.loads((done.folder / "provenance.json").read_text())
    assert {"finished", "seconds", "host", "devices", "versions"} <= set(provenance)
    assert "host" not in results.attrs


def test_again_trains_nothing_and_more_seeds_only_the_new(tmp_path):
    first = execute_with(tmp_path)
    assert len(log.trained) == first.n_trained == 6
    again = execute_with(tmp_path)
    assert (again.n_trained, len(log.trained)) == (0, 6)
    xr.testing.assert_identical(again.results, netcdf.open_checked(first.folder / "results.nc"))
    more = execute_with(tmp_path, n_seeds=5)
    assert sorted(log.trained[6:]) == [("one", 3), ("one", 4), ("two", 3), ("two", 4)]
    assert more.folder == first.folder
    fewer = execute_with(tmp_path, n_seeds=2)
    assert fewer.n_trained == 0
    assert fewer.results.seed.values.tolist() == [0, 1]


def test_force_trains_everything(tmp_path):
    execute_with(tmp_path)
    assert execute_with(tmp_path, force=True).n_trained == 6


def test_force_of_a_part_trains_that_part(tmp_path):
    plan = plan_of_study(STUDY, "smoke", Counting(n_seeds=3))
    execute_with(tmp_path)
    parts = [run_plan(plan, tmp_path, part=(k, 2), force=True).n_trained for k in (1, 2)]
    assert sum(parts) == 6
    assert run_plan(plan, tmp_path).n_trained == 0


def test_every_field_counts_but_the_number_of_seeds(tmp_path):
    one, two = execute_with(tmp_path), execute_with(tmp_path, factor=3.0)
    assert one.folder != two.folder
    assert execute_with(tmp_path, preset="smoke").folder != one.folder  # the preset's name stands in front
    assert two.n_trained == 6


def test_a_corrupted_member_is_reported_and_trained_again(tmp_path):
    whole = execute_with(tmp_path)
    (whole.folder / "results.nc").unlink()
    connection = sqlite3.connect(tmp_path / "flylab.sqlite")
    connection.execute("UPDATE member SET content = zeroblob(50) WHERE name = ?", (names_of()[2],))
    connection.commit()
    connection.close()
    with pytest.warns(UserWarning, match="1 members .* are damaged: they are trained again"):
        mended = execute_with(tmp_path)
    assert mended.n_trained == 1
    xr.testing.assert_equal(mended.results, whole.results)


def test_corrupted_results_are_assembled_again(tmp_path):
    whole = execute_with(tmp_path)
    (whole.folder / "results.nc").write_bytes(b"nothing")
    mended = execute_with(tmp_path)
    assert mended.n_trained == 0
    xr.testing.assert_equal(mended.results, whole.results)


def test_members_are_named_by_their_inputs():
    names = names_of(protocol=STUDY.presets["quick"])
    assert len(set(names)) == 6
    assert names == names_of(protocol=protocol_of(STUDY, "quick"))
    assert not set(names) & set(names_of(protocol=Counting(factor=9)))


def test_runs_share_members(tmp_path):
    execute_with(tmp_path)
    assert execute(STUDY, "smoke", Counting(n_seeds=4), tmp_path).n_trained == 2


def test_a_database_that_is_deleted_loses_no_result(tmp_path):
    whole = execute_with(tmp_path)
    for file in tmp_path.glob("flylab.sqlite*"):
        file.unlink()
    with pytest.warns(UserWarning, match="the store knows nothing of the run in"):
        again = execute_with(tmp_path)
    assert again.n_trained == 6
    xr.testing.assert_identical(again.results, whole.results)


def test_an_index_that_does_not_find_its_members_is_mended(tmp_path):
    """Whatever the damage, a run ends, and its results are whole."""
    whole = execute_with(tmp_path)
    path = tmp_path / "flylab.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_member_1'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    data = bytearray(path.read_bytes())
    names = sorted(names_of())
    index = bytes(data[(page - 1) * size : page * size])
    data[(page - 1) * size : page * size] = index.replace(names[0].encode(), b"zzzz" + names[0].encode()[4:])
    path.write_bytes(data)
    (whole.folder / "results.nc").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xr.testing.assert_identical(execute_with(tmp_path).results, whole.results)


def test_interrupted_runs_are_known_to_the_store(tmp_path):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(replace(STUDY, run=stopped), "quick", Counting(), tmp_path)
    with Store(tmp_path) as store:
        (record,) = store.runs()
        assert record.folder.startswith("counting/quick-")
        assert not record.digest
        assert store.reserve(record.members) == set(record.members)  # released
    execute_with(tmp_path)
    with Store(tmp_path) as store:
        assert all(record.digest for record in store.runs() if record.members == tuple(names_of()))


def test_refuses(tmp_path):
    with pytest.raises(ValueError, match="no preset 'papr'; it has smoke, quick"):
        protocol_of(STUDY, "papr")
    with pytest.raises(ValueError, match="n_seeds=0"):
        protocol_of(STUDY, "quick", n_seeds=0)
    with pytest.raises(
        ValueError, match="there is no study 'x'; there are activation, activation-at-scale, activations, architectures"
    ):
        get_study("x")


@pytest.mark.parametrize("axis", ["seed", "step", "example", "update"])
def test_axes_with_names_of_dimensions_are_refused_before_training(axis, tmp_path):
    study = replace(STUDY, conditions=lambda protocol: [{"model": "one", axis: 1}])
    with pytest.raises(ValueError, match=f"{axis} cannot be an axis"):
        execute(study, "quick", Counting(), tmp_path)
    assert not log.trained


@pytest.mark.parametrize("axis", ["test_accuracy", "label"])
def test_axes_with_names_of_results_are_refused_after_the_first_batch(axis, tmp_path):
    def labelled(*args, **kwargs):
        return run(*args, **kwargs).rename(example="label")

    study = replace(
        STUDY, run=labelled, conditions=lambda protocol: [{"model": name, axis: 1} for name in ("one", "two")]
    )
    with pytest.raises(ValueError, match=f"results have {axis} of their own"):
        execute(study, "quick", Counting(n_seeds=20), tmp_path)
    assert len(log.trained) < 40


def test_what_does_not_fit_into_memory_is_refused_before_training(tmp_path):
    study = replace(STUDY, n_steps=lambda protocol, condition: 1, resources=lambda protocol, condition: (1, 10**18))
    with pytest.raises(ValueError, match=r"training counting needs at least .* GB of memory, and there are"):
        execute(study, "quick", Counting(), tmp_path)
    assert not log.trained


def test_results_are_of_this_question_or_assembled_again(tmp_path):
    execute_with(tmp_path)
    asked = replace(STUDY, question="")
    for _ in range(2):
        done = execute(asked, "quick", Counting(n_seeds=3), tmp_path)
        assert (done.n_trained, done.results.question) == (0, "")
    assert netcdf.open_checked(done.folder / "results.nc").question == ""


def test_assemble_keeps_types():
    place = {"model": "one", "source": "a", "seed": 0}
    (content,) = split_by_seed(run(Counting(), place, [0], key=None, artifacts={}, progress=None), [0])
    assert assemble([(place, content)], [place])["count"].dtype == np.uint8


def test_assemble_pads_what_is_shorter():
    """Test sets of data sets, say: 255 in whole numbers, NaN in others."""
    parts = []
    for condition, n in zip(conditions(None), (2, 5), strict=True):
        values = {"guess": (("seed", "example"), np.ones((1, n), "u1")), "odds": (("seed", "example"), np.ones((1, n)))}
        parts.append(({**condition, "seed": 0}, *split_by_seed(xr.Dataset(values, {"seed": [0]}), [0])))
    for order in (parts, parts[::-1]):
        found = assemble(order, [place for place, _ in order])
        one, two = found.sel(model="one", source="a"), found.sel(model="two", source="b")
        assert one.guess.values.tolist() == [[1, 1, 255, 255, 255]]
        assert two.guess.values.tolist() == [[1, 1, 1, 1, 1]]
        assert np.isnan(one.odds).values.tolist() == [[False, False, True, True, True]]


def test_what_is_read_names_its_members_and_is_asked_for_first(tmp_path):
    def digest_of(content):
        return lambda protocol: lambda condition: content if condition["model"] == "two" else None

    def names(study):
        return names_of(study, Counting(n_seeds=1))

    def missing(protocol):
        raise FileNotFoundError("no such data")

    without, one, other = (
        names(s)
        for s in (STUDY, replace(STUDY, input_digest=digest_of("1")), replace(STUDY, input_digest=digest_of("2")))
    )
    assert without[0] == one[0] == other[0]
    assert len({without[1], one[1], other[1]}) == 3
    with pytest.raises(FileNotFoundError, match="no such data"):
        execute(replace(STUDY, input_digest=missing), "quick", Counting(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fields_that_would_be_one_flag_are_refused():
    @dataclass(frozen=True)
    class Clashing(BaseProtocol):
        n_outputs: int = 16
        data: MNIST1D = field(default_factory=MNIST1D)

    @dataclass(frozen=True)
    class Taken(BaseProtocol):
        force: float = 1.0

    with pytest.raises(ValueError, match="field 'n_outputs' would be an option twice"):
        replace(STUDY, presets={"quick": Clashing()})
    with pytest.raises(ValueError, match="field 'force' would be"):
        replace(STUDY, presets={"quick": Taken()})
