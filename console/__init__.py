"""The staff's web pages and their endpoints (first part: the keyword, inbox and member pages of a later release)."""
