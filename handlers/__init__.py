"""What the account says: one file, one feature, one router."""
