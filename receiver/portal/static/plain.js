// A page without live content of its own: only the strip moves.

import * as stream from "./stream.js";
import { localTimes, tick, told } from "./strip.js";

localTimes();
stream.listen({ link: told });
setInterval(tick, 500);
