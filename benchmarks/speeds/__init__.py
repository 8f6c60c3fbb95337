"""What `python -m benchmarks.speed` measures: one module per part, and what parts share."""
