"""The HTTP kit of the surfaces: problem documents, request ids, health, metrics."""
