"""What the command line says of itself."""

from __future__ import annotations


class UnusableError(Exception):
    """A command can't do what was asked of it. The message is one line and says what to do."""
