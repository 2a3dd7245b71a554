"""The shared vectors: written by this very service, and of everything that it can say to an op."""

from __future__ import annotations

import ast
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

from realtime import judge, reducer
from realtime.errors import CartroomError
from tests.node import ROOT, node, run_tests
from tests.tiers import by_tier
from tests.vectors.exploring import OK, outcomes
from tests.vectors.journeys import journey
from tests.vectors.making import FOLDER, KINDS, files, vectors

JOURNEYS = by_tier(quick=60, ci=600, long=20_000)
JOURNEYS_AT_ONCE = 200
JOURNEYS_S = 120.0
WRITE_THEM = "write them anew: python -m tests.vectors"


def test_the_files_are_what_the_service_says():
    wanted = files()
    assert {path.name for path in FOLDER.glob("*.json")} == wanted.keys(), WRITE_THEM
    stale = [name for name, text in wanted.items() if (FOLDER / name).read_text() != text]
    assert not stale, WRITE_THEM


def test_each_kind_of_effect_has_its_vectors():
    assert reducer._APPLIERS.keys() <= set(KINDS)
    applied = Counter(one["effect"]["kind"] for one in vectors() if "effect" in one)
    assert applied.keys() == reducer._APPLIERS.keys()
    assert min(applied.values()) >= 2


def test_the_names_tell_vectors_apart():
    names = Counter((one["kind"], one["name"]) for one in vectors())
    assert [name for name, count in names.items() if count > 1] == []


def test_each_kind_has_a_vector_for_each_outcome_that_it_can_have():
    """Both ways: what only the vectors know, the exploration is blind for."""
    told = {(one["kind"], one["error"]["code"] if "error" in one else OK) for one in vectors()}
    assert told == outcomes()


def test_each_refusal_in_the_code_is_that_of_a_vector(monkeypatch):
    source = Path(judge.__file__)
    written = {
        node.lineno
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "CartroomError"
    }
    reached = set()

    class Watched(CartroomError):
        def __init__(self, *args, **extra):
            reached.add(sys._getframe(1).f_lineno)
            super().__init__(*args, **extra)

    monkeypatch.setattr(judge, "CartroomError", Watched)
    vectors()
    assert reached == written


async def test_the_library_follows_random_journeys(tmp_path):
    program = node()
    seed = int(os.environ.get("CARTROOM_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"\nCARTROOM_SEED={seed}")
    seen = Counter()
    for first in range(0, JOURNEYS, JOURNEYS_AT_ONCE):
        numbers = range(first, min(first + JOURNEYS_AT_ONCE, JOURNEYS))
        made = [one for number in numbers for one in journey(f"{seed}, journey {number}")]
        seen.update(one["error"]["code"] if "error" in one else OK for one in made)
        file = tmp_path / "vectors"
        file.write_text("".join(json.dumps(one) + "\n" for one in made))
        tests = ROOT / "tests" / "sdk" / "journeys.mjs"
        await run_tests(program, tests, {"CARTROOM_VECTORS": str(file)}, within_s=JOURNEYS_S)
    print(dict(seen))
    assert seen.keys() >= {OK} | {code for _, code in outcomes()} - {"conflict"}
