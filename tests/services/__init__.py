"""Real servers for tests and developers: what `scripts/services` installs, starts and ends."""
