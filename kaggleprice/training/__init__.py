"""The engine that trains members together, as one batched network."""
