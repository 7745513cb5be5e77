"""The members' JSON API (its endpoints arrive with the points ledger)."""
