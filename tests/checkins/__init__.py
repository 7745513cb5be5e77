"""Check-in, on a real database."""
