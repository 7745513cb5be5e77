"""Tags 标签: words that staff and rules put on members."""
