"""Evaluation of users' models among flylab's own, and the leaderboard."""

from flylab.evaluation.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
