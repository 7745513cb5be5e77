"""The callback engine over real HTTP: servers composed as in production, a real database, a platform that pushes."""
