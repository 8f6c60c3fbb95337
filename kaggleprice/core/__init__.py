"""What all other packages use: errors, progress, files, registries, versions."""
