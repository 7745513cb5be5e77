"""Clients of the outside world, satisfying the protocols that scrm and kit declare."""
