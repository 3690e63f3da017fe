"""Objectives: what turns a batch into a loss, one file a kind."""
