"""The playground's rail: all controls, with values, resets and errors, above buttons that are always in sight."""

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from flylab.app import state


class Rail(anywidget.AnyWidget):
    """The controls. The browser changes `values` and `command`, Python the others.

    The browser also keeps the page's address: values that are not the usual ones, and the runs that are shown.

    Attributes:
        spec: fields and groups, see `state.as_json`.
        values: what is chosen, by field.
        command: the last button pressed ("train", "stop", "beside", "pin" or "unpin"), and how many have been so far.
        errors: messages by field; by "" those that belong to none.
        status: what is shown beside the buttons: `text`, `share`, `busy`, `done`, `pinned` and `trained`, the values of
            the run on the page if they differ from the chosen ones, else None.
        runs: the keys of the runs on the page.
    """

    _esm = Path(__file__).with_name("rail.js")
    _css = Path(__file__).with_name("rail.css")
    spec = traitlets.Dict().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    command = traitlets.List().tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)
    status = traitlets.Dict().tag(sync=True)
    runs = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, values: dict[str, Any], runs: tuple[str, ...] = ()) -> None:
        super().__init__(spec=state.as_json(), values=values, command=["", 0], runs=list(runs))

    def tell(self, **traits: Any) -> None:
        """Send the browser what has changed."""
        for name, value in traits.items():
            if getattr(self, name) != value:
                setattr(self, name, value)
