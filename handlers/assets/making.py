"""What is made of the files: pages that name the files of this version, and the worker's list.

A page differs from its file in the addresses of what it loads, and in a list of the modules that
its own will import, so that they come together and not one after another.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Final

STATIC: Final = "/static/"

# Statements at the beginning of a line; what is imported by a call is for later.
_IMPORTS: Final = re.compile(
    r"""^(?: import \s* (?: [\w$*{}\s,]+? \s* from \s* )?
           | export \s* (?: \* (?: \s* as \s+ [\w$]+ )? | \{ [^}]* \} ) \s* from \s* )
        ["'] (?P<name> [^"']+ ) ["']""",
    re.MULTILINE | re.VERBOSE,
)
_MODULE_SCRIPT: Final = re.compile(r'<script\s+type="module"\s+src="/static/([^"]+)"')
_MODULE_PRELOAD: Final = re.compile(r'<link\s+rel="modulepreload"\s+href="/static/([^"]+)"')

# What the page can do without: other pages, and texts for those who write programs.
_NOT_OF_THE_SHELL: Final = re.compile(r"(docs|styleguide)/|.*\.(html|d\.ts)$|sw\.js$")


def imported(module: str, sources: Mapping[str, str]) -> list[str]:
    """The modules that load before `module` runs, as they are met; `module` isn't one of them.

    `sources` has the text of each file by its name. Names that lead out of it are left out.
    """
    found = [module]
    for importer in found:
        for match in _IMPORTS.finditer(sources[importer]):
            name = posixpath.normpath(posixpath.join(posixpath.dirname(importer), match["name"]))
            if name in sources and name not in found:
                found.append(name)
    return found[1:]


def make_page(html: str, prefix: str, sources: Mapping[str, str]) -> str:
    """The page whose files are below `prefix`, with its modules' imports told in advance.

    So are the imports of the modules that the page preloads itself.
    """
    modules = [
        name
        for module in (*_MODULE_SCRIPT.findall(html), *_MODULE_PRELOAD.findall(html))
        if module in sources
        for name in imported(module, sources)
    ]
    links = "".join(
        f'    <link rel="modulepreload" href="{STATIC}{name}" />\n'
        for name in dict.fromkeys(modules)
    )
    html = html.replace("  </head>", f"{links}  </head>", 1)
    return html.replace(f'"{STATIC}', f'"{prefix}')


def make_worker(script: str, prefix: str, names: list[str]) -> str:
    """The service worker that keeps the page and its files below `prefix`."""
    files = [f"{prefix}{name}" for name in names if not _NOT_OF_THE_SHELL.match(name)]
    shell = {"prefix": prefix, "files": files}
    return f"const SHELL = {json.dumps(shell)};\n\n{script}"
