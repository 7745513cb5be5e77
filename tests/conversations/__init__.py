"""Conversations: queues, seats, shifts, promises."""
