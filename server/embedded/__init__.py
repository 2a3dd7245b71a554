"""The embedded default: a MongoDB-compatible store and Redis as supervised child processes.

`EmbeddedServices` starts and supervises them; `running` finds those of a process that serves.
"""

from __future__ import annotations

from server.embedded.folder import (
    DataFolder,
    EmbeddedError,
    Endpoints,
    FolderInUseError,
    running,
)
from server.embedded.services import EmbeddedServices

__all__ = [
    "DataFolder",
    "EmbeddedError",
    "EmbeddedServices",
    "Endpoints",
    "FolderInUseError",
    "running",
]
