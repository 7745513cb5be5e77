"""People as staff look for them: lists over members, accounts, points, levels and tags, one row per person."""
