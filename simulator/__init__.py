"""A WeChat of our own to run against. Imports nothing of Fensi, and nothing of Fensi imports it but app and the tests."""
