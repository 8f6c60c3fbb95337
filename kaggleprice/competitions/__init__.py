"""A competition: its files, tables, metric, target transform, features and submission."""
