"""Training: objectives, one step, one run, populations, metalearning and learners."""
