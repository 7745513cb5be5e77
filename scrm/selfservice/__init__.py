"""Self-service 自助查询: what members may look up about themselves, by a word or through the assistant."""
