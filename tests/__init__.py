"""Fensi's tests: unit, db, bot, api, browser, e2e, contracts."""
