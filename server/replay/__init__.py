"""Playing a recorded shop through real sockets, and checking what became of it."""
