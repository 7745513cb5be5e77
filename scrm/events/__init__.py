"""The timeline 行为: whatever happens to a person is one event, appended once (law 1)."""
