"""People as staff look for them, on a real database."""
