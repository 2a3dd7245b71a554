/**
 * The form of ops as they are sent: which fields a kind has, and what may stand in them.
 *
 * What is checked, in which order, and the words of a refusal are the service's own. A value is
 * taken as JSON would carry it: a field that is `undefined` is not there.
 */

import { CartroomError } from "./errors.js";

const text = (min, max) => ({ type: "str", min, max });
const whole = (min, max) => ({ type: "int", min, max });
const nullable = (shape) => ({ ...shape, optional: true, nullable: true });
const list = (of) => ({ type: "array", of });
const record = (fields) => ({ type: "object", fields });

const ID = text(1, 64);
const SKU = text(1, 200);
const QUANTITY = whole(1, 100_000);
const ROLE = { type: "str", oneOf: ["viewer", "editor"] };
const NAME = { ...text(0, 200), visible: true };

const ITEM = record({ sku: SKU, qty: QUANTITY, for: nullable(ID) });
const GRANT = record({ user: ID, role: ROLE });

const OPS = {
  add: { items: list(ITEM), partial: nullable({ type: "bool" }) },
  change_quantity: { line: ID, by: whole(-100_000, 100_000) },
  set_quantity: { line: ID, qty: QUANTITY },
  remove: { line: ID },
  clear: {},
  rename: { name: NAME },
  note: { text: text(0, 2_000), line: nullable(ID) },
  save_for_later: { line: ID },
  move_to_cart: { line: ID },
  share: { users: list(GRANT) },
  unshare: { user: ID },
  delete: {},
};

/** The kinds that a client can send. */
export const KINDS = Object.freeze(Object.keys(OPS));

/** What a name must have one of. Other languages draw the line between the two elsewhere. */
const VISIBLE = /[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Half a character, as is left of an emoji that was cut in two. JSON can't carry it. */
const HALF_CHARACTER = /\p{Surrogate}/u;

function refuse(what, path) {
  const where = path === "$" ? "" : ` - at \`${path}\``;
  throw new CartroomError("bad_request", `${what}${where}.`);
}

/** From here on JSON tells a number as a float, be it whole or not. */
const FLOATS_FROM = 1e21;

function typeOfNumber(value) {
  if (!Number.isFinite(value)) return "null";
  return Number.isInteger(value) && Math.abs(value) < FLOATS_FROM ? "int" : "float";
}

function typeOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  switch (typeof value) {
    case "string":
      return "str";
    case "boolean":
      return "bool";
    case "number":
      return typeOfNumber(value);
    default:
      return "object";
  }
}

/** Characters are Unicode code points, of which some take two places in a string. */
function isLongerThan(value, max) {
  return value.length > max && (value.length > 2 * max || [...value].length > max);
}

function checkText(value, shape, path) {
  if (HALF_CHARACTER.test(value)) {
    refuse("This is not JSON, or has half a character (a lone surrogate)", "$");
  }
  if (shape.oneOf) {
    if (!shape.oneOf.includes(value)) refuse(`Invalid enum value ${quoted(value)}`, path);
    return;
  }
  if (value.length < shape.min) refuse(`Expected \`str\` of length >= ${shape.min}`, path);
  if (isLongerThan(value, shape.max)) refuse(`Expected \`str\` of length <= ${shape.max}`, path);
  if (shape.visible && !VISIBLE.test(value)) refuse("Expected `str` matching regex '\\\\S'", path);
}

function quoted(value) {
  return value.includes("'") && !value.includes('"') ? `"${value}"` : `'${value}'`;
}

function checkNumber(value, shape, path) {
  if (value < shape.min) refuse(`Expected \`int\` >= ${shape.min}`, path);
  if (value > shape.max) refuse(`Expected \`int\` <= ${shape.max}`, path);
}

function checkList(value, shape, path) {
  if (value.length < 1) refuse("Expected `array` of length >= 1", path);
  for (const [index, each] of value.entries()) {
    check(each ?? null, shape.of, `${path}[${index}]`);
  }
}

function checkFields(value, fields, path) {
  for (const [name, each] of Object.entries(value)) {
    if (each === undefined) continue;
    if (!Object.hasOwn(fields, name)) refuse(`Object contains unknown field \`${name}\``, path);
    check(each, fields[name], `${path}.${name}`);
  }
  for (const [name, shape] of Object.entries(fields)) {
    if (!shape.optional && value[name] === undefined) {
      refuse(`Object missing required field \`${name}\``, path);
    }
  }
}

function check(value, shape, path) {
  const type = typeOf(value);
  if (type === "null" && shape.nullable) return;
  if (type !== shape.type) {
    const expected = shape.nullable ? `${shape.type} | null` : shape.type;
    refuse(`Expected \`${expected}\`, got \`${type}\``, path);
  }
  if (type === "str") checkText(value, shape, path);
  if (type === "int") checkNumber(value, shape, path);
  if (type === "array") checkList(value, shape, path);
  if (type === "object") checkFields(value, shape.fields, path);
}

/** Raises a CartroomError `bad_request` for what no client can send. */
export function checkShape(op) {
  const path = "$.op";
  const type = typeOf(op ?? null);
  if (type !== "object") refuse(`Expected \`object\`, got \`${type}\``, path);
  const { kind, ...fields } = op;
  if (kind === undefined) refuse("Object missing required field `kind`", path);
  if (typeof kind !== "string") refuse("Expected `str`", `${path}.kind`);
  if (!Object.hasOwn(OPS, kind)) refuse(`Invalid value '${kind}'`, `${path}.kind`);
  checkFields(fields, OPS[kind], path);
}
