// The page of events: what stands and the list follow what is told; the form is a plain form.

import { follow } from "./alarms.js";
import * as stream from "./stream.js";
import { localTimes, tick, told } from "./strip.js";

localTimes();
stream.listen({ link: told, alarms: follow(() => location.href) });
setInterval(tick, 500);
