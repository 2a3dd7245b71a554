"""What a module imports and exports, read from its text, and the text as the body of a function.

Read are the notations that the page's modules use, each statement at the beginning of a line; it
isn't all that the language has. What is written otherwise is refused, not guessed at.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_NAMES: Final = r"\{ [^{}]* \}"
_FROM: Final = r"""\s* from \s* ["'] (?P<source> [^"']+ ) ["'] \s* ; """
_IMPORT: Final = re.compile(
    rf"""^import \s* (?: (?P<names> {_NAMES} ) {_FROM}
                       | ["'] (?P<run> [^"']+ ) ["'] \s* ; ) \n?""",
    re.MULTILINE | re.VERBOSE,
)
_PASSED_ON: Final = re.compile(
    rf"^export \s* (?P<names> {_NAMES} ) {_FROM} \n?", re.MULTILINE | re.VERBOSE
)
_LISTED: Final = re.compile(
    rf"^export \s* (?P<names> {_NAMES} ) \s* ; \n?", re.MULTILINE | re.VERBOSE
)
# No `let`, no `var`: whoever takes an export gets its value once.
_DECLARED: Final = re.compile(
    r"""^export \s+ (?= (?: const | class | (?: async \s+ )? function \s* \*? )
                       \s* (?P<name> [\w$]+ ) )""",
    re.MULTILINE | re.VERBOSE,
)
_LOAD: Final = re.compile(r"""\bimport\( \s* ["'] (?P<source> [^"']+ ) ["'] \s* \)""", re.VERBOSE)
_FILE: Final = re.compile(
    r"""\bnew \s URL\( \s* ["'] (?P<source> [^"']+ ) ["'] , \s* import\.meta\.url \)""", re.VERBOSE
)
_UNKNOWN: Final = re.compile(
    r"""^(?: import\b (?! [(.] ) | export\b ) .*      # a statement in another notation
      | \bimport \s* [(.] .*                          # of what only the running script knows
      | \bmodule_\d .*                               # one of the names that bundles use
      | ^ (?! [\s/*] ) (?! .*\basync\b ) .*\bawait\b .* # the next modules would have to wait""",
    re.MULTILINE | re.VERBOSE,
)


class UnknownNotationError(Exception):
    """Something in a module is written as we don't read it."""


@dataclass(slots=True)
class Module:
    """A module; others are called by their names among the files, as it is."""

    name: str
    imports: list[str] = field(default_factory=list)
    """Those that run before it, as they are met."""

    loads: list[str] = field(default_factory=list)
    """Those that it loads by `import()`."""

    exports: dict[str, str] = field(default_factory=dict)
    """By the outer name the inner one; what is passed on from others isn't here."""

    passed_on: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By the outer name the module that it is of, and its name there."""

    taken: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By the module that exports it: the name there, and the name here."""

    body: str = ""

    def resolved(self, source: str) -> str:
        """The name among the files of what an import of this module names."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.name), source))

    def text(
        self, bind: Callable[[str], str], load: Callable[[str], str], path: Callable[[str], str]
    ) -> str:
        """The body of a function that runs the module and returns its exports by name.

        `bind(module)` is the expression for the exports of another one, `load(module)` that which
        stands for its `import()`. `path(file)` leads there from the file that the text goes into.
        """
        head = "".join(_binding(bind(other), self.taken.get(other)) for other in self.imports)
        body = _LOAD.sub(lambda match: load(self.resolved(match["source"])), self.body)
        body = _FILE.sub(
            lambda match: f'new URL("{path(self.resolved(match["source"]))}", import.meta.url)',
            body,
        )
        exported = [
            *(
                f"{outer}: {bind(module)}.{name}"
                for outer, (module, name) in self.passed_on.items()
            ),
            *(f"{outer}: {inner}" for outer, inner in self.exports.items()),
        ]
        return f"{head}{body}return {{ {', '.join(exported)} }};\n"


def read_module(name: str, source: str) -> Module:
    """The module of that name and text. Raises UnknownNotationError."""
    module = Module(name)
    body = _IMPORT.sub(lambda match: _take(module, match), source)
    body = _PASSED_ON.sub(lambda match: _pass_on(module, match), body)
    body = _LISTED.sub(lambda match: _list(module, match), body)
    body = _DECLARED.sub(lambda match: _declare(module, match), body)
    module.loads = [module.resolved(match["source"]) for match in _LOAD.finditer(body)]
    unknown = _UNKNOWN.search(_FILE.sub("", _LOAD.sub("", body)))
    if unknown:
        raise UnknownNotationError(f"not understood: {unknown[0].strip()[:80]}")
    module.body = body if body.endswith("\n") else f"{body}\n"
    return module


def _imported(module: Module, source: str) -> str:
    other = module.resolved(source)
    if other not in module.imports:
        module.imports.append(other)
    return other


def _take(module: Module, match: re.Match[str]) -> str:
    other = _imported(module, match["run"] or match["source"])
    if match["names"]:
        module.taken.setdefault(other, []).extend(_pairs(match["names"]))
    return ""


def _binding(exports: str, taken: list[tuple[str, str]] | None) -> str:
    """The statement that declares what is taken of some exports."""
    if not taken:
        return f"{exports};\n"
    parts = (name if name == inner else f"{name}: {inner}" for name, inner in taken)
    return f"const {{ {', '.join(parts)} }} = {exports};\n"


def _pass_on(module: Module, match: re.Match[str]) -> str:
    other = _imported(module, match["source"])
    module.passed_on.update({outer: (other, name) for name, outer in _pairs(match["names"])})
    return ""


def _list(module: Module, match: re.Match[str]) -> str:
    module.exports.update({outer: inner for inner, outer in _pairs(match["names"])})
    return ""


def _declare(module: Module, match: re.Match[str]) -> str:
    module.exports[match["name"]] = match["name"]
    return ""


def _pairs(names: str) -> list[tuple[str, str]]:
    """Of `{ a, b as c }`: [("a", "a"), ("b", "c")]. Raises UnknownNotationError."""
    pairs = []
    for part in names.strip("{}").split(","):
        match part.split():
            case []:
                continue
            case [name]:
                pairs.append((name, name))
            case [name, "as", other]:
                pairs.append((name, other))
            case _:
                raise UnknownNotationError(f"not understood: {part.strip()}")
    if any("default" in pair for pair in pairs):
        raise UnknownNotationError("not understood: a default export")
    return pairs
