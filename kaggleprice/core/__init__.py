"""What everything stands on: errors, progress, files, registries, versions."""
