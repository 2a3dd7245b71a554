"""What a page's files are loaded as: few that hold many each.

Over a slow line asking for a file takes longer than its bytes. So the modules that a page loads
first come as one file, what an `import()` adds as one more, and its style sheets as one. It is the
same text. A module becomes a function that runs when the first of those that import it does, before
it, as browsers run modules, and hands each of them what it exports.

That is right for modules whose exports never change, that don't import each other in circles, and
don't wait at their top level. What is written otherwise isn't bundled: `BundleError` says why.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from handlers.assets.modules import Module, UnknownNotationError, read_module

FOLDER: Final = "bundled/"
"""Where bundles are among a site's files; each goes by the name of the file it is loaded for."""

_MODULE_SCRIPT: Final = re.compile(r'<script type="module" src="/static/([^"]+)"')
_STYLES: Final = re.compile(r'(?:[ \t]*<link rel="stylesheet" href="/static/[^"]+" />\n)+')
_STYLE: Final = re.compile(r'href="/static/([^"]+)"')
# What a style sheet says of places is meant from where it is itself.
_PLACES: Final = re.compile(r"""@import\b|url\( (?! \s* ["']? (?: data: | \# ) )""", re.VERBOSE)


_ONCE: Final = """const once = (run) => {
  let exports;
  return () => (exports ??= run());
};
"""


class BundleError(Exception):
    """These files can't be bundled without changing what they do."""


@dataclass(frozen=True, slots=True)
class BundledPage:
    """A page that loads bundles."""

    html: str
    files: dict[str, str]
    """The bundles' text by their names."""

    inside: frozenset[str]
    """The files that are in a bundle; the page doesn't load them."""


def bundle_page(name: str, html: str, sources: Mapping[str, str]) -> BundledPage:
    """The page of that name and text with what it loads in bundles.

    `sources` has the text of each file by its name. Raises BundleError.
    """
    script = _MODULE_SCRIPT.search(html)
    if script is None:
        raise BundleError(f"{name} has no module of its own")
    linker = Linker(script[1], sources)
    html = re.sub(
        r'"/static/([^"]+\.js)"',
        lambda match: f'"/static/{linker.file_of(match[1]) or match[1]}"',
        html,
    )
    links = _STYLES.findall(html)
    if len(links) != 1:
        raise BundleError(f"{name} has its style sheets in {len(links)} places")
    styles = _STYLE.findall(links[0])
    sheet = f"{FOLDER}{posixpath.splitext(name)[0]}.css"
    html = html.replace(links[0], f'    <link rel="stylesheet" href="/static/{sheet}" />\n')
    files = {**linker.files(), sheet: _joined(styles, sources)}
    return BundledPage(html, files, linker.modules.union(styles))


def _joined(styles: list[str], sources: Mapping[str, str]) -> str:
    for name in styles:
        if name not in sources:
            raise BundleError(f"there is no style sheet {name}")
        if _PLACES.search(sources[name]):
            raise BundleError(f"{name} names other files")
    return "\n".join(f"/* {name} */\n{sources[name]}" for name in styles)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The modules of one file."""

    name: str
    """Of the module that it is loaded for."""

    modules: list[str]


class Linker:
    """Puts the modules that `entry` loads, at once and later, into bundles.

    `sources` has the text of each file by its name. Raises BundleError.
    """

    def __init__(self, entry: str, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._modules: dict[str, Module] = {}
        self._numbers: dict[str, int] = {}
        self._closures: dict[str, list[str]] = {}
        """By what is loaded on its own, that and all that it imports; `entry` is the first."""
        waiting = [entry]
        for name in waiting:
            self._closures[name] = closure = self._closure(name)
            for each in closure:
                waiting += [other for other in self._module(each).loads if other not in waiting]
        self._bundles = self._distribute(entry)
        self._homes = {name: one for one in self._bundles for name in one.modules}

    @property
    def modules(self) -> frozenset[str]:
        """All that are in a bundle."""
        return frozenset(self._homes)

    def files(self) -> dict[str, str]:
        """The bundles' text by their names."""
        return {FOLDER + one.name: self._text(one) for one in self._bundles}

    def file_of(self, module: str) -> str | None:
        """The bundle to load for the sake of a module, or None if that is in none."""
        home = self._homes.get(module)
        return FOLDER + home.name if home else None

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            if name not in self._sources:
                raise BundleError(f"there is no module {name}")
            try:
                self._modules[name] = read_module(name, self._sources[name])
            except UnknownNotationError as error:
                raise BundleError(f"{name}: {error}") from error
            self._numbers[name] = len(self._numbers)
        return self._modules[name]

    def _closure(self, entry: str) -> list[str]:
        """The module after all that it imports."""
        closure: list[str] = []
        above: list[str] = []

        def visit(name: str) -> None:
            if name in above:
                raise BundleError(f"modules import each other: {' → '.join([*above, name])}")
            if name in closure:
                return
            above.append(name)
            for other in self._module(name).imports:
                visit(other)
            above.pop()
            closure.append(name)

        visit(entry)
        return closure

    def _distribute(self, entry: str) -> list[Bundle]:
        """A bundle for whatever is loaded on its own; what several of them need is in the first."""
        counts = Counter(name for closure in self._closures.values() for name in closure)
        at_first = {name for name, count in counts.items() if count > 1}.union(
            self._closures[entry]
        )
        rest = [
            Bundle(name, [one for one in closure if one not in at_first])
            for name, closure in self._closures.items()
            if name not in at_first
        ]
        return [Bundle(entry, [name for name in counts if name in at_first]), *rest]

    def _text(self, bundle: Bundle) -> str:
        """The file of a bundle. All but the first one import from the first one."""
        first = self._bundles[0]
        needed = {
            other
            for name in bundle.modules
            for other in self._module(name).imports
            if other not in bundle.modules
        }
        parts = []
        if needed:
            names = ", ".join(sorted(map(self._variable, needed)))
            parts.append(f'import {{ {names} }} from "{self._path(bundle, first.name)}";\n\n')
        parts.append(_ONCE)
        parts += [self._definition(name, bundle) for name in bundle.modules]
        exported = ", ".join(map(self._variable, bundle.modules))
        parts.append(f"\nexport {{ {exported} }};\n")
        if bundle is first:
            parts.append(f"{self._variable(first.name)}();\n")
        return "".join(parts)

    def _variable(self, name: str) -> str:
        return f"module_{self._numbers[name]}"

    def _definition(self, name: str, bundle: Bundle) -> str:
        """The statement that makes a module's function."""
        self._check_names(name)
        text = self._module(name).text(
            bind=lambda other: f"{self._variable(other)}()",
            load=lambda other: self._loading(other, bundle),
            path=lambda file: self._path(bundle, file, folder=""),
        )
        return f"\n// {name}\nconst {self._variable(name)} = once(() => {{\n{text}}});\n"

    def _loading(self, name: str, bundle: Bundle) -> str:
        """What is written for an `import()` of a module."""
        path = self._path(bundle, self._homes[name].name)
        return f'import("{path}").then((bundle) => bundle.{self._variable(name)}())'

    def _check_names(self, name: str) -> None:
        """What isn't there would be undefined, where a browser says so before it runs anything."""
        module = self._module(name)
        wanted = [*module.passed_on.values()]
        wanted += [(other, each) for other, pairs in module.taken.items() for each, _ in pairs]
        for other, each in wanted:
            exporter = self._module(other)
            if each not in exporter.exports and each not in exporter.passed_on:
                raise BundleError(f"{name}: {other} exports no {each} that can be seen")

    @staticmethod
    def _path(bundle: Bundle, name: str, folder: str = FOLDER) -> str:
        """From a bundle's address to that of a bundle, or of a file."""
        path = posixpath.relpath(folder + name, posixpath.dirname(FOLDER + bundle.name))
        return path if path.startswith(".") else f"./{path}"
