"""Training: data, losses in a loop, and the run that a configuration describes."""
