"""The plan of the house: which folder may import which, what stays pure, how large things get."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "server": {"server", "handlers", "realtime", "commerce", "events", "storage", "static"},
    "handlers": {"handlers", "realtime", "commerce", "storage", "static"},
    "realtime": {"realtime", "commerce", "storage"},
    "commerce": {"commerce", "storage"},
    "events": {"events", "storage"},
    "storage": {"storage"},
}
PURE = (
    "realtime/judge.py",
    "realtime/leaving.py",
    "realtime/reducer.py",
    "realtime/state.py",
    "realtime/ops.py",
    "commerce/money.py",
)
IMPURE = {
    "aiohttp",
    "motor",
    "pymongo",
    "redis",
    "time",
    "datetime",
    "random",
    "secrets",
    "asyncio",
}
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

MODULES = sorted(path for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    ours = {module.split(".")[0] for module in imported(path)} & {*MAY_IMPORT, "static"}
    assert ours <= MAY_IMPORT[folder]


def test_one_module_imports_motor() -> None:
    users = [
        name_of(path)
        for path in MODULES
        if any(module.split(".")[0] == "motor" for module in imported(path))
    ]
    assert users == ["storage/mongo.py"]


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_import_nothing_of_the_world(name: str) -> None:
    assert not {module.split(".")[0] for module in imported(ROOT / name)} & IMPURE


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_stay_of_a_readable_size(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        node.name: body_lines(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions) and body_lines(node) > FUNCTION_LINES_MAX
    }
    assert not long
