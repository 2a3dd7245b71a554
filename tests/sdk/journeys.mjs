/** Vectors that a random journey made, of the file `CARTROOM_VECTORS`: one line of JSON each. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { check } from "./checking.mjs";

test("the library says what the service says", () => {
  const lines = readFileSync(process.env.CARTROOM_VECTORS, "utf8").trimEnd().split("\n");
  assert.notEqual(lines.length, 0);
  for (const line of lines) {
    const vector = JSON.parse(line);
    try {
      check(vector);
    } catch (error) {
      throw new Error(`${vector.name}: ${error.message}\n${line}`, { cause: error });
    }
  }
});
