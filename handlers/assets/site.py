"""The files of the `static` package as they are now, and the pages made of them.

All of it is in memory, read once. Where the folder is a checkout somebody works in, files change:
`Site.now` looks at their times, a second at the soonest after it did so last, and reads all anew
when one is another.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import static
from handlers.assets.asset import CONTENT_TYPES, Asset
from handlers.assets.bundling import BundledPage, BundleError, bundle_page
from handlers.assets.making import STATIC, make_page, make_worker

SITE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of the files as they are. With both codings of each it is some two thirds more."""

LOOK_EVERY_S: Final = 1.0
WORKER: Final = "sw.js"
PAGE: Final = "index.html"
"""The one that is made for phones and slow lines; the others are for those who write programs."""

_VERSION_DIGITS: Final = 16

log = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int], ...]


class SiteTooLargeError(Exception):
    """There is more in the folder than may be kept in memory."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of the folder."""

    prefix: str
    """Where exactly these files are, `/static/~<hash of all of them>/`."""

    files: dict[str, Asset]
    """By name below `/static/`."""

    pages: dict[str, Asset]
    """By the name of the file that each is made of."""

    worker: Asset | None


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(Path(entry.path))
            elif os.path.splitext(entry.name)[1] in CONTENT_TYPES:
                yield entry


def stamp_of(folder: Path) -> Stamp:
    """Changes when a file of the folder does; no file is read for it."""
    found = []
    for entry in _walk(folder):
        stat = entry.stat()
        found.append((entry.path, stat.st_mtime_ns, stat.st_size))
    return tuple(sorted(found))


def read_version(folder: Path, stamp: Stamp) -> Version:
    """Read all files of the stamp. Raises SiteTooLargeError, OSError and UnicodeDecodeError."""
    size = sum(size for _, _, size in stamp)
    if size > SITE_BYTES_MAX:
        raise SiteTooLargeError(f"{folder} holds {size} bytes; {SITE_BYTES_MAX} may be kept")
    contents = {
        Path(path).relative_to(folder).as_posix(): Path(path).read_bytes() for path, _, _ in stamp
    }
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    prefix = f"{STATIC}~{digest.hexdigest()[:_VERSION_DIGITS]}/"
    texts = {
        name: content.decode()
        for name, content in contents.items()
        if name.endswith((".css", ".html", ".js"))
    }
    bundled = _bundled(texts)
    pages, files = {}, {}
    for name, content in contents.items():
        suffix = Path(name).suffix
        if suffix == ".html":
            html = bundled.html if bundled and name == PAGE else texts[name]
            pages[name] = Asset(make_page(html, prefix, texts).encode(), suffix)
        elif name != WORKER:
            files[name] = Asset(content, suffix)
    kept = [name for name in files if not bundled or name not in bundled.inside]
    for name, text in bundled.files.items() if bundled else ():
        files[name] = Asset(text.encode(), Path(name).suffix)
        kept.append(name)
    script = texts.get(WORKER)
    worker = script and Asset(make_worker(script, prefix, kept).encode(), ".js")
    return Version(prefix, files, pages, worker or None)


def _bundled(texts: dict[str, str]) -> BundledPage | None:
    """The page with bundles; None if there is no page, or it does without.

    It does the same without them, slower, so what can't be bundled is no reason not to serve it.
    """
    if PAGE not in texts:
        return None
    try:
        return bundle_page(PAGE, texts[PAGE], texts)
    except BundleError as error:
        log.warning("the page loads each file on its own", extra={"reason": str(error)})
        return None


class Site:
    """The folder's files, for as long as the process lives. Raises as `read_version` does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = stamp_of(folder)
        self._looked = time.monotonic()
        self.last = read_version(folder, self._stamp)
        """What was read last. It may be a second old, or more while nobody asks `now`."""

    def now(self) -> Version:
        """The files as they are now."""
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return self.last
        try:
            stamp = stamp_of(self._folder)
            if stamp != self._stamp:
                self.last = read_version(self._folder, stamp)
                self._stamp = stamp
                log.info("the page has changed", extra={"prefix": self.last.prefix})
        except (OSError, UnicodeDecodeError, SiteTooLargeError):
            # Most likely somebody is writing them; what was read before is whole.
            log.warning("the page's files can't be read; it stays as it was", exc_info=True)
        self._looked = time.monotonic()
        return self.last


@functools.cache
def installed_site() -> Site:
    """The site of the `static` package, wherever it is installed."""
    return Site(Path(static.__file__).parent)
