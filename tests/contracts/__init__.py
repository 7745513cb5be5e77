"""Contracts of the house: import order, lints, locks, documents; and one test over every member of each registry."""
