// Each line that ends in "wrong" must be refused by TypeScript, and no other.

import { Cartroom, type Effect, type ErrorCode, MemoryStore } from "../../../static/sdk/cartroom.js";

const client = new Cartroom({ url: "wss://carts.example/ws", store: new MemoryStore() });
const room = client.room("crt_1");

new Cartroom({ token: () => null }); // wrong
new Cartroom({ url: "wss://carts.example/ws", retries: 3 }); // wrong
new Cartroom({ url: "wss://carts.example/ws", token: () => 7 }); // wrong
client.status = "live"; // wrong
client.room(7); // wrong
client.on("chnage", () => {}); // wrong
client.on("status", ({ attempt }) => attempt); // wrong
client.invite("crt_1", "bea@shop.example", "owner"); // wrong
client.notifications("cursor"); // wrong
client.readNotifications("ntf_1"); // wrong
client.keptNotifications().then((kept) => kept.unread); // wrong
client.muteCart("crt_1"); // wrong

room.op({ kind: "add" }); // wrong
room.op({ kind: "add", items: [{ sku: "MUG", quantity: 1 }] }); // wrong
room.op({ kind: "set_quantity", line: "lin_1" }); // wrong
room.op({ kind: "merge", user: "usr_1", into: "usr_2", role: "owner", lines: [], name: "" }); // wrong
room.op({ kind: "share", users: [{ user: "usr_1", role: "owner" }] }); // wrong
room.op({ kind: "clear" }, { facts: [] }); // wrong
room.state.name; // wrong
if (room.state) room.state.name = "mine"; // wrong
room.on("op", (entry) => entry.op.line); // wrong
room.rev = 7; // wrong

export const code: ErrorCode = "sold_out"; // wrong
export const nothing: Effect = { kind: "refuse", code: "gone", message: "" }; // wrong
