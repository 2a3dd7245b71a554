"""Writes the schemas into docs/events/, or the folder named."""

from __future__ import annotations

import sys
from pathlib import Path

from events.schemas import SCHEMAS
from events.schemas.files import write

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/events")
write(SCHEMAS, folder)
