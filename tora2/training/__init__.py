"""Training: a loop that knows nothing of what is trained, objectives, and recipes."""
