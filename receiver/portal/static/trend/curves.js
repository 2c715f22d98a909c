// What a curve says at a moment, and the same curve at another time.

import { heldAt, within } from "../held.js";

// {value, low, high, at, grade, why}: what was known at a moment; `at` is when its sample was measured, null where the
// value is the mean of many. `why` says in words why nothing was known. What came later than the moment is never told.
export function knownAt(line, curve, ms, now) {
  const nothing = (why) => ({ value: null, grade: "", why });
  if (ms > now) return nothing("");
  const hole = within(curve.holes.filter((one) => one.kind !== "change"), ms, now);
  if (hole) return nothing(hole.kind);
  const band = within(curve.bands, ms, now);
  if (band?.grade === "bad") return nothing(`bad: ${band.reason}`);
  const held = heldAt(curve, ms);
  if (held === null) return nothing("");
  const grade = band?.grade ?? "";
  if (held.time === null) return { value: held.mean, low: held.low, high: held.high, at: null, grade, why: "" };
  const old = ms - held.time > Math.max(line.after * 1000, 2 * curve.width_ms);
  if (old && !line.holds) return nothing("");
  return { value: held.value, low: null, high: null, at: held.time, grade, why: "" };
}

// The same curve, later by so many milliseconds.
export function moved(curve, ms) {
  const shift = (time) => (time === null ? null : time + ms);
  const spans = (list) => list.map((one) => ({ ...one, from_ms: one.from_ms + ms, to_ms: shift(one.to_ms) }));
  const times = Object.fromEntries(["at_ms", "first_ms", "last_ms"].map((name) => [name, curve[name].map(shift)]));
  return { ...curve, ...times, holes: spans(curve.holes), bands: spans(curve.bands), healed: spans(curve.healed) };
}
