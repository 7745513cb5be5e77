"""Points 积分 and growth 成长值: one double-entry ledger, its lots, and what it owes and is owed (law 3)."""
