/** What the service does with accounts. All of it rejects with an `ApiError`. */

import { call } from "./api.js";

const AUTH = "/api/v1/auth";
/** What somebody did in years may take minutes to be told. */
const EXPORT_MS = 600_000;
const BY_COOKIE = { session: "cookie" };

function post(path, body) {
  return call(`${AUTH}/${path}`, { method: "POST", body });
}

/** Who is signed in here → `{user, csrf_token}`, or `{user: null}`. */
export function whoIsHere({ timeoutMs } = {}) {
  return call(`${AUTH}/session`, { timeoutMs });
}

/** → `{user, csrf_token}` */
export function login({ email, password }) {
  return post("login", { email, password, ...BY_COOKIE });
}

/** → `{user, csrf_token}`. A guest becomes the account. */
export function register({ name, email, password }) {
  return post("register", { name, email, password, ...BY_COOKIE });
}

/** → `{user, csrf_token}` */
export function enterAsGuest({ name }) {
  return post("guest", { name, ...BY_COOKIE });
}

export function logout() {
  return post("logout");
}

export function logoutEverywhere() {
  return post("logout-everywhere");
}

/** → `{items: [{id, device, kind, created_at, used_at, current}]}` */
export function listDevices(signal) {
  return call(`${AUTH}/devices`, { signal });
}

export function signOutDevice(id) {
  return call(`${AUTH}/devices/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/**
 * Change what is given of name, locale, currency, notifications, time_zone, quiet_hours, digest_at
 * → the user.
 */
export function changeProfile(changes) {
  return call(`${AUTH}/me`, { method: "PATCH", body: changes });
}

export function changePassword({ current_password, new_password }) {
  return post("password", { current_password, new_password });
}

export function deleteAccount(password) {
  return call(`${AUTH}/me`, { method: "DELETE", body: password ? { password } : {} });
}

/** Everything that the service keeps about us, as a file. */
export function exportData() {
  return call(`${AUTH}/me/export`, { as: "blob", timeoutMs: EXPORT_MS });
}

/** Have a link mailed that sets a new password, if there is such an account. */
export function requestReset({ email }) {
  return post("reset", { email });
}

export function completeReset(token, password) {
  return post("reset/complete", { token, password });
}

export function confirmAddress(token) {
  return post("confirm", { token });
}

/** Do what a mailed link is for that ends mails. Nobody needs to be signed in for it. */
export function unsubscribe(token) {
  return post("unsubscribe", { token });
}

export function resendConfirmation() {
  return post("confirm/resend", {});
}
