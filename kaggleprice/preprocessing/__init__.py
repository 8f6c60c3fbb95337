"""Recipes that turn columns into numbers: fitted on training rows, then applied."""
