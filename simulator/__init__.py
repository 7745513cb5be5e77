"""A WeChat of our own to run against; it imports nothing of Fensi, and only app and the tests start it."""
