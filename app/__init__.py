"""Composition root: settings, services, server, command line, demo. Nothing imports it."""
