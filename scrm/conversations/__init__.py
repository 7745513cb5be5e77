"""Conversations 会话: when people answer instead of the bot. Queues, seats, shifts, promises, and who said what."""
