/** The example of docs/sdk.md, as it stands there, run as a program of its own. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { eventually, PASSWORD, Server } from "../../browser/server.mjs";
import { makePerson, Witness } from "./service.mjs";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const LINES_MAX = 30;

const server = new Server();
let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "example-"));
  await server.start();
});

after(async () => {
  await server.end();
  await rm(folder, { recursive: true });
});

/** A package as npm would install it: the library and `ws` beside the example. */
async function install() {
  const page = await readFile(join(ROOT, "docs", "sdk.md"), "utf-8");
  const [, example] = /```js\n(\/\/ cart\.mjs.*?)```/s.exec(page);
  assert.ok(example.trimEnd().split("\n").length <= LINES_MAX);
  await writeFile(join(folder, "cart.mjs"), example);
  await mkdir(join(folder, "node_modules"));
  await cp(join(ROOT, "static", "sdk"), join(folder, "node_modules", "cartroom"), { recursive: true });
  await symlink(join(ROOT, "node_modules", "ws"), join(folder, "node_modules", "ws"));
}

test("the example does what its page says", async () => {
  await install();
  const ana = await makePerson(server, "Ana");
  const program = [join(folder, "cart.mjs"), server.url, ana.email, PASSWORD];
  const example = spawn(process.execPath, program, { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  example.stdout.on("data", (data) => (said += data));
  try {
    example.stdin.write("MUG\nMUG\nNONE\n");
    await eventually(() => {
      assert.match(said, /^live$/m);
      assert.match(said, /^2 × Stoneware mug \(0 on their way\)$/m);
      assert.match(said, /no product with the sku NONE/);
    });
    const witness = await Witness.arrive(server, ana);
    const { carts } = await witness.ask("cart.list", {});
    assert.deepEqual(carts.map(({ name, line_count }) => [name, line_count]), [["Picnic", 1]]);
    witness.leave();
  } finally {
    example.kill();
  }
});
