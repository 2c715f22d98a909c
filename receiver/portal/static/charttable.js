// The chart as a table, for who reads by ear, by braille or by copying: the range in equal stretches, each with its
// numbers and with what is to be said of it. It is made when it is opened, and again when the chart shows something else.

import { told } from "./curve.js";
import { make, one } from "./dom.js";
import { NOTHING, count, moment } from "./format.js";
import { heldAt, summed, within } from "./held.js";

const ROWS = 30;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * 1000);

// As many whole steps as fit, so that rows begin at times that people say.
function step(length) {
  const wanted = length / ROWS;
  return STEPS.find((size) => size >= wanted) ?? Math.ceil(wanted / 86400e3) * 86400e3;
}

function remarks(curve, from, to, now) {
  const cross = (one) => one.from_ms < to && (one.to_ms ?? now) >= from;
  return [
    ...curve.holes.filter(cross).map((hole) => hole.text),
    ...curve.bands.filter(cross).map((band) => told(band, now)),
    ...(curve.healed.some(cross) ? ["healed: came later"] : []),
  ].join("; ");
}

// Fill `body` with the rows of [from, to); `written` writes a value, `now` is the server's time.
export function fill(body, curve, { from, to, now, written }) {
  const size = step(to - from);
  const rows = [];
  const value = (held) => (held === null ? NOTHING : written(held));
  for (let at = Math.floor(from / size) * size; at < Math.min(to, now); at += size) {
    const [begin, end] = [Math.max(at, from), Math.min(at + size, to)];
    const sums = summed(curve, begin, end);
    const bad = within(curve.bands, begin, now)?.grade === "bad";
    const held = bad ? null : heldAt(curve, begin);
    const said = remarks(curve, begin, end, now);
    rows.push(make("tr", {},
      make("th", { scope: "row" }, moment(begin)),
      make("td", { class: "num" }, value(held === null ? null : held.value ?? held.mean)),
      make("td", { class: "num" }, value(sums.low)), make("td", { class: "num" }, value(sums.mean)), make("td", { class: "num" }, value(sums.high)),
      make("td", { class: "num" }, count(sums.count)), make("td", { class: "num" }, count(sums.bad)),
      make("td", {}, said)));
  }
  if (!rows.length) rows.push(make("tr", { class: "none" }, make("td", { colspan: "8" }, "Nothing is known of this range.")));
  body.replaceChildren(...rows);
}

// Keep the table of `node`, a <details>, while it is open; returns what to call when the chart changed.
export function beside(node, shown) {
  let filled = 0;
  const renew = (least) => {
    const held = shown();
    if (!node.open || !held.curve || performance.now() - filled < least) return;
    filled = performance.now();
    fill(one("tbody", node), held.curve, held);
  };
  node.addEventListener("toggle", () => renew(0));
  return renew;
}
