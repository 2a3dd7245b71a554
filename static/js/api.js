/** The service's REST doors: accounts and the catalog. */

const TIMEOUT_MS = 15_000;

/** A refusal: `message` for people, `fields` maps a field's name to what is wrong with it. */
export class ApiError extends Error {
  constructor(status, code, message, fields = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

async function problemOf(response) {
  let problem = {};
  if (response.headers.get("content-type")?.includes("json")) problem = await response.json();
  const message = problem.detail ?? problem.message ?? problem.title;
  return new ApiError(
    response.status,
    problem.code ?? "internal",
    message ?? `The service answered ${response.status}. Please try again.`,
    fieldsOf(problem.errors),
  );
}

/** `{email: ["…"]}` → `{email: "…"}`. */
function fieldsOf(errors) {
  if (!errors || typeof errors !== "object") return {};
  const entries = Object.entries(errors);
  return Object.fromEntries(entries.map(([name, texts]) => [name, [texts].flat().join(" ")]));
}

async function call(path, { signal, ...options } = {}) {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(path, {
      ...options,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unavailable", "The service can't be reached. Check your connection.");
  }
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

function post(path, body) {
  return call(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** → `{user: {id, email, name}, access_token}` */
export function login(email, password) {
  return post("/api/v1/auth/login", { email, password });
}

/** → `{user: {id, email, name}, access_token}` */
export function register(email, password, name) {
  return post("/api/v1/auth/register", { email, password, name });
}

/** → `{items, next_cursor}` */
export function findProducts({ q = "", limit = 20, cursor }, signal) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (q) query.set("q", q);
  if (cursor) query.set("cursor", cursor);
  return call(`/api/v1/catalog/products?${query}`, { signal });
}
