/** Prints, as JSON, the library's waits and how long they are. */

import { TIMINGS } from "../../../static/sdk/timings.js";

console.log(JSON.stringify(TIMINGS));
