"""Folds, cross-validation, scores, the ensemble, and base models beside the networks."""
