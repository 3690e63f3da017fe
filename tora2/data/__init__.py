"""Clips in memory and where they come from: one batch for every source and every user of clips."""
