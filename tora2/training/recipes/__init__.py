"""Recipes: which parts train on which data with which objective, one a model."""
