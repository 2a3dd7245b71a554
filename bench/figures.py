"""Figures: distributions of latencies, a process's CPU and memory, tables."""

from __future__ import annotations

import os
from pathlib import Path

PERCENTILES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))


def distribution_ms(seconds: list[float]) -> dict[str, float]:
    """p50, p99, p99.9 and max of latencies, in milliseconds."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {name: round(ordered[int(last * share)] * 1_000, 2) for name, share in PERCENTILES}


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    raise ValueError(f"process {pid} has no VmRSS")


def table(rows: list[dict[str, object]]) -> str:
    """Rows as a Markdown table, with the columns of all of them."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(str(row.get(column, "")) for column in columns) + " |" for row in rows),
    ]
    return "\n".join(lines)
