/** Every wait of the library by its name; `new Cartroom({timings})` replaces single ones. */
export const TIMINGS = Object.freeze({
  /** A reply that takes longer ends the connection, as it is likely dead. */
  reply_timeout_ms: 15_000,
  open_timeout_ms: 15_000,
  /** The same for a ping after `wake()`. */
  probe_timeout_ms: 4_000,
  /** Between attempts to connect: a random time up to base × 2^failures, at most max. */
  backoff_base_ms: 500,
  backoff_max_ms: 30_000,
  /** A connection that lived this long was a good one: the next failure counts from zero. */
  stable_ms: 10_000,
  /** A token is renewed so long before its end, or after two thirds of its time if later. */
  renew_before_ms: 60_000,
  renew_pause_ms: 5_000,
  /** How long a request such as `listCarts` waits for a connection. */
  live_timeout_ms: 20_000,
  /** Ops that came before those below them wait so long before the cart is joined again. */
  gap_patience_ms: 2_000,
  /** After a temporary refusal: on top of what the service asked for, like the backoff. */
  retry_base_ms: 300,
  retry_max_ms: 10_000,
  /** Dormant for so long, a client leaves its carts: what happens there isn't seen by anybody. */
  rest_after_ms: 30_000,
  /** While live: how often to look for what closed tabs have left behind. */
  adopt_every_ms: 5_000,
  /** A store that takes longer has failed. */
  store_timeout_ms: 5_000,
  /** A room's snapshot, or the inbox, is kept so long after a change. */
  keep_after_ms: 500,
});
