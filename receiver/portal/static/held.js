// The value that stood at a moment: of the last sample at or before it, never of the next one.

// Number of the last point that begins at or before `ms`, or -1. A point begins with its first sample; one that stands
// for no sample (it breaks the line, or holds a value on) begins where it is drawn.
export function pointAt(curve, ms) {
  const { at_ms: at, first_ms: first, count } = curve;
  const begin = (i) => (count[i] > 0 && first[i] !== null ? first[i] : at[i]);
  let low = 0;
  let high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (begin(middle) <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// What stood at `ms`: {value, time} of one sample; {low, high, mean, count, time: null} where the moment lies among
// samples that are drawn as one point; or null where no value is known to have stood.
export function heldAt(curve, ms) {
  const { mean, low, high, count, first, last, first_ms: firstMs, last_ms: lastMs } = curve;
  let i = pointAt(curve, ms);
  while (i >= 0 && mean[i] === null && curve.bad[i] > 0) i -= 1; // a bad sample ends no value: its band tells of it
  if (i < 0 || mean[i] === null) return null;
  if (last[i] !== null && (ms >= lastMs[i] || count[i] <= 1)) return { value: last[i], time: lastMs[i] };
  if (first[i] !== null && count[i] === 2) return { value: first[i], time: firstMs[i] };
  return { value: null, time: null, mean: mean[i], low: low[i], high: high[i], count: count[i] };
}

// The first interval that holds a moment: of holes, bands, or healed times.
export const within = (intervals, ms, now) => intervals.find((one) => ms >= one.from_ms && ms <= (one.to_ms ?? now));

// The numbers of what of the curve lies in [from, to): as the server sums up a range.
export function summed(curve, from, to) {
  const { at_ms: at, mean, low, high, count, bad } = curve;
  const out = { low: null, high: null, mean: null, count: 0, bad: 0 };
  let valued = 0;
  for (let i = 0; i < at.length; i += 1) {
    if (at[i] < from || at[i] >= to) continue;
    out.count += count[i];
    out.bad += bad[i];
    if (!count[i] || low[i] === null) continue;
    out.low = out.low === null ? low[i] : Math.min(out.low, low[i]);
    out.high = out.high === null ? high[i] : Math.max(out.high, high[i]);
    valued += count[i];
    out.mean = out.mean === null ? mean[i] : out.mean + (mean[i] - out.mean) * (count[i] / valued);
  }
  return out;
}
