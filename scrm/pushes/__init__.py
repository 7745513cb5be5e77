"""Pushes: what an account's platform delivered to us once, and the one answer it gets, however often it asks."""
