// Trips and alarms on a page: fetched anew when the server says that what stands, or what was told, is another.

import { all, one } from "./dom.js";
import { localTimes } from "./strip.js";

const PAUSE_MS = 2000;
const PARTS = ["[data-alarms]", "[data-events]"];
let shown = one("[data-alarms]")?.dataset.mark;
let wanted = shown;
let timer = 0;
let fetched = -PAUSE_MS;

// For `stream.listen`; `address` is a function that gives where the parts are to be had.
export const follow = (address) => ({ mark }) => {
  wanted = mark;
  if (wanted === shown || timer) return;
  timer = setTimeout(() => renew(address()).finally(() => { timer = 0; }), Math.max(fetched + PAUSE_MS - performance.now(), 0));
};

async function renew(address) {
  fetched = performance.now();
  const answer = await fetch(address);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of PARTS) {
    const [before, after] = [one(`main ${part}`), one(part, fresh.body.dataset.now ? one("main", fresh) : fresh)];
    if (before && after) put(before, document.adoptNode(after));
  }
  shown = one("[data-alarms]").dataset.mark;
}

// A link that has the focus keeps it.
function put(before, after) {
  const held = before.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  localTimes(after);
  before.replaceWith(after);
  if (held) all("a", after).find((link) => link.getAttribute("href") === held)?.focus();
}
