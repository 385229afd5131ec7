"""Evaluation of users' models among flylab's own, and the leaderboard."""

from flylab.evaluation.evaluation import CONTESTS, Evaluation, evaluate

__all__ = ["CONTESTS", "Evaluation", "evaluate"]
