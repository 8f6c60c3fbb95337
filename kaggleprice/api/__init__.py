"""The commands as functions of Python."""

# Of a replayed run: the largest difference that is none, as a share of the typical error.
DEFAULT_TOLERANCE = 0.05
