/** Bugs planted into copies of the library, one after the other: the schedules must find each. */

import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { Server } from "../../browser/server.mjs";
import { runSchedules } from "./running.mjs";

const LIBRARY = fileURLToPath(new URL("../../../static/sdk/", import.meta.url));
const SCHEDULES = 60;
const AT_ONCE = 6;
const FIRST_SEED = 1_000;
const DEADLINE_MS = 15_000;

const BUGS = {
  "acknowledged as foretold, before the service has answered": {
    file: "room.js",
    has: "outbox.add({ cart: this.cart, op: asked, products }, { resolve, reject });",
    gets: `outbox.add({ cart: this.cart, op: asked, products }, { resolve: () => {}, reject: () => {} });
      resolve({ rev: this.rev + 1, at: new Date().toISOString(), op: asked });`,
  },
  "sent again under a new number": {
    file: "sending.js",
    has: "const { cart, opId, op } = entry;",
    gets: `if (entry.wasTried) {
      entry.n = entry.ledger.n += 1;
      await entry.ledger.save();
    }
    entry.wasTried = true;
    const { cart, opId, op } = entry;`,
  },
  "a refused change isn't taken back": {
    file: "view.js",
    has: "for (const entry of this.#outbox.entries(this.#cart)) {",
    gets: `this.asked = new Set([...(this.asked ?? []), ...this.#outbox.entries(this.#cart)]);
    for (const entry of this.asked) {`,
  },
  "a push that comes twice counts twice": {
    file: "room.js",
    has: '"cart.ops": () => push.ops.forEach((entry) => this.#arrived(entry)),',
    gets: `"cart.ops": () => {
        for (const entry of push.ops) {
          if (entry.rev === this.rev) this.#commit(applyOp(this.committed, entry.op), this.rev);
          this.#arrived(entry);
        }
      },`,
  },
  "sent before it is stored": {
    file: "sending.js",
    has: "await this.#outbox.commit(entry);",
    gets: "this.#outbox.commit(entry), (entry.safe = true);",
  },
  "what a closed tab leaves behind is lost": {
    file: "outbox.js",
    has: "if (this.#isOpen && this.user?.id === user) this.#take(record);",
    gets: "if (this.#isOpen && this.user?.id === user) await this.#keeper.remove(record.client);",
  },
};

const server = new Server();

before(() => server.start());
after(() => server.end());

for (const [bug, { file, has, gets }] of Object.entries(BUGS)) {
  test(`found: ${bug}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "planted-"));
    try {
      const library = await plant(folder, file, has, gets);
      const seeds = Array.from({ length: SCHEDULES }, (_, index) => FIRST_SEED + index);
      const options = { library, seeds, deadlineMs: DEADLINE_MS, atOnce: AT_ONCE, failuresMax: 1 };
      const { failures } = await runSchedules(server, options);
      assert.ok(failures.length, "no schedule found it");
      console.log(failures[0].slice(0, 500));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

/** Copy the library to `folder`, with `gets` in the place of `has`; its URL. */
async function plant(folder, file, has, gets) {
  await cp(LIBRARY, folder, { recursive: true });
  const path = join(folder, file);
  const source = await readFile(path, "utf-8");
  assert.equal(source.split(has).length, 2, `${file} has it once: ${has}`);
  await writeFile(path, source.replace(has, () => gets));
  return pathToFileURL(join(folder, "cartroom.js")).href;
}
