/** Prints, as JSON, the names that the library exports and the public ones that its objects have. */

import * as sdk from "../../../static/sdk/cartroom.js";

class NoSocket {}

function membersOf(object) {
  const names = new Set();
  for (let at = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    if (at === Error.prototype) break;
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  }
  names.delete("constructor");
  return [...names];
}

const client = new sdk.Cartroom({ url: "ws://localhost/ws", WebSocket: NoSocket });
const objects = {
  Cartroom: client,
  Room: client.room("crt_1"),
  CartroomError: new sdk.CartroomError("internal", "A sentence."),
  Store: new sdk.MemoryStore(),
};
const members = Object.entries(objects).map(([name, object]) => [name, membersOf(object)]);
console.log(JSON.stringify({ exports: Object.keys(sdk), members: Object.fromEntries(members) }));
process.exit(); // what it has begun needs no end
