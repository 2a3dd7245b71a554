import { resendButton } from "../../js/elements/resend-mail.js";

export const examples = {
  "Before it is asked for": () => resendButton("Send it again"),
};
