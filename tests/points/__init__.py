"""Tests of points and growth."""
