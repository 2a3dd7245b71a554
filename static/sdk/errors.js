/**
 * A refusal by the service, or a failure to reach it.
 *
 * `code` is a code of the wire contract (`out_of_stock`, `forbidden`, …), or one of ours:
 * `disconnected` (the connection was lost before an answer came, so the outcome is unknown),
 * `discarded` (thrown away by `discard()`) and `expired` (could not be sent for 30 days).
 * `temporary` means that sending the same again is right. `message` is a sentence for people.
 */
export class CartroomError extends Error {
  constructor(code, message, { temporary = false, ...extra } = {}) {
    super(message);
    this.name = "CartroomError";
    this.code = code;
    this.temporary = temporary;
    this.extra = extra;
  }

  /** From an `error` reply of the socket. */
  static fromReply({ id: _id, type: _type, code, message, ...rest }) {
    return new CartroomError(code, message, rest);
  }

  static disconnected() {
    return new CartroomError("disconnected", "The connection was lost before an answer came.", {
      temporary: true,
    });
  }
}
