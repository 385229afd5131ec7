"""The definition of a study, its protocol and presets, and the registry of all studies."""

from flylab.results.tables import Table
from flylab.study.context import Context
from flylab.study.protocol import BaseProtocol, SupervisedProtocol
from flylab.study.registry import get_study, list_studies
from flylab.study.slots import Slot
from flylab.study.study import Condition, Study, protocol_of

__all__ = [
    "BaseProtocol", "Condition", "Context", "Slot", "Study", "SupervisedProtocol", "Table", "get_study", "list_studies",
    "protocol_of",
]  # fmt: skip
