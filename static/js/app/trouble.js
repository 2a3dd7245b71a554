/** What went wrong, for people, and when it may be tried again. */

/** A span of time in words, rounded up. */
export function duration(seconds) {
  if (seconds < 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}

/** The sentences of an `ApiError`. */
export function troubleText({ message, retryAfterS }) {
  if (!retryAfterS) return message;
  return `${message} Try again in ${duration(Math.ceil(retryAfterS))}.`;
}
