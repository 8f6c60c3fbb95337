"""Networks of members: layers with a leading member dimension, and architectures."""
