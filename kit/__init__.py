"""Small tools with no business: clock, ids, registry, shared state, text."""
