"""The points mall, on a real database."""
