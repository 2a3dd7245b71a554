// A program that uses everything that the library offers. TypeScript must find nothing in it.

import {
  browserStore,
  Cartroom,
  CartroomError,
  type Effect,
  type Line,
  MemoryStore,
  type Op,
  type Options,
  type Room,
  type SocketClass,
  type Store,
} from "../../../static/sdk/cartroom.js";

declare const SomeSocket: SocketClass;
declare const ownStore: Store;
declare function log(...what: unknown[]): void;

const simplest = new Cartroom({ url: "wss://carts.example/ws" });
const options: Options = {
  url: "wss://carts.example/ws",
  token: async () => "eyJhbGciOi…",
  WebSocket: SomeSocket,
  store: browserStore(),
  timings: { reply_timeout_ms: 5_000 },
};
const client = new Cartroom(options);
new Cartroom({ ...options, token: () => null, store: new MemoryStore() });
new Cartroom({ ...options, store: ownStore });

client.start();
client.wake();
client.dormant = true;
const told: string | null = client.user && `${client.user.name} ${client.client}`;
const most: number | undefined = client.welcome?.limits.lines;
const off = client.on("status", ({ status, retryAt }) => {
  if (status === "waiting" && retryAt !== null) log(new Date(retryAt));
});
off();
client.on("live", ({ user }) => log(user.id));
client.on("refused", (error) => log(error.message));
client.on("notification", (news) => {
  if (news.kind === "cart.shared") log(news.name, news.role, news.by.name);
  else if (news.kind === "cart.muted") log(news.cart, !news.muted);
  else if (news.kind === "inbox") log(news.unread, news.notification?.count, news.read[0]);
});
client.on("pending", () => log(client.pending));
client.on("rejected", ({ cart, op, op_id, error }) => log(cart, op.kind, op_id, error.code));
client.on("undurable", (error) => log(error));

export async function shop(): Promise<Line | undefined> {
  const { cart } = await client.createCart({ name: "Picnic", currency: "EUR" });
  const { carts, cursor } = await client.listCarts();
  if (cursor) await client.listCarts(cursor);
  const invitation: string = await client.invite(cart, "bea@shop.example", "viewer");
  const invited = await client.invitations(cart);
  if (invited.some((each) => each.invitation === invitation)) await client.uninvite(cart, invitation);
  const { role } = await client.acceptInvitation("inv_1.secret");
  const { notifications, unread, cursor: older } = await client.notifications({ limit: 20 });
  if (older) await client.notifications({ cursor: older });
  for (const { by, kinds, lines, read } of notifications) log(by.name, kinds.add ?? 0, lines[0]?.name, read);
  const kept = await client.keptNotifications();
  if (kept) log(new Date(kept.at), kept.unread, kept.notifications[0]?.by.name);
  const left = await client.readNotifications(notifications.map(({ id }) => id));
  if (unread && left.unread) log((await client.readNotifications()).version);
  if (!carts[0]?.muted) await client.muteCart(cart, true);

  const room: Room = client.room(carts[0]?.cart ?? cart);
  watch(room);
  const products = [{ sku: "MUG", name: "Mug", unit_price: 1290, currency: "EUR", available: null }];
  try {
    const ok = await room.op({ kind: "add", items: [{ sku: "MUG", qty: 2 }] }, { products });
    for (const result of ok.results ?? []) {
      if ("code" in result) log(result.message);
      else await room.op({ kind: "note", line: result.line, text: role });
    }
  } catch (error) {
    if (error instanceof CartroomError && error.code === "out_of_stock") {
      log(error.extra.available, error.temporary);
    }
  }
  const ops: Op[] = [
    { kind: "change_quantity", line: "lin_1", by: -1 },
    { kind: "set_quantity", line: "lin_1", qty: 3 },
    { kind: "remove", line: "lin_1" },
    { kind: "clear" },
    { kind: "rename", name: "Lunch" },
    { kind: "save_for_later", line: "lin_1" },
    { kind: "move_to_cart", line: "lin_1" },
    { kind: "share", users: [{ user: "usr_2", role: "editor" }] },
    { kind: "unshare", user: "usr_2" },
    { kind: "delete" },
  ];
  await Promise.all(ops.map((op) => room.op(op)));
  const { ops: entries, more } = await room.history({ before: 7, limit: 100 });
  if (more) for (const { rev, op } of entries) log(rev, inWords(op));
  room.setPresence({ line: "lin_1" });
  room.leave();
  await client.discard();
  await client.stop();
  return room.state?.lines.find(({ line }) => room.isPending(line));
}

function watch(room: Room): void {
  room.on("change", () => log(room.status, room.role, room.rev, room.pending.length));
  room.on("op", ({ rev, by, own, live, before, op }) => log(rev, by, own, live, before, op));
  room.on("state", () => log(room.committed?.totals.total, room.state?.members.length));
  room.on("gone", (reason) => log(reason));
  room.on("failed", (error) => log(error.code));
  room.on("rejected", ({ error }) => log(error.message));
  for (const { user, client: tab, data } of room.presence.values()) log(user, tab, data.line);
  for (const { line } of room.state?.lines ?? []) log(room.keyOf(line));
  for (const { op_id, op } of room.pending) log(op_id, op.kind);
}

function inWords(op: Effect): string {
  switch (op.kind) {
    case "add":
      return op.items.map(({ name, qty }) => `${qty} ${name}`).join();
    case "share":
      return op.users.map(({ name, role }) => `${name}: ${role}`).join();
    case "refuse":
      return op.code;
    default:
      return op.kind;
  }
}

export { most, simplest, told };
