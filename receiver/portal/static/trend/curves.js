// What a curve says at a moment, and the same curve at another time.

// The hole that a moment lies in, or undefined; `now` ends what lasts.
export const holeAt = (curve, ms, now) =>
  curve.holes.find((hole) => hole.kind !== "change" && ms >= hole.from_ms && ms <= (hole.to_ms ?? now));

// Number of the point that held at a moment: its bucket, or the one before; never one that came later. -1: none.
export function placeAt(curve, ms) {
  const { at_ms: at, width_ms: width } = curve;
  let low = 0;
  let high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] - width / 2 <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// {value, low, high, at, why}: what was known at a moment; `why` says in words why nothing was.
export function heldAt(line, curve, ms, now) {
  if (ms > now) return { value: null, why: "" };
  const hole = holeAt(curve, ms, now);
  if (hole) return { value: null, why: hole.kind };
  const place = placeAt(curve, ms);
  if (place < 0) return { value: null, why: "" };
  const { at_ms: at, mean, low, high, bad, width_ms: width } = curve;
  if (mean[place] === null) return { value: null, why: bad[place] ? "bad" : "" };
  const age = ms - at[place] - width / 2;
  if (!line.holds && age > Math.max(line.after * 1000, 2 * width)) return { value: null, why: "" };
  return { value: mean[place], low: low[place], high: high[place], at: at[place], why: "" };
}

// The same curve, later by so many milliseconds.
export function moved(curve, ms) {
  const shift = (time) => (time === null ? null : time + ms);
  const spans = (list) => list?.map((one) => ({ ...one, from_ms: one.from_ms + ms, to_ms: shift(one.to_ms) }));
  return { ...curve, at_ms: curve.at_ms.map(shift), holes: spans(curve.holes), bands: spans(curve.bands), healed: spans(curve.healed) };
}
