"""Judge the claims of the study that made some results."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence

import xarray as xr

from flylab.results.claims import Verdict, judge
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
            return judge(study.claims, results, presets)
        places = [judge(study.claims, at, presets) for at in _places(study, results)] if study.claims else []
        return [verdict for place in places for verdict in place]


def _places(study: Study, results: xr.Dataset) -> Iterator[xr.Dataset]:
    """Yield a sweep's results at each of its places, without those that a filter left out."""
    sweep = json.loads(results.attrs["sweep"])
    dims = [name for name in ("sample", *sweep["axes"]) if name in results.dims]
    condition = study.conditions(study.presets[results.attrs["preset"]])[0]
    dims = [name for name in dims if name not in condition]
    for labels in itertools.product(*(results[name].values.tolist() for name in dims)):
        at = dict(zip(dims, labels, strict=True))
        here = results.sel(at, drop=True)
        if all(here[name].isnull().all() for name in here.data_vars):
            continue
        where = ", ".join(f"{name}={label}" for name, label in at.items())
        yield here.assign_attrs(run=f"{sweep['name']}: {where}")


def claims_json(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts as a JSON list of objects."""
    return json.dumps([verdict._asdict() for verdict in verdicts], indent=2, ensure_ascii=False) + "\n"
