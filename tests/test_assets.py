"""How the page reaches browsers: compressed, kept for good, anew when changed; and its size."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import struct
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import brotli
import pytest
from aiohttp.test_utils import TestClient, TestServer

from handlers import pages
from handlers.assets import site
from server.app import create_app

STATIC = Path(__file__).parents[1] / "static"
FIRST_VISIT_BYTES_MAX = 100 * 1024
# Over a slow line asking costs more than bytes do: files that come together are bundled.
FIRST_VISIT_ANSWERS_MAX = 12
MAIN = "js/main.js"
FOR_GOOD = "public, max-age=31536000, immutable"
UNPACK = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}


@pytest.fixture(scope="module")
async def client(module_settings):
    server = TestServer(create_app(module_settings))
    async with TestClient(server, auto_decompress=False) as client:
        yield client


async def prefix_of(client):
    """Where the page's files are for good, as the page says."""
    response = await client.get("/", headers={"Accept-Encoding": "identity"})
    page = await response.text()
    return re.search(r'src="(/static/~[0-9a-f]{16}/)(?:bundled/)?js/main\.js"', page)[1]


async def fetch(client, path, accepted=None, **headers):
    """The response and its whole body as it came."""
    encoding = {} if accepted is None else {"Accept-Encoding": accepted}
    response = await client.get(
        path, headers={**encoding, **headers}, skip_auto_headers=["Accept-Encoding"]
    )
    return response, await response.read()


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        (None, None),
        ("", None),
        ("br", "br"),
        ("gzip", "gzip"),
        ("deflate, GZIP;q=0.5", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.9", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0, gzip;q=0.000", None),
        ("*", "br"),
        ("*;q=0.1, br;q=0", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("identity;q=0, gzip", "gzip"),
        ("*;q=0, gzip ; q=0.1", "gzip"),
        ("br;q=2, gzip;q=abc", None),
        ("zstd", None),
    ],
)
async def test_a_file_comes_in_the_coding_that_is_asked_for(client, accepted, sent):
    path = f"{await prefix_of(client)}{MAIN}"
    response, body = await fetch(client, path, accepted)
    assert response.status == 200
    assert response.headers.get("Content-Encoding") == sent
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"] == FOR_GOOD
    assert int(response.headers["Content-Length"]) == len(body)
    assert UNPACK[sent](body) == (STATIC / MAIN).read_bytes()


async def test_nothing_suits_who_takes_nothing(client):
    for accepted in ("identity;q=0", "*;q=0"):
        response, _ = await fetch(client, "/", accepted)
        assert response.status == 406
        assert response.content_type == "application/problem+json"


async def test_each_coding_has_a_tag_of_its_own_and_is_not_sent_again(client):
    path = f"{await prefix_of(client)}{MAIN}"
    tags = {}
    for accepted in ("br", "gzip", "identity"):
        response, _ = await fetch(client, path, accepted)
        tags[accepted] = response.headers["ETag"]
    assert len(set(tags.values())) == 3
    for accepted, tag in tags.items():
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again, body = await fetch(client, path, accepted, **{"If-None-Match": known})
            assert (again.status, body) == (304, b"")
            assert again.headers["ETag"] == tag
            assert again.headers["Cache-Control"] == FOR_GOOD
            assert again.headers["Vary"] == "Accept-Encoding"
    for known in (tags["gzip"], '"other"'):
        again, body = await fetch(client, path, "br", **{"If-None-Match": known})
        assert again.status == 200
        assert body


@pytest.mark.parametrize("path", ["/", "/sw.js", f"/static/{MAIN}"])
async def test_what_has_not_changed_has_the_same_headers(client, path):
    """Browsers put those of a 304 in place of what they have kept: a page under the policy of what
    is no page would be dead."""
    first, _ = await fetch(client, path, "br")
    again, _ = await fetch(client, path, "br", **{"If-None-Match": first.headers["ETag"]})
    assert again.status == 304
    of_a_moment = {"Date", "X-Request-ID", "Content-Length", "Content-Encoding"}
    assert {**again.headers, **dict.fromkeys(of_a_moment)} == {
        **first.headers,
        **dict.fromkeys(of_a_moment),
    }


async def test_asking_for_the_head_alone(client):
    path = f"{await prefix_of(client)}{MAIN}"
    whole, body = await fetch(client, path, "br")
    head = await client.head(path, headers={"Accept-Encoding": "br"})
    assert head.status == 200
    assert await head.read() == b""
    assert int(head.headers["Content-Length"]) == len(body)
    for name in ("ETag", "Content-Encoding", "Cache-Control", "Content-Type"):
        assert head.headers[name] == whole.headers[name]


async def test_what_is_asked_for_by_another_version_is_what_is_there_now(client):
    for path in (f"/static/~0123456789abcdef/{MAIN}", f"/static/{MAIN}"):
        response, body = await fetch(client, path, "br")
        assert response.headers["Cache-Control"] == "no-cache"
        assert brotli.decompress(body) == (STATIC / MAIN).read_bytes()
        again, _ = await fetch(client, path, "br", **{"If-None-Match": response.headers["ETag"]})
        assert again.status == 304


@pytest.mark.parametrize("path", ["/", "/docs", "/styleguide", "/sw.js"])
async def test_pages_are_asked_for_each_time_and_name_files_for_good(client, path):
    response, body = await fetch(client, path, "br")
    assert response.headers["Cache-Control"] == "no-cache"
    text = brotli.decompress(body).decode()
    prefix = await prefix_of(client)
    assert prefix in text
    if response.content_type == "text/html":
        assert text.count('"/static/') == text.count(f'"{prefix}')
    again, _ = await fetch(client, path, "br", **{"If-None-Match": response.headers["ETag"]})
    assert again.status == 304
    assert again.headers["Cache-Control"] == "no-cache"


@pytest.fixture
async def edited(module_settings, tmp_path, monkeypatch):
    """A service of a copy of the files, which looks at them whenever it is asked."""
    monkeypatch.setattr(site, "LOOK_EVERY_S", 0.0)
    folder = tmp_path / "static"
    shutil.copytree(STATIC, folder)
    app = create_app(module_settings)
    app[pages.SITE] = site.Site(folder)
    async with TestClient(TestServer(app), auto_decompress=False) as client:
        yield client, folder


async def test_what_is_changed_while_serving_is_there_on_the_next_load(edited):
    client, folder = edited
    before = await prefix_of(client)
    assert await prefix_of(client) == before
    (folder / MAIN).write_text("// Changed.\n")
    (folder / "js" / "new.js").write_text("// New.\n")
    (folder / "favicon.svg").unlink()
    after = await prefix_of(client)
    assert after != before
    for prefix, kept in ((after, FOR_GOOD), (before, "no-cache"), ("/static/", "no-cache")):
        response, body = await fetch(client, prefix + MAIN)
        assert body == b"// Changed.\n"
        assert response.headers["Cache-Control"] == kept
        assert (await fetch(client, f"{prefix}js/new.js"))[1] == b"// New.\n"
        assert (await fetch(client, f"{prefix}favicon.svg"))[0].status == 404


async def test_two_instances_of_the_same_files_agree_on_their_version(client, edited):
    assert await prefix_of(client) == await prefix_of(edited[0])


async def test_files_that_cannot_be_read_leave_the_page_as_it_was(edited, monkeypatch):
    client, folder = edited
    before = await prefix_of(client)
    (folder / MAIN).write_bytes(b"\xff\xfe half a file")
    assert await prefix_of(client) == before
    (folder / MAIN).write_text("// Whole.\n")
    monkeypatch.setattr(site, "SITE_BYTES_MAX", 1_000)
    assert await prefix_of(client) == before
    monkeypatch.undo()
    monkeypatch.setattr(site, "LOOK_EVERY_S", 0.0)
    assert await prefix_of(client) != before


def test_more_than_may_be_kept_in_memory_is_not_served(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "SITE_BYTES_MAX", 9)
    (tmp_path / "a.js").write_text("0123456789")
    with pytest.raises(site.SiteTooLargeError, match="10 bytes"):
        site.Site(tmp_path)


async def test_it_can_be_installed_like_an_application(client):
    path = f"{await prefix_of(client)}app.webmanifest"
    response, body = await fetch(client, path)
    assert response.headers["Content-Type"] == "application/manifest+json"
    manifest = json.loads(body)
    assert urljoin(path, manifest["start_url"]) == urljoin(path, manifest["scope"]) == "/"
    for icon in manifest["icons"]:
        response, body = await fetch(client, urljoin(path, icon["src"]), "br")
        assert response.headers["Content-Type"] == icon["type"]
        assert response.headers["Cache-Control"] == FOR_GOOD
        if icon["type"] == "image/png":
            assert icon["sizes"] == "{}x{}".format(*struct.unpack(">II", body[16:24]))


async def test_types_for_those_who_write_programs_are_text(edited):
    client, folder = edited
    (folder / "sdk" / "made.d.ts").write_text("export {};\n")
    response, body = await fetch(client, "/static/sdk/made.d.ts")
    assert body == b"export {};\n"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_modules_of_every_notation_are_told_in_advance_and_no_others(edited):
    """Where they can't be bundled, which the import of a default is in the way of."""
    client, folder = edited
    (folder / MAIN).write_text(
        """/** Not this: import "./comment.js". */
import "./alone.js";
import one, { two as three } from './named.js';
import {
  four,
  five,
} from "../sdk/several.js";
import * as six from "./all.js";
export { seven } from "./passed.js";
export * from "./passed_all.js";
import "./nowhere.js";
const later = () => import("./later.js");
export const text = "from";
"""
    )
    expected = ["alone", "named", "../sdk/several", "all", "passed", "passed_all", "deep"]
    for name in [*expected, "comment", "later"]:
        (folder / "js" / f"{name}.js").write_text(
            'import "./deep.js";\nimport "./main.js";\n' if name == "named" else "\n"
        )
    # The page preloads the view that home is, so it is told what that imports, too.
    (folder / "js" / "views" / "home.js").write_text('import "../later.js";\n')
    _, body = await fetch(client, "/")
    prefix = await prefix_of(client)
    assert [urljoin(prefix, name) for name in Loads.of(body.decode()).modules] == [
        urljoin(f"{prefix}js/", f"{name}.js") for name in ["views/home", *expected, "later"]
    ]


# What a first visit loads


class Loads(HTMLParser):
    """What a page has the browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: list[str] = []
        self.rest: list[str] = []

    @classmethod
    def of(cls, html: str) -> Loads:
        loads = cls()
        loads.feed(html)
        return loads

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        address = names.get("src") or names.get("href") or ""
        if tag == "link" and names["rel"] == "modulepreload":
            self.modules.append(address)
        elif names.get("rel") == "apple-touch-icon":
            return  # For who puts the page beside their applications.
        elif tag in ("script", "link", "img"):
            self.rest.append(address)


NAMED = {
    "text/css": re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)"""),
    # By import statements, and by name: an icon, or the view that home is.
    "text/javascript": re.compile(
        r"""^(?:import|export)\b(?:[^;"']*\bfrom)?\s*["']([^"']+)["']"""
        r"""|new URL\(\s*["']([^"']+\.svg)["'],\s*import\.meta\.url"""
        r"""|import\(\s*["']([^"']+/home[^"'/]*\.js)["']""",
        re.MULTILINE,
    ),
}


@dataclass(frozen=True)
class Loaded:
    """One answer of a first visit."""

    path: str
    response: object
    bytes: int


def bytes_of(response, body):
    """What an answer takes on the wire, with its head as it is written."""
    head = sum(len(name) + len(value) + 4 for name, value in response.raw_headers)
    return len("HTTP/1.1 200 OK\r\n") + head + 2 + len(body)


async def first_visit(client):
    """All that a browser asks for until home is shown, each once."""
    waiting, seen, loaded = ["/"], set(), []
    while waiting:
        path = waiting.pop().partition("#")[0]
        if path in seen or path.startswith(("data:", "http:", "https:")):
            continue
        seen.add(path)
        response, body = await fetch(client, path, "gzip, deflate, br")
        assert response.status == 200, path
        loaded.append(Loaded(path, response, bytes_of(response, body)))
        if response.content_type == "application/manifest+json":
            continue  # Its icons are for who installs the page.
        text = UNPACK[response.headers.get("Content-Encoding")](body).decode(errors="replace")
        if response.content_type == "text/html":
            page = Loads.of(text)
            waiting += [urljoin(path, name) for name in (*page.modules, *page.rest)]
        elif response.content_type in NAMED:
            found = NAMED[response.content_type].finditer(text)
            waiting += [urljoin(path, next(filter(None, one.groups()))) for one in found]
    return loaded


async def test_a_first_visit_is_small(client):
    loaded = await first_visit(client)
    largest = sorted(loaded, key=lambda one: -one.bytes)
    listed = "\n".join(f"{one.bytes:>7} {one.path}" for one in largest[:15])
    total = sum(one.bytes for one in loaded)
    print(f"{total} bytes in {len(loaded)} answers; the largest:\n{listed}")
    assert total <= FIRST_VISIT_BYTES_MAX
    assert len(loaded) <= FIRST_VISIT_ANSWERS_MAX


async def test_a_first_visit_is_compressed_and_kept_for_good(client):
    loaded = await first_visit(client)
    kinds = {one.response.content_type for one in loaded}
    assert {"text/html", "text/css", "text/javascript", "image/svg+xml"} <= kinds
    for one in loaded:
        headers = one.response.headers
        assert headers["Vary"] == "Accept-Encoding", one.path
        assert headers["Cache-Control"] == ("no-cache" if one.path == "/" else FOR_GOOD), one.path
        if one.response.content_type != "image/png" and int(headers["Content-Length"]) > 300:
            assert headers["Content-Encoding"] == "br", one.path


async def test_every_module_of_a_first_visit_is_told_in_advance(client):
    """Else a browser would learn of it only from the one that imports it."""
    _, body = await fetch(client, "/")
    loads = Loads.of(body.decode())
    loaded = {one.path for one in await first_visit(client) if one.path.endswith(".js")}
    assert loaded <= {*loads.modules, *loads.rest}
