"""`results.flylab`: the table, verdicts and figure of a run's results; `import flylab.api` registers it with xarray.

>>> import flylab
>>> results = flylab.load("docs/results/pooling/quick-…")  # doctest: +SKIP
>>> print(results.flylab.table())  # doctest: +SKIP
"""

import xarray as xr
from matplotlib.figure import Figure

from flylab.reporting import figures, judging, notebook
from flylab.results.verdicts import Verdict


@xr.register_dataset_accessor("flylab")
class Flylab:
    """What flylab makes of the results of a study.

    Args:
        results: the results; each method raises a ValueError if no known study has made them.
    """

    def __init__(self, results: xr.Dataset) -> None:
        self._results = results

    def table(self) -> notebook.Shown:
        """Show the study's table: HTML in notebooks, text in `print`."""
        judging.study_of(self._results)
        return notebook.table(self._results)

    def verdicts(self) -> list[Verdict]:
        """Return the verdict on every claim of the study, see `flylab.verdicts`."""
        return judging.verdicts(self._results)

    def plot(self, style: str = "paper", width: str | float = "full", dark: bool = False) -> Figure:
        """Draw the study's figure, see `flylab.figure`."""
        return figures.figure(self._results, style, width, dark)
