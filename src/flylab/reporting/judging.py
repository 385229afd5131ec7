"""Judge the claims of the study that made some results."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import xarray as xr

from flylab.base.config import plain
from flylab.results.frozen import digests, frozen
from flylab.results.judging import Standing, judge
from flylab.results.protocols import changes, flat, reductions
from flylab.results.verdicts import Verdict
from flylab.runs.plan import HELD_OUT
from flylab.study.registry import study_in
from flylab.study.study import Study


@contextlib.contextmanager
def understood(results: xr.Dataset) -> Iterator[None]:
    """Turn any exception within a `with` block into a ValueError that names the results.

    Results that something else than this version of the study made can raise nearly anything.
    """
    try:
        yield
    except Exception as error:
        place = results.encoding.get("source") or f"the run {results.attrs.get('run')}"
        raise ValueError(
            f"{place} holds results that this flylab cannot make sense of ({type(error).__name__}: {str(error)[:200]});"
            " run the study again"
        ) from error


def study_of(results: xr.Dataset) -> Study:
    """Return the study that made the results.

    Raises:
        ValueError: if the results name no known study.
    """
    with understood(results):
        return study_in(results.attrs)


def verdicts(results: xr.Dataset) -> list[Verdict]:
    """Return the verdict on every claim of the study that made `results`; of a sweep's, at each of its places.

    A sweep's verdicts name their place in `run`.

    Raises:
        ValueError: if the results name no known study, or are not as the study makes them.
    """
    study = study_of(results)
    with understood(results):
        presets = {name: study.conditions(protocol) for name, protocol in study.presets.items()}
        if "sweep" not in results.attrs:
            return judge(study.claims, results, presets, standing_of(study, results))
        places = _places(study, results) if study.claims else ()
        return [verdict for at, standing in places for verdict in judge(study.claims, at, presets, standing)]


def standing_of(study: Study, results: xr.Dataset) -> Standing:
    """Return what a run of a study is good for: what it changed, what its preset reduces of `paper`, what it confirms.

    It can confirm a claim on held-out seeds that nobody had seen when the claim was written, if its definition is the
    frozen one and was so at the first look.
    """
    preset = plain(study.presets[results.attrs["preset"]])
    return _reduced(study, preset)._replace(
        changed=changes(json.loads(results.attrs["protocol"]), preset),
        confirmable=_confirmable(study, results),
        looks=tuple(map(int, str(results.attrs.get("looks", "")).split())),
    )


def _confirmable(study: Study, results: xr.Dataset) -> frozenset[str]:
    if results.attrs["preset"] != "paper" or (first := int(results.seed.min())) < HELD_OUT:
        return frozenset()
    at_first_look, expected = json.loads(results.attrs.get("claims", "{}")), frozen(study.name)
    now = digests(claim for claim in study.claims if claim.unseen_from <= first).items()
    return frozenset(id_ for id_, digest in now if digest == expected.get(id_) == at_first_look.get(id_))


def _reduced(study: Study, preset: dict[str, Any]) -> Standing:
    return Standing(reduced=reductions(preset, plain(study.presets["paper"])) if "paper" in study.presets else {})


def _places(study: Study, results: xr.Dataset) -> Iterator[tuple[xr.Dataset, Standing]]:
    """Yield a sweep's results at each of its places, with their standing, without those that a filter left out."""
    sweep, preset = json.loads(results.attrs["sweep"]), plain(study.presets[results.attrs["preset"]])
    standing = _reduced(study, preset)
    dims = [name for name in ("sample", *sweep["axes"]) if name in results.dims]
    condition = study.conditions(study.presets[results.attrs["preset"]])[0]
    dims = [name for name in dims if name not in condition]
    for labels in itertools.product(*(results[name].values.tolist() for name in dims)):
        at = dict(zip(dims, labels, strict=True))
        here = results.sel(at, drop=True)
        if all(here[name].isnull().all() for name in here.data_vars):
            continue
        where = ", ".join(f"{name}={label}" for name, label in at.items())
        values = {name: _value(results[name], at) for name in sweep["axes"]}
        set_here = sweep["fixed"] | values
        changed = changes({**flat(preset), **set_here}, preset)
        protocol = json.dumps(_with(preset, set_here))
        yield here.assign_attrs(run=f"{sweep['name']}: {where}", protocol=protocol), standing._replace(changed=changed)


def _with(preset: dict[str, Any], set_here: dict[str, Any]) -> dict[str, Any]:
    """Return a preset with other values; the first one of an axis of which a place has all."""
    changed = {}
    for name, value in preset.items():
        if isinstance(value, dict):
            changed[name] = _with(value, set_here)
        else:
            new = set_here.get(name, value)
            changed[name] = new[0] if isinstance(new, list) and not isinstance(value, list | None) else new
    return changed


def _value(axis: xr.DataArray, at: dict[str, Any]) -> Any:
    """Return the value of a sweep's axis at a place: all its values, if they are conditions of the study."""
    return axis.sel({dim: label for dim, label in at.items() if dim in axis.dims}).values.tolist()


def claims_json(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts as a JSON list of objects."""
    return json.dumps([verdict._asdict() for verdict in verdicts], indent=2, ensure_ascii=False) + "\n"
