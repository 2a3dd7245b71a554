"""What a page's modules and style sheets are bundled into: it does the same as they do alone."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from handlers import pages
from handlers.assets import site
from server.app import create_app
from tests.node import node

PAGE = """<!doctype html>
<html>
  <head>
    <link rel="stylesheet" href="/static/css/a.css" />
    <link rel="stylesheet" href="/static/css/b.css" />
    <link rel="modulepreload" href="/static/js/views/one.js" />
    <script type="module" src="/static/js/main.js"></script>
  </head>
</html>
"""

# Each notation that is used, and what is different between modules and functions.
SITE = {
    "index.html": PAGE,
    "package.json": '{"type": "module"}',
    "sw.js": "// The worker.\n",
    "css/a.css": "a { color: red; }\n",
    "css/b.css": 'b { background: url("data:,"); clip-path: url(#c); }\n',
    "js/log.js": "export const lines = [];\nexport function log(...parts) {\n"
    "  lines.push(parts);\n  console.log(...parts);\n}\n",
    "js/parts.js": """import { log } from './log.js';
import {
  log as told,
} from "./log.js";

log("parts", log === told, this);
export const first = 1;
export class Shape {
  name = "shape";
}
export async function slow() {
  return await "slow";
}
export function* steps() {
  yield "step";
}
const inner = "inner";
const other = "other";
export { inner, other as outer };
""",
    "js/passing.js": """import "./log.js";
export { first as one, Shape } from "./parts.js";
export { outer, slow, steps } from './parts.js';
""",
    "js/named.js": """import { log } from "./log.js";
import { Shape, slow } from "./parts.js";
log("named", Shape.name, slow.name);
export const first = "another first";
""",
    "js/views/one.js": """import { log, lines } from "../log.js";
import { shared } from "./shared.js";
log("view one", lines.length, shared);
export const view = "one";
export const next = () => import("./deep/two.js");
""",
    "js/views/deep/two.js": """import { shared } from "../shared.js";
import { view } from "../one.js";
import { log } from "../../log.js";
log("view two", shared, view);
export const picture = new URL("../../../css/a.css", import.meta.url);
""",
    "js/views/shared.js": """import { log } from "../log.js";
log("shared");
export const shared = { loaded: true };
""",
    "js/main.js": """/** Not this: import "./comment.js". */
import { first } from "./named.js";
import { lines, log } from "./log.js";
import { one, outer, Shape, slow, steps } from "./passing.js";

const { inner } = { inner: "my own" };
log("main", first, one, outer, inner, new Shape().name, [...steps()].join());
const load = async () => {
  log(await slow());
  const { view, next } = await import("./views/one.js");
  const again = await import(
    './views/one.js'
  );
  log(view, again.view, again.next === next, lines.length);
  const { picture } = await next();
  log(picture.href);
};
load();
""",
}


def put(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
async def serve(module_settings, tmp_path):
    """Serve the sample site with changes: a client for it."""
    clients = []

    async def serve(**changes):
        folder = tmp_path / f"site {len(clients)}"
        put(folder, {**SITE, **changes})
        app = create_app(module_settings)
        app[pages.SITE] = site.Site(folder)
        clients.append(TestClient(TestServer(app)))
        await clients[-1].start_server()
        return clients[-1]

    yield serve
    for client in clients:
        await client.close()


async def shell_of(client):
    """What the worker keeps, by name below the version's prefix."""
    script = await (await client.get("/sw.js")).text()
    return json.loads(re.match(r"const SHELL = (.*);", script)[1])


async def save(client, folder):
    """Write what the worker would keep into a folder; the page's own script comes back."""
    shell = await shell_of(client)
    for path in shell["files"]:
        response = await client.get(path)
        assert response.status == 200, path
        put(folder, {path.removeprefix(shell["prefix"]): await response.text()})
    page = await (await client.get("/")).text()
    return folder / re.search(rf'type="module" src="{shell["prefix"]}([^"]+)"', page)[1]


async def said_by(script: Path, folder: Path) -> str:
    """What a script prints in Node, with the folder's address left out."""
    process = await asyncio.create_subprocess_exec(
        node(), str(script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()
    return said.decode().replace(folder.as_uri(), "")


async def test_bundled_modules_do_what_they_do_alone(serve, tmp_path):
    client = await serve()
    alone, bundled = tmp_path / "site 0", tmp_path / "bundled"
    script = await save(client, bundled)
    assert script == bundled / "bundled" / "js" / "main.js"
    # All is in the bundles; the worker keeps nothing twice.
    assert not (bundled / "js").exists()
    assert not (bundled / "css").exists()
    expected = await said_by(alone / "js" / "main.js", alone)
    assert expected.endswith("view two { loaded: true } one\n/css/a.css\n")
    assert await said_by(script, bundled) == expected


async def test_style_sheets_come_as_one_in_their_order(serve):
    client = await serve()
    text = await (await client.get("/")).text()
    [address] = re.findall(r'<link rel="stylesheet" href="([^"]+)"', text)
    sheet = await (await client.get(address)).text()
    assert sheet.index(SITE["css/a.css"]) < sheet.index(SITE["css/b.css"])


async def test_a_preloaded_module_is_the_bundle_that_it_is_in(serve):
    client = await serve()
    shell = await shell_of(client)
    text = await (await client.get("/")).text()
    # Two views need it, so it comes with the first bundle.
    assert re.findall(r'<link rel="modulepreload" href="([^"]+)"', text) == [
        f"{shell['prefix']}bundled/js/main.js"
    ]


LOG = 'import { log } from "./log.js";\n'


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("js/named.js", "export let first = 1;\n", "export let first"),
        ("js/named.js", "export const { first } = {};\n", "export const {"),
        ("js/named.js", "export const other = 1,\n  first = 2;\n", "exports no first"),
        ("js/named.js", "export default 1;\nexport const first = 1;\n", "export default"),
        ("js/named.js", "const first = 1;\nexport { first as default };\n", "a default export"),
        ("js/named.js", f'{LOG}import * as parts from "./parts.js";\n', "import * as"),
        ("js/named.js", 'export * from "./parts.js";\n', "export *"),
        ("js/named.js", 'import log from "./log.js";\n', "import log"),
        ("js/named.js", 'import { first } from "./nowhere.js";\n', "no module js/nowhere.js"),
        ("js/named.js", 'import "./main.js";\nexport const first = 1;\n', "import each other"),
        ("js/named.js", "export const first = await 1;\n", "await"),
        ("js/named.js", "const name = `./log.js`;\nimport(name);\n", "import(name)"),
        ("js/named.js", "export const first = import.meta.url;\n", "import.meta.url"),
        ("js/named.js", "export const first = typeof module_0;\n", "module_0"),
        ("css/a.css", '@import "b.css";\n', "css/a.css names other files"),
        ("css/a.css", "a { background: url(a.png); }\n", "css/a.css names other files"),
        ("index.html", PAGE.replace("b.css", "c.css"), "no style sheet css/c.css"),
        ("index.html", PAGE.replace('type="module" ', ""), "no module of its own"),
    ],
)
async def test_what_cannot_be_bundled_is_loaded_file_by_file(serve, caplog, name, text, reason):
    client = await serve(**{name: text})
    [record] = [each for each in caplog.records if each.name == site.__name__]
    assert record.levelname == "WARNING"
    assert reason in record.reason
    page = await (await client.get("/")).text()
    assert "bundled" not in page
    assert 'js/main.js"' in page
    assert "bundled" not in str(await shell_of(client))
