"""The business: one folder per noun; knows no HTTP, no WeChat, no Redis, no LLM."""
