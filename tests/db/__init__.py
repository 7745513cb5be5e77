"""Tests of the business on a real, migrated PostgreSQL."""
