"""Figures: distributions of latencies, a process's CPU and memory, medians of repeats, tables."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PERCENTILES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))


def distribution_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99, p99.9 and max of latencies, in milliseconds."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {name: round(ordered[int(last * share)] * 1_000, 2) for name, share in PERCENTILES}


def median_ms(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1_000, 3)


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    raise ValueError(f"process {pid} has no VmRSS")


def medians(repeats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One mapping of the same shape, each number the median over the repeats that have it.

    What isn't a number is kept if all repeats agree on it, else given as the list of all.
    """
    result: dict[str, Any] = {}
    for key in dict.fromkeys(key for repeat in repeats for key in repeat):
        result[key] = _median([repeat[key] for repeat in repeats if key in repeat])
    return result


def _median(values: list[Any]) -> Any:
    if all(isinstance(value, Mapping) for value in values):
        return medians(values)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return round(statistics.median(values), 3)
    return values[0] if all(value == values[0] for value in values) else values


def lookup(figures: Mapping[str, Any], path: str) -> Any:
    """What stands at a path like `open.ack_ms.p99`; None where there is nothing.

    Parts of a path are matched whole first, since names like `p99.9` have a dot in them.
    """
    if path in figures:
        return figures[path]
    head, dot, rest = path.partition(".")
    inner = figures.get(head)
    return lookup(inner, rest) if dot and isinstance(inner, Mapping) else None


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as a Markdown table, with the columns of all of them, padded for people's eyes."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])
