"""What a visitor chose, in the page's address and as settings: nothing in an address is more than a bounded value."""

import pytest

from flylab.app import rail, state
from flylab.app.settings import Settings, data_of

USUAL = state.settings_of(state.usual())


def test_an_untouched_page_has_the_usual_settings():
    assert USUAL.data.n_train == 4000
    assert state.read({}) == state.usual()
    assert state.values_of(USUAL) == state.usual()
    assert {name for names in state.GROUPS.values() for name in names} == set(state.FIELDS)


@pytest.mark.parametrize(
    "changes",
    [{"n_steps": 300, "iid_noise_scale": 1.0}, {"models": ["logistic"], "shuffled": True, "classes": ["3", "5"]},
     {"learning_rate": "0.0001", "activation": "learned", "pruned": 0.5, "pruning": "magnitude", "shuffle": True}],
)  # fmt: skip
def test_an_address_gives_the_values_that_it_was_made_of(changes):
    words = {name: str(value).lower() if isinstance(value, bool) else ",".join(value) if isinstance(value, list)
             else str(value) for name, value in changes.items()}  # fmt: skip
    values = state.read(words)
    assert values == state.usual() | changes
    settings = state.settings_of(values)
    again = state.settings_of(state.values_of(settings))
    assert again == settings
    labels = {label for label, _, _ in state.differences(settings, USUAL)}
    assert labels >= {state.FIELDS[name].label for name in changes}


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1e9", "nan", "inf", "999999", "0.5", "x", "3,x,3", "٣", "1\n", "<b>", "__import__('os')", "null"],
)
def test_no_address_gives_more_than_bounded_values(text):
    values = state.read(dict.fromkeys([*state.FIELDS, "runs", "x"], text))
    assert values.keys() == state.FIELDS.keys()
    for name, one in state.FIELDS.items():
        if one.kind in ("slider", "number"):
            assert one.low <= values[name] <= one.high
        elif one.kind == "several":
            assert values[name]
            assert set(values[name]) <= set(one.options)
        elif one.kind == "choice":
            assert values[name] in one.options


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [({"n_seeds": 10**9}, "n_seeds", "must be an integer from 1 to 32"),
     ({"n_steps": "x"}, "n_steps", "must be an integer"),
     ({"padding_low": 100}, "padding_low", "must be at most padding_high=60"),
     ({"classes": []}, "classes", "must be"), ({"models": []}, "models", "must be"),
     ({"models": ["resnet"], "n_steps": 20_000, "n_seeds": 32}, "", "this training")],
)  # fmt: skip
def test_an_error_stands_at_its_field(changes, field, message):
    with pytest.raises(ValueError, match=r"must|takes") as error:
        state.settings_of(state.usual() | changes)
    ((name, said),) = state.problems(error.value).items()
    assert name == field
    assert said.startswith(message)


def test_differences_say_what_was_before():
    before = Settings(data_of({"n_train": 4000, "iid_noise_scale": 0.5}, shuffle_seq=True))
    assert state.description(before, USUAL) == "white noise 0.5, shuffled"
    assert state.description(USUAL, USUAL) == ""


def test_the_rail_tells_only_what_has_changed():
    widget, sent = rail.Rail(state.usual()), []
    widget.observe(lambda change: sent.append(change["name"]))
    widget.tell(errors={}, status={"text": "done"})
    widget.tell(status={"text": "done"})
    assert sent == ["status"]
