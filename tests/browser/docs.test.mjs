/** The interactive page of the REST contract, in a real browser, against a real server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive, server } from "./shop.mjs";
import { eventually, PASSWORD } from "./support.mjs";

/** An account made over REST; answers its access token. */
async function accessToken(person) {
  const response = await fetch(`${server.url}/api/v1/auth/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email: person.email, password: PASSWORD, name: person.name }),
  });
  assert.equal(response.status, 201);
  return (await response.json()).access_token;
}

/** The operation of an id, opened. */
async function open(page, id) {
  const operation = page.locator(`[id$="-${id}"]`);
  await operation.locator(".opblock-summary-control").first().click();
  await operation.getByRole("button", { name: "Execute" }).waitFor();
  return operation;
}

/** Send its request; answers what is shown of the answer. */
async function run(operation) {
  const clear = operation.getByRole("button", { name: "Clear" });
  if (await clear.isVisible()) await clear.click(); // the answer of before
  await operation.locator(".live-responses-table").waitFor({ state: "detached" });
  await operation.getByRole("button", { name: "Execute" }).click();
  const answer = operation.locator(".live-responses-table .response");
  await answer.waitFor();
  return {
    status: (await answer.locator(".response-col_status").innerText()).trim().slice(0, 3),
    text: await answer.innerText(),
  };
}

test("the page shows the contract, and a request from it is answered", async () => {
  const ana = await arrive("Ana", { height: 1600 });
  const elsewhere = [];
  ana.page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "data:" && origin !== server.url) elsewhere.push(request.url());
  });
  await ana.open("/docs");
  const contract = await (await fetch(`${server.url}/api/openapi.json`)).json();
  await ana.page.locator(".opblock").first().waitFor();
  const paths = Object.values(contract.paths).flatMap((methods) => Object.keys(methods));
  const blocks = ana.page.locator(".opblock");
  await eventually(async () => assert.equal(await blocks.count(), paths.length));
  assert.match(await ana.page.locator(".info").innerText(), /OAS 3\.1/);

  const me = await open(ana.page, "me");
  const refused = await run(me);
  assert.equal(refused.status, "401");
  assert.equal(ana.forgive(/401/), 1);

  await ana.page.getByRole("button", { name: "Authorize" }).first().click();
  const dialog = ana.page.locator(".modal-ux");
  const token = ana.page.getByLabel("auth-bearer-value");
  await token.fill(await accessToken(ana));
  await dialog.locator("form", { has: token }).getByRole("button", { name: "Apply" }).click();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  const answer = await run(me);
  assert.equal(answer.status, "200");
  assert.match(answer.text, new RegExp(ana.email));

  const login = await open(ana.page, "login");
  const credentials = { email: ana.email, password: PASSWORD };
  await login.locator("textarea").fill(JSON.stringify(credentials));
  assert.equal((await run(login)).status, "200");

  assert.deepEqual(elsewhere, []);
  assert.deepEqual(ana.problems, []);
});
