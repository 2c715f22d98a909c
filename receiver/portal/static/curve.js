// Appending live samples to a curve that the server made: into its last bucket, or into a new one.

// Returns false where the sample does not belong at the end (it is older), so that the curve should be fetched anew.
export function append(curve, { time, value, bad }, afterMs) {
  const { at_ms: at, low, high, mean, count, bad: bads, width_ms: width } = curve;
  const last = at.length - 1;
  const number = typeof value === "boolean" ? Number(value) : value;
  const usable = !bad && typeof number === "number" && Number.isFinite(number);
  const good = usable || (!bad && typeof value === "string"); // a text has no point, and is no bad sample
  if (last >= 0 && time <= at[last] + width / 2) {
    if (time < at[last] - width / 2) return false;
    if (usable) {
      const held = mean[last] === null ? 0 : count[last];
      mean[last] = held ? mean[last] * (held / (held + 1)) + number / (held + 1) : number; // no sum: it may not fit
      low[last] = held ? Math.min(low[last], number) : number;
      high[last] = held ? Math.max(high[last], number) : number;
    }
    if (good) count[last] += 1;
    else bads[last] += 1;
    return true;
  }
  const silent = last >= 0 && time - at[last] > Math.max(afterMs, 2 * width);
  const point = usable ? number : null;
  at.push(time);
  low.push(point);
  high.push(point);
  mean.push(point);
  count.push(good ? 1 : 0);
  bads.push(good ? 0 : 1);
  return !silent;
}
