"""Every setting of a run, declared once. Nothing heavy is imported."""
