/** Types of the client library of a Cartroom service. What they mean: docs/sdk.md. */

// What a cart is. Money is an integer in minor units of the cart's currency.

export type Role = "viewer" | "editor" | "owner";
export type GrantedRole = Exclude<Role, "owner">;

export interface Line {
  line: string;
  sku: string;
  name: string;
  unit_price: number;
  qty: number;
  /** The member whom the line is for. */
  for: string;
  note: string;
}

export interface Member {
  user: string;
  name: string;
  role: Role;
}

export interface Totals {
  lines: number;
  pieces: number;
  subtotal: number;
  total: number;
}

export interface State {
  readonly name: string;
  readonly note: string;
  readonly currency: string;
  readonly status: string;
  readonly lines: readonly Line[];
  readonly saved: readonly Line[];
  readonly members: readonly Member[];
  readonly totals: Totals;
}

// What you ask for.

export interface Item {
  sku: string;
  qty: number;
  for?: string | null;
}

export interface Grant {
  user: string;
  role: GrantedRole;
}

export type Op =
  | { kind: "add"; items: readonly Item[]; partial?: boolean }
  | { kind: "change_quantity"; line: string; by: number }
  | { kind: "set_quantity"; line: string; qty: number }
  | { kind: "remove"; line: string }
  | { kind: "clear" }
  | { kind: "rename"; name: string }
  | { kind: "note"; text: string; line?: string | null }
  | { kind: "save_for_later"; line: string }
  | { kind: "move_to_cart"; line: string }
  | { kind: "share"; users: readonly Grant[] }
  | { kind: "unshare"; user: string }
  | { kind: "delete" };

export type OpKind = Op["kind"];

// What took effect.

export interface AddedItem {
  sku: string;
  qty: number;
  for: string;
  line: string;
  name: string;
  unit_price: number;
}

export interface MergedLine {
  line: string;
  into?: string;
}

/** A refusal that the cart has on record: nothing took effect. */
export interface Refusal {
  kind: "refuse";
  code: ServiceErrorCode;
  message: string;
  [further: string]: unknown;
}

export type Effect =
  | { kind: "create"; name: string; currency: string }
  | { kind: "add"; items: AddedItem[] }
  | { kind: "change_quantity"; line: string; by: number }
  | { kind: "set_quantity"; line: string; qty: number }
  | { kind: "remove"; line: string }
  | { kind: "clear" }
  | { kind: "rename"; name: string }
  | { kind: "note"; text: string; line?: string }
  | { kind: "save_for_later"; line: string; into?: string }
  | { kind: "move_to_cart"; line: string; into?: string }
  | { kind: "share"; users: (Grant & { name: string })[] }
  | { kind: "unshare"; user: string }
  | { kind: "delete" }
  | { kind: "merge"; user: string; into: string; role: Role; lines: MergedLine[]; name: string }
  | { kind: "depart"; user: string; successor?: string }
  | Refusal;

export type EffectKind = Effect["kind"];

/** What became of an item of an `add`: its line and the pieces added, or why it was refused. */
export type ItemResult =
  | { line: string; qty: number }
  | { code: ServiceErrorCode; message: string; temporary: boolean; [further: string]: unknown };

/** The acknowledgement of an op. */
export interface Ok {
  rev: number;
  /** RFC 3339, UTC, milliseconds. */
  at: string;
  op: Effect;
  /** Of an `add`: parallel to its `items`. */
  results?: ItemResult[];
}

/** An op of the cart's history. */
export interface Entry {
  rev: number;
  op_id: string | null;
  by: string;
  at: string;
  op: Effect;
}

// Refusals.

export type ServiceErrorCode =
  | "bad_request"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "rate_limited"
  | "too_large"
  | "unavailable"
  | "internal"
  | "unknown_sku"
  | "out_of_stock"
  | "limit_exceeded"
  | "cart_locked"
  | "cart_closed";

/** What the library says itself: see docs/sdk.md. */
export type LocalErrorCode = "disconnected" | "discarded" | "expired";

export type ErrorCode = ServiceErrorCode | LocalErrorCode;

export interface ErrorExtra {
  retry_after_s?: number;
  sku?: string;
  available?: number;
  currency?: string;
  user?: string;
  results?: (ItemResult | null)[];
  [further: string]: unknown;
}

/** A refusal by the service, or a failure to reach it. `message` is a sentence for people. */
export class CartroomError extends Error {
  constructor(code: ErrorCode, message: string, extra?: ErrorExtra & { temporary?: boolean });
  readonly name: string;
  readonly code: ErrorCode;
  /** Whether sending the same again is right. */
  readonly temporary: boolean;
  /** Further fields, such as `available` with `out_of_stock`. */
  readonly extra: ErrorExtra;
}

// The client.

/** What the service tells at `hello`, and obeys. */
export interface Limits {
  lines: number;
  members: number;
  pieces: number;
  items: number;
  frame_bytes: number;
  ops_per_s: number;
  ops_burst: number;
  carts_joined: number;
  in_flight: number;
  resume_ops: number;
  presence_bytes: number;
}

export interface User {
  id: string;
  name: string;
}

export interface Welcome {
  user: User;
  /** When the sign-in ends, unless it is renewed; null: never. */
  expires_at: string | null;
  heartbeat_s: number;
  limits: Limits;
}

/** The part of a WebSocket that is used: a browser's, or for example that of the package `ws`. */
export interface Socket {
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

export type SocketClass = new (url: string, protocols: string[]) => Socket;

export type Token = string | null;

export interface Options {
  /** `wss://…/ws` of the service. */
  url: string;
  /** An access token that is good for a while yet. Without: the cookie of the service's own page. */
  token?: () => Token | Promise<Token>;
  /** By default the global one; Node 20 has none. */
  WebSocket?: SocketClass;
  /** Where the outbox is kept; by default `browserStore()`. */
  store?: Store;
  /** Who is signed in, where that is known before the service says so. */
  user?: User | null;
  timings?: Partial<Timings>;
  /** In place of `Math.random`, for tests. */
  random?: () => number;
}

export type Status = "stopped" | "connecting" | "live" | "waiting" | "failed";

export interface StatusChange {
  status: Status;
  retryAt: number | null;
}

/** Who did something. */
export interface Doer {
  user: string;
  name: string;
}

/**
 * Something in the inbox that others did while we weren't looking: what one of them changed in a
 * cart within some minutes (`changes`), that they let us in (`shared`), took us out (`removed`), or
 * deleted the cart (`deleted`). More kinds may come.
 */
export interface InboxEntry {
  id: string;
  kind: string;
  cart: string;
  cart_name: string;
  by: Doer;
  /** How many changes it stands for … */
  count: number;
  /** … and of which kinds: `{add: 3, remove: 1}`. */
  kinds: Readonly<Record<string, number>>;
  /** Some of what was added. */
  lines: readonly { line: string; sku: string; name: string; qty: number }[];
  first_rev: number;
  last_rev: number;
  /** Of its last change. */
  at: string;
  opened_at: string;
  read: boolean;
}

/** Somebody has let us in to a cart. */
export interface SharedNews {
  kind: "cart.shared";
  cart: string;
  name: string;
  role: Role;
  by: Doer;
}

/** How the inbox is now. Of two, that with the higher `version` is the later one. */
export interface InboxCount {
  unread: number;
  version: number;
}

/**
 * Something in the inbox came, grew, or was read, here or on another device of ours. Where it says
 * neither, or versions are missing, ask for the list.
 */
export interface InboxNews extends InboxCount {
  kind: "inbox";
  /** What came or grew, if something did. */
  notification: InboxEntry | null;
  /** Ids of what has been read. */
  read: readonly string[];
}

/** A cart was muted, or the other way round, by us, on whatever device. */
export interface MutedNews {
  kind: "cart.muted";
  cart: string;
  muted: boolean;
}

export interface InboxPage extends InboxCount {
  notifications: InboxEntry[];
  cursor?: string;
}

/** The inbox as it was `at` that time, in ms since the epoch: the latest of it. */
export interface KeptInbox extends InboxCount {
  notifications: readonly InboxEntry[];
  at: number;
}

/** News for us. More kinds may come: ignore what you don't know. */
export type Notification = SharedNews | InboxNews | MutedNews;

/** A change of ours that nobody waits for any more, such as one of before a reload, was refused. */
export interface Rejected {
  cart: string;
  op_id: string;
  op: Op;
  error: CartroomError;
}

export interface ClientEvents {
  status: StatusChange;
  live: Welcome;
  /** Sign in again; it stays stopped until `start`. */
  refused: CartroomError;
  notification: Notification;
  /** How many changes wait may have changed. */
  pending: undefined;
  rejected: Rejected;
  /** The store fails: from now on changes are kept in memory alone. */
  undurable: Error;
}

export interface CartRow {
  cart: string;
  name: string;
  role: Role;
  rev: number;
  updated_at: string;
  line_count: number;
  /** Whether we don't want to be told of what others do in it. */
  muted: boolean;
}

export interface Invitation {
  invitation: string;
  email: string;
  role: GrantedRole;
  created_at: string;
  expires_at: string;
}

/** Facts of a product, so that an `add` of it can be shown before it is answered. */
export interface ProductFacts {
  sku: string;
  name: string;
  /** In minor units. */
  unit_price: number;
  /** By default the cart's. */
  currency?: string;
  /** Pieces in stock; null or absent: no bound is known. */
  available?: number | null;
}

export interface Emitter<Events> {
  /** Call `listener` on every event of a name. What comes back ends that. */
  on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): () => void;
}

/** The client of a service: one socket, many carts on it. */
export class Cartroom implements Emitter<ClientEvents> {
  constructor(options: Options);
  on<Name extends keyof ClientEvents>(
    name: Name,
    listener: (detail: ClientEvents[Name]) => void,
  ): () => void;
  readonly status: Status;
  /** While waiting: when the next attempt is made, in ms since the epoch. */
  readonly retryAt: number | null;
  readonly welcome: Welcome | null;
  /** Who is signed in; before the connection, who was here last. */
  readonly user: User | null;
  /** The UUID of this client; null until the store has given it. */
  readonly client: string | null;
  /** How many changes of this user are not confirmed yet, over all carts. */
  readonly pending: number;
  /** Whether the store works; if it doesn't, what waits ends with the page. */
  readonly durable: boolean;
  /** Whether nobody looks; before long it isn't in any cart then. */
  set dormant(dormant: boolean);
  start(): void;
  stop(): Promise<void>;
  /** The network is back, or somebody looks: look after the connection now. */
  wake(): void;
  /** The room of a cart: the same object until it is closed. */
  room(cart: string): Room;
  createCart(fields?: { name?: string; currency?: string }): Promise<{ cart: string; rev: number }>;
  listCarts(cursor?: string | null): Promise<{ carts: CartRow[]; cursor?: string }>;
  /** Resolves with the invitation's id. */
  invite(cart: string, email: string, role: GrantedRole): Promise<string>;
  invitations(cart: string): Promise<Invitation[]>;
  uninvite(cart: string, invitation: string): Promise<void>;
  acceptInvitation(token: string): Promise<{ cart: string; role: Role }>;
  /** One page of our inbox, the latest first; `unread` counts all of it. */
  notifications(page?: { limit?: number; cursor?: string | null }): Promise<InboxPage>;
  /** The inbox as it was last known, also without a connection; null if nothing is. */
  keptNotifications(): Promise<KeptInbox | null>;
  /** Mark as read, without `ids` all of it. */
  readNotifications(ids?: readonly string[]): Promise<InboxCount>;
  /** Not be told any more of what others do in a cart, or again: for us alone, on all devices. */
  muteCart(cart: string, muted: boolean): Promise<void>;
  /**
   * Send an op in this very turn, and keep nothing of it: for a page that is about to end. Whether
   * it took effect isn't told.
   */
  sendLast(cart: string, op: Op): void;
  /** Throw this user's waiting changes, kept carts and inbox away. */
  discard(): Promise<void>;
}

// A room.

export type RoomStatus = "opening" | "live" | "away" | "gone" | "failed";

export type GoneReason = "removed" | "left" | "merged" | "deleted" | "not_found";

/** What somebody tells of themselves; by convention `line` is the line that has the focus. */
export type PresenceData = Readonly<Record<string, string | number | boolean | null>>;

export interface Present {
  user: string;
  client: string;
  data: PresenceData;
}

/** A change of ours that waits. */
export interface Pending {
  /** Null until the store has given this client its id. */
  op_id: string | null;
  op: Op;
}

export interface OpEvent extends Entry {
  /** Whether it is a change of ours. */
  own: boolean;
  /** False for what came while we were away. */
  live: boolean;
  /** What was committed before it. */
  before: State;
}

export interface RoomEvents {
  change: undefined;
  op: OpEvent;
  /** A whole state took the place of what we had. */
  state: undefined;
  gone: GoneReason;
  failed: CartroomError;
  rejected: Rejected;
}

/** One cart, followed live. `client.room(cart)` makes it. */
export interface Room extends Emitter<RoomEvents> {
  readonly cart: string;
  readonly status: RoomStatus;
  readonly closed: boolean;
  /** Why it is gone, or the error that it failed with. */
  readonly reason: GoneReason | CartroomError | null;
  readonly role: Role | null;
  /** The cart to show: what is committed, and our waiting changes as they will most likely be. */
  readonly state: State | null;
  readonly committed: State | null;
  /** The revision of `committed`. */
  readonly rev: number;
  readonly presence: ReadonlyMap<string, Present>;
  /** Our changes that wait here, the oldest first. */
  readonly pending: Pending[];
  /**
   * Change the cart. Shows at once, if it can be foretold; resolves once it took effect, however
   * long that takes; rejects with its final refusal, when it is taken back.
   */
  op(op: Op, more?: { products?: readonly ProductFacts[] }): Promise<Ok>;
  /** Whether changes of ours wait that are about this line. */
  isPending(line: string): boolean;
  /** A key of a line that stays the same when a new line gets its id. */
  keyOf(line: string): string;
  setPresence(data: PresenceData): void;
  /** One page of the past, ascending, ending below `before`. */
  history(page?: { before?: number; limit?: number }): Promise<{ ops: Entry[]; more: boolean }>;
  /** Stop following. What waits is sent all the same. */
  leave(): void;
}

// Stores.

/** Where values are kept: each `put` is atomic, and durable once it resolves. */
export interface Shelf {
  get(area: ShelfArea, key: string): Promise<any>;
  put(area: ShelfArea, key: string, value: any): Promise<unknown>;
  delete(area: ShelfArea, key: string): Promise<unknown>;
  all(area: ShelfArea): Promise<any[]>;
}

export type ShelfArea = "clients" | "rooms" | "meta";

/** As much of `navigator.locks` as a store needs. */
export interface Locks {
  request(
    name: string,
    options: { ifAvailable?: boolean; signal?: any },
    callback: (lock: any) => any,
  ): Promise<any>;
}

/** As much of `sessionStorage` as a store needs. */
export interface TabStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Made of a shelf, locks and a tab; what it does with them is the library's business. */
export class Store {
  private readonly media: unknown;
  constructor(media: { shelf: Shelf; locks: Locks; tab: TabStorage });
}

/** A store that ends with its process. */
export class MemoryStore extends Store {
  constructor();
}

/** IndexedDB, Web Locks and sessionStorage; a `MemoryStore` where one of them is missing. */
export function browserStore(options?: {
  storage?: TabStorage | null;
  locks?: Locks | null;
  indexedDB?: any;
  name?: string;
}): Store;

// Waits.

/** In ms. */
export interface Timings {
  reply_timeout_ms: number;
  open_timeout_ms: number;
  probe_timeout_ms: number;
  backoff_base_ms: number;
  backoff_max_ms: number;
  stable_ms: number;
  renew_before_ms: number;
  renew_pause_ms: number;
  live_timeout_ms: number;
  gap_patience_ms: number;
  retry_base_ms: number;
  retry_max_ms: number;
  rest_after_ms: number;
  adopt_every_ms: number;
  store_timeout_ms: number;
  keep_after_ms: number;
}
