"""What the brand knows, and how its assistant answers from it."""
