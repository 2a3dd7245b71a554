/**
 * Chromium's recordings tell of each task how long it took by the clock, and how much of that its
 * thread ran. Where the machine has other work, too, the first says little of the page.
 */

/** How tasks are called; which of the names there are depends on the categories recorded. */
const TASKS = new Set(["RunTask", "ThreadControllerImpl::RunTask"]);

/** Make each task, and what happened in it, as short as the time that its thread ran; in place. */
export function countOwnTime(events) {
  const threads = new Map();
  for (const event of events) {
    const thread = `${event.pid} ${event.tid}`;
    if (!threads.has(thread)) threads.set(thread, []);
    threads.get(thread).push(event);
  }
  for (const each of threads.values()) {
    shorten(each.sort((one, other) => one.ts - other.ts));
  }
}

/** `events` are those of one thread, in their order. Tasks keep their beginnings. */
function shorten(events) {
  let task = { from: 0, to: 0, share: 1 };
  for (const event of events) {
    const { name, ts, dur, tdur } = event;
    const begins = TASKS.has(name) && ts >= task.to && dur > 0 && tdur !== undefined;
    if (begins) task = { from: ts, to: ts + dur, share: Math.min(1, tdur / dur) };
    if (ts >= task.to) continue;
    event.ts = task.from + (ts - task.from) * task.share;
    if (dur !== undefined) event.dur = dur * task.share;
  }
}
