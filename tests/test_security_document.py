"""docs/security.md: every requirement is there once, and what it says can be looked up."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from commerce.accounts import policy
from commerce.accounts.policy import Action
from commerce.accounts.security import Event

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
STATES = ("met", "n/a", "operator", "not met")
ROW = re.compile(r"\| v5\.0\.0-(\S+) \| ([^|]+) \| ([^|]+) \| ([^|]*)\|")
GROUPS = (policy.ANONYMOUS, policy.GUEST, *policy.ROLES)
# The rows of the table of who may do what, in their order.
TABLE = (
    {Action.LOOK, Action.CONNECT, Action.SIGN_IN},
    {Action.USE_SESSION, Action.SHOP, Action.KEEP_ACCOUNT},
    {Action.KEEP_PASSWORD},
    {Action.INVITE},
    {Action.SELL},
    {Action.FIND_USERS},
    {Action.END_SESSIONS},
    {Action.MANAGE_USERS, Action.MANAGE_WEBHOOKS},
)


def rows() -> list[tuple[str, str, str, list[str]]]:
    """Of each requirement its number, how it stands, where, and the tests that are named."""
    return [
        (number, state, where, re.findall(r"`([^`]+)`", shown))
        for number, state, where, shown in ROW.findall(DOCUMENT)
    ]


def requirements() -> list[str]:
    numbers = []
    for line in (ROOT / "tests" / "data" / "asvs.txt").read_text().splitlines():
        if not line.startswith("#"):
            section, _, last = line.partition(": ")
            numbers += [f"{section}.{number}" for number in last.split()]
    return numbers


def functions_of(name: str) -> set[str]:
    text = (ROOT / "tests" / name).read_text()
    return set(re.findall(r"^(?:async )?def (test_\w+)\(", text, re.MULTILINE))


def test_every_requirement_is_there_once() -> None:
    assert len(requirements()) == len(set(requirements())) > 200
    assert [number for number, *_ in rows()] == requirements()
    assert DOCUMENT.count("| v5.0.0-") == len(requirements())


def test_how_each_stands_is_said_and_counted() -> None:
    counts = Counter(state for _, state, _, _ in rows())
    assert set(counts) <= set(STATES)
    assert all(len(where) > 2 for _, _, where, _ in rows())
    sums = [counts[state] for state in STATES]
    sentence = (
        f"{sums[0]} are met, {sums[1]} don't apply, {sums[2]} are the operator's,"
        f" {sums[3]} are not met."
    )
    assert sentence in DOCUMENT


def test_every_test_that_is_named_exists() -> None:
    known: dict[str, set[str]] = {}
    named = [test for *_, tests in rows() for test in tests]
    assert len(named) > 150
    for test in named:
        file, _, function = test.partition("::")
        assert re.fullmatch(r"test_\w+\.py", file), test
        assert (ROOT / "tests" / file).is_file(), test
        if function:
            assert function in known.setdefault(file, functions_of(file)), test


def test_the_parts_of_the_page_that_are_named_are_there() -> None:
    headings = set(re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE))
    for _, _, where, _ in rows():
        assert set(re.findall(r"Above, \*([^*]+)\*", where)) <= headings


def test_every_security_event_is_told() -> None:
    logs = DOCUMENT.partition("Security events: ")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", logs)) == {event.value for event in Event}


def test_who_may_do_what_is_as_the_policy_says() -> None:
    table = DOCUMENT.partition("| | anonymous |")[2].partition("\n\n")[0].splitlines()[2:]
    assert set().union(*TABLE) == set(Action)
    assert len(table) == len(TABLE)
    for line, actions in zip(table, TABLE, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")[1:]]
        allowed = {group for group, cell in zip(GROUPS, cells, strict=True) if cell == "yes"}
        for action in actions:
            assert policy.RULES[action].groups == allowed, line
