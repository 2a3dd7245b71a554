/**
 * One server and one browser for all tests of a file: whoever imports this has them from the first
 * test to the last. Each file of tests is a process of its own.
 */

import { after, before } from "node:test";

import { openBrowser, Person, Server } from "./support.mjs";

export const server = new Server();
export let browser;

before(async () => {
  [browser] = await Promise.all([openBrowser(), server.start()]);
});

after(async () => {
  await browser?.close();
  await server.end();
});

/** Somebody with a browser of their own; `options` as of `Person.arrive`. */
export function arrive(name, options) {
  return Person.arrive(browser, server, name, options);
}
