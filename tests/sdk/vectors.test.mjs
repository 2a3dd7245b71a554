/** The service's own words on what ops do to carts (`tests/vectors/`), against the library's. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { KINDS } from "../../static/sdk/shapes.js";
import { check } from "./checking.mjs";

const FOLDER = new URL("../vectors/", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
const KNOWN = read("kinds.json");

test("there is a file for each kind, and no other", () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  const expected = [...KNOWN, "kinds"].map((kind) => `${kind}.json`);
  assert.deepEqual(files.sort(), expected.sort());
});

test("each kind that the library can send is a kind of the service's", () => {
  assert.deepEqual(
    KINDS.filter((kind) => !KNOWN.includes(kind)),
    [],
  );
});

for (const kind of KNOWN) {
  test(`${kind}: what the service says`, async (t) => {
    const vectors = read(`${kind}.json`);
    assert.notEqual(vectors.length, 0);
    for (const vector of vectors) {
      assert.equal(vector.kind, kind);
      await t.test(vector.name, () => check(vector));
    }
  });
}
