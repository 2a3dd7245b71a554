/**
 * What tests under Node share, with a browser or without: a server of our own that can be killed
 * and started again on the same port. `tests/test_page.py` and `tests/test_sdk.py` say by the
 * environment where Python and the stores are.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export const PASSWORD = "correct horse battery";
/** Of all that is waited for: machines may be busy. */
export const DEADLINE_MS = 150_000;
const STARTED = /^Cartroom is at (http:\/\/\S+:(\d+))\/$/;

/** A setting that pytest gives. */
export function given(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run these tests by pytest`);
  return value;
}

/** A port that pytest keeps from others, also while nobody listens there: for one server. */
let kept = process.env.CARTROOM_TEST_PORT;

/** `cartroom serve`, started again on the port that it had the last time. */
export class Server {
  url = "";
  /** What it printed before it was ready. */
  output = [];
  #port = kept ?? "0";
  #process = null;
  #env;

  /** `env`: environment beside that of all. */
  constructor(env = {}) {
    this.#env = env;
    kept = undefined;
  }

  async start(...options) {
    const launcher = JSON.parse(given("CARTROOM_TEST_LAUNCHER"));
    // The launcher's child ends with us, whatever ends us.
    const [command, ...rest] = launcher.map((part) =>
      part === "PID" ? String(process.pid) : part,
    );
    this.#process = spawn(command, [...rest, "serve", "--port", this.#port, ...options], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...this.#env },
    });
    const lines = createInterface({ input: this.#process.stdout });
    for await (const line of lines) {
      const found = STARTED.exec(line);
      this.output.push(line);
      if (!found) continue;
      [, this.url, this.#port] = found;
      return this;
    }
    throw new Error("cartroom serve ended before it was ready");
  }

  /** End it with `signal` and wait until it is gone. */
  async end(signal = "SIGTERM") {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill(signal);
    await ended;
  }
}

/** Try `check` until it passes; its last failure counts when time is up. */
export async function eventually(check) {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
