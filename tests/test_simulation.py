"""The service in simulation: every seed keeps all promises, replays exactly, and finds bugs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from tests.simulation import planting
from tests.simulation.cli import results
from tests.simulation.faults import KINDS
from tests.simulation.planting import Planted
from tests.simulation.run import run_seed
from tests.tiers import by_tier

SEEDS = by_tier(quick=20, ci=200, long=10_000)
ALL_KINDS_BY = 200
"""So many seeds bring every kind of fault."""
FOUND_BY = 40
"""So many seeds find each planted bug; most need one or two."""


def test_every_seed_keeps_all_promises() -> None:
    struck: Counter[str] = Counter()
    for result in results(range(1, SEEDS + 1), jobs=by_tier(quick=1, ci=2, long=2)):
        assert not result.failure, (
            f"python -m tests.simulation --seed {result.seed} --trace\n{result.failure}"
        )
        struck += result.struck
    print({kind: struck[kind] for kind in KINDS})
    if SEEDS >= ALL_KINDS_BY:
        assert [kind for kind in KINDS if not struck[kind]] == []


def test_a_seed_replays_exactly() -> None:
    first, again, other = run_seed(2), run_seed(2), run_seed(3)

    assert first.events > 500
    assert (first.digest, first.counts) == (again.digest, again.counts)
    assert first.digest != other.digest


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_replays_exactly_in_another_process(hash_seed: str) -> None:
    """Where hashes, addresses and the history of the process are others."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "2"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=1_200,
    )
    assert run_seed(2).digest in answer.stdout


@pytest.mark.parametrize(
    "plant",
    [
        planting.acknowledge_before_commit,
        planting.take_unknown_for_success,
        planting.take_a_duplicate_for_success,
        planting.forget_numbers_on_load,
        planting.judge_on_a_stale_role,
        planting.commit_for_who_is_signed_out,
    ],
)
def test_planted_bugs_are_found(plant: Callable[[], Planted]) -> None:
    with plant():
        failure = next(
            (result.failure for seed in range(1, FOUND_BY) if (result := run_seed(seed)).failure),
            None,
        )
    assert failure is not None
    print(failure.strip().splitlines()[-1])
