"""Automatic replies as data: keyword rules, menu-click rules and welcome texts."""
