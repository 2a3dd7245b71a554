/**
 * Requests over REST. A refusal becomes an `ApiError`, whose fields a form can show. Who is signed
 * in is the business of `session.js`, which joins in by `guardCalls`.
 */

const TIMEOUT_MS = 20_000;
const SAFE_METHODS = new Set(["GET", "HEAD"]);
const CSRF_HEADER = "X-CSRF-Token";

const OFFLINE = "You are offline. Try again once you are back.";
const UNREACHABLE = "The service can't be reached right now. Try again in a moment.";

/**
 * `message` is for people, `fields` maps a field's name to what is wrong with it, `retryAfterS` is
 * how long to wait, or null. Status 0: no answer came, so whether it was done is not known.
 */
export class ApiError extends Error {
  constructor(status, code, message, { fields = {}, retryAfterS = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.fields = fields;
    this.retryAfterS = retryAfterS;
  }
}

let guard = {
  /** What goes into the header that shows that we meant it, or null. */
  csrf: () => null,
  /** After a refusal with 403: another such value, if there is one for the same person, or null. */
  renewed: async () => null,
  /** A call was refused with 401. */
  refused: () => {},
};

/** Have somebody look after who is signed in: `{csrf, renewed, refused}` as above. */
export function guardCalls(given) {
  guard = given;
}

/**
 * Ask the service; resolves with its answer, or null where it has none. Rejects with an ApiError,
 * or as `signal` says. `as` is "json", or "blob" for what is only to be kept.
 */
export async function call(path, { method = "GET", body, signal, as = "json", timeoutMs } = {}) {
  const options = { method, signal, timeoutMs, headers: {} };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const unsafe = !SAFE_METHODS.has(method);
  let token = unsafe ? guard.csrf() : null;
  let response = await send(path, options, token);
  if (response.status === 403 && unsafe) {
    token = await guard.renewed(token);
    if (token) response = await send(path, options, token);
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (problem.status === 401) guard.refused(problem);
    throw problem;
  }
  return response.status === 204 ? null : read(response, as);
}

async function send(path, { signal, timeoutMs = TIMEOUT_MS, headers, ...options }, token) {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    return await fetch(path, {
      ...options,
      headers: token ? { ...headers, [CSRF_HEADER]: token } : headers,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    throw signal?.aborted ? error : unreachable();
  }
}

function unreachable() {
  return new ApiError(0, "unavailable", navigator.onLine ? UNREACHABLE : OFFLINE);
}

async function read(response, as) {
  try {
    return await response[as]();
  } catch {
    throw unreachable(); // It broke off on the way.
  }
}

async function problemOf(response) {
  const told = response.headers.get("content-type")?.includes("json");
  const problem = told ? await read(response, "json") : {};
  const retryAfterS = problem.retry_after_s ?? Number(response.headers.get("retry-after"));
  return new ApiError(
    response.status,
    problem.code ?? "internal",
    sentenceOf(problem, response.status),
    { fields: fieldsOf(problem.errors), retryAfterS: retryAfterS || null },
  );
}

function sentenceOf({ detail, title }, status) {
  const text = detail ?? title ?? `The service answered ${status}. Please try again`;
  return asSentence(text);
}

function asSentence(text) {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** `{email: ["…"]}` → `{email: "…"}`; what lies deeper counts for the field it lies in. */
function fieldsOf(errors) {
  if (!errors || typeof errors !== "object") return {};
  const entries = Object.entries(errors).map(([name, found]) => [name, textsOf(found)]);
  return Object.fromEntries(entries.map(([name, texts]) => [name, texts.map(asSentence).join(" ")]));
}

function textsOf(found) {
  if (typeof found === "string") return [found];
  return found && typeof found === "object" ? Object.values(found).flatMap(textsOf) : [];
}
