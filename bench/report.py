"""A run's figures as JSON, with all repeats, and as tables for people."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import lookup, medians, table
from bench.scenario import Requirement, Scale, Scenario
from bench.surroundings import ROOT, Cores

STUB = "STORE STUB, keeps nothing"


@dataclass
class Result:
    """A scenario's repeats. `complaints` is what the service logged meanwhile, repeat by repeat."""

    scenario: Scenario
    repeats: list[dict[str, Any]]
    complaints: list[list[str]]
    failures: list[str]
    """What went wrong in repeats that gave no figures."""

    @property
    def medians(self) -> dict[str, Any]:
        return medians(self.repeats)

    def requirement_rows(self, scale: Scale) -> list[dict[str, object]]:
        figures = self.medians
        return [self._row(one, figures, scale) for one in self.scenario.requirements]

    def _row(
        self, requirement: Requirement, figures: Mapping[str, Any], scale: Scale
    ) -> dict[str, object]:
        met = "yes" if requirement.is_met(figures) else "NO"
        return {
            "scenario": self.scenario.name,
            "what": requirement.what,
            "required": str(requirement),
            "median": _text(requirement.value(figures)),
            "repeats": " ".join(_text(requirement.value(repeat)) for repeat in self.repeats),
            "met": met if scale.shrink == 1 else f"({met})",
            "store": STUB if self.scenario.stub else "embedded",
        }

    def stretches(self) -> list[dict[str, object]]:
        """A row for each measured stretch: what it was, how fast, how long, at which cost."""
        return [
            _stretch(self.scenario, name, figures)
            for name, figures in self.medians.items()
            if isinstance(figures, Mapping) and "ops_per_s" in figures
        ]

    def others(self) -> dict[str, Any]:
        """The medians that are no stretch."""
        return {
            name: figures
            for name, figures in self.medians.items()
            if not (isinstance(figures, Mapping) and "ops_per_s" in figures)
        }


def _stretch(scenario: Scenario, name: str, figures: Mapping[str, Any]) -> dict[str, object]:
    def spread(path: str) -> str:
        found = lookup(figures, path) or {}
        return " / ".join(_text(value) for value in found.values())

    cpu = lookup(figures, "cpu_share") or {}
    return {
        "stretch": f"{scenario.name}: {name}",
        "loop": figures["loop"],
        "ops/s": _text(figures["ops_per_s"]),
        "ack p50 / p99 / p99.9 / max ms": spread("ack_ms"),
        "delivery ms": spread("delivery_ms"),
        "load's lag ms": spread("lag_ms"),
        "CPU ms per 1,000 ops": _shares(lookup(figures, "cpu_ms_per_1000_ops") or {}),
        "of a core": _shares(cpu),
    }


def _shares(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in values.items())


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
    return "-" if value is None else str(value)


def machine() -> dict[str, Any]:
    cores = Cores.of_this_machine()
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "service_on": sorted(cores.service),
        "stores_and_load_on": sorted(cores.others),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The version of the code, as git names it; empty where there is no git."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def document(results: Sequence[Result], scale: Scale, about: Mapping[str, Any]) -> dict[str, Any]:
    """All of a run, for JSON."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "scale": scale.name,
        "seconds": scale.seconds,
        "machine": dict(about),
        "scenarios": {result.scenario.name: _scenario(result, scale) for result in results},
    }


def _scenario(result: Result, scale: Scale) -> dict[str, Any]:
    scenario = result.scenario
    return {
        "title": scenario.title,
        "conditions": scenario.conditions,
        "store": STUB if scenario.stub else "embedded",
        "requirements": [
            {
                "what": requirement.what,
                "required": str(requirement),
                "median": requirement.value(result.medians),
                "met": requirement.is_met(result.medians) if scale.shrink == 1 else None,
            }
            for requirement in scenario.requirements
        ],
        "medians": result.medians,
        "repeats": result.repeats,
        "complaints": result.complaints,
        "failures": result.failures,
    }


def text(results: Sequence[Result], scale: Scale) -> str:
    """Tables in Markdown: the requirements, then every stretch, then what else was measured."""
    parts = [table([row for result in results for row in result.requirement_rows(scale)])]
    if scale.shrink != 1:
        parts.append(f"Scale {scale.name}: what is required holds for `--scale full` only.")
    stretches = [row for result in results for row in result.stretches()]
    if stretches:
        parts.append(table(stretches))
    for result in results:
        if others := result.others():
            parts.append(f"{result.scenario.name}: {json.dumps(others)}")
        parts += [f"{result.scenario.name} FAILED: {failure}" for failure in result.failures]
    return "\n\n".join(parts)
