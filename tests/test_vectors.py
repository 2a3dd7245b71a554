"""The shared vectors: written by this very service, and of everything that it can say to an op."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

from realtime import judge, reducer
from realtime.errors import CartroomError
from tests.vectors.exploring import OK, outcomes
from tests.vectors.making import FOLDER, KINDS, files, vectors

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
