"""The door out: one gate decides what may be said to a person, an outbox keeps it, a worker delivers it."""
