"""What we are compared with, each a program of its own that answers the same requests."""
