"""`results.flylab`: what the functions give, and a clear error for results of no study."""

import pytest
import xarray as xr
from matplotlib.figure import Figure

import flylab
from flylab.reporting import notebook
from flylab.studies import continuum

flylab.run  # registers it  # noqa: B018


@pytest.mark.slow
def test_results_show_themselves():
    results = continuum.load_reference()
    assert results.flylab.table() == notebook.table(results)
    assert results.flylab.verdicts() == flylab.verdicts(results)
    assert isinstance(results.flylab.plot(width="column"), Figure)


@pytest.mark.parametrize("method", ["table", "verdicts", "plot"])
def test_results_of_no_study_are_refused(method):
    with pytest.raises(ValueError, match="holds results that this flylab cannot make sense of"):
        getattr(xr.Dataset().flylab, method)()
