"""The client library, under Node: each file of tests/sdk/ by itself."""

from __future__ import annotations

import pytest

from tests.node import ROOT, node, run_tests

SDK_TESTS = sorted((ROOT / "tests" / "sdk").glob("*.test.mjs"))
SDK_TESTS_S = 120.0


@pytest.mark.parametrize("tests", SDK_TESTS, ids=lambda path: path.name.removesuffix(".test.mjs"))
async def test_under_node(tests):
    await run_tests(node(), tests, {}, within_s=SDK_TESTS_S)
