"""docs/doors.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from commerce.limits.rules import ALL
from handlers.requests import BODY_TIMEOUT_S
from realtime.limits import DEFAULT_LIMITS
from server.app import BODY_BYTES_MAX
from server.limits import tuned_rules
from server.runner import HEADER_BYTES_MAX, HEADERS_MAX, IDLE_S, LINE_BYTES_MAX
from server.settings import Settings

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "doors.md").read_text()
PERIODS = {60.0: "minute", 3_600.0: "hour", 7_200.0: "2 hours"}


def test_the_table_of_limits() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| ([\d,]+) \| ([^|]+) \| ([^|]+) \|", DOCUMENT, re.MULTILINE
    )
    assert rows == [(rule.name, f"{rule.burst:,}", PERIODS[rule.window_s], rule.by) for rule in ALL]


def test_numbers_that_are_settings_are_theirs_by_default() -> None:
    by_name = {rule.name: rule for rule in ALL}
    for rule in tuned_rules(Settings()):
        assert rule == by_name[rule.name]


def test_the_table_of_sizes_and_times() -> None:
    for row in (
        f"| request line | {LINE_BYTES_MAX:,} bytes |",
        f"| one header | {HEADER_BYTES_MAX:,} bytes |",
        f"| headers | {HEADERS_MAX} |",
        f"| body, unpacked | {BODY_BYTES_MAX:,} bytes |",
        f"| frame | {DEFAULT_LIMITS.frame_bytes:,} bytes |",
        f"complete head | {IDLE_S:.0f} s |",
        f"| a body | {BODY_TIMEOUT_S:.0f} s |",
    ):
        assert row in DOCUMENT
