"""What users bring: their models, compared with flylab's, and the leaderboard."""

from flylab.evaluation.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
