"""Optimisation: objectives, one step, one training, populations, metalearning, learners."""
