// Appending live samples to a curve that the server made: into its last bucket, or into a new one.

import { span } from "./format.js";

// Returns false where the sample does not belong at the end (it is older), so that the curve should be fetched anew.
export function append(curve, { time, value, grade, words }, afterMs) {
  const { at_ms: at, low, high, mean, count, bad: bads, width_ms: width } = curve;
  const { first, last: lasts, first_ms: firstMs, last_ms: lastMs } = curve;
  const last = at.length - 1;
  const bad = grade === "bad";
  const number = typeof value === "boolean" ? Number(value) : value;
  const usable = !bad && typeof number === "number" && Number.isFinite(number);
  const good = usable || (!bad && typeof value === "string"); // a text has no point, and is no bad sample
  if (last < 0 || time >= at[last] - width / 2) band(curve, time, good ? grade : "bad", words || (bad ? "bad" : "no usable value"));
  if (last >= 0 && time <= at[last] + width / 2) {
    if (time < at[last] - width / 2) return false;
    if (usable) {
      const held = mean[last] === null ? 0 : count[last];
      mean[last] = held ? mean[last] * (held / (held + 1)) + number / (held + 1) : number; // no sum: it may not fit
      low[last] = held ? Math.min(low[last], number) : number;
      high[last] = held ? Math.max(high[last], number) : number;
      if (!held) [first[last], firstMs[last]] = [number, time];
      [lasts[last], lastMs[last]] = [number, time];
    }
    if (good) count[last] += 1;
    else bads[last] += 1;
    return true;
  }
  if (curve.holds && !usable && !good && last >= 0 && mean[last] !== null) hold(curve, time); // up to where it turned bad
  const silent = last >= 0 && time - at[last] > Math.max(afterMs, 2 * width);
  const point = usable ? number : null;
  at.push(time);
  low.push(point);
  high.push(point);
  mean.push(point);
  first.push(point);
  lasts.push(point);
  firstMs.push(usable ? time : null);
  lastMs.push(usable ? time : null);
  count.push(good ? 1 : 0);
  bads.push(good ? 0 : 1);
  return !silent;
}

// A point that stands for no sample: the last value, that held until now.
function hold(curve, time) {
  const last = curve.at_ms.length - 1;
  const value = curve.last[last] ?? curve.mean[last];
  curve.at_ms.push(time);
  for (const name of ["low", "high", "mean", "first", "last"]) curve[name].push(value);
  for (const name of ["first_ms", "last_ms"]) curve[name].push(curve.last_ms[last]);
  curve.count.push(0);
  curve.bad.push(0);
}

// A quality stands until the next sample: it ends the band that lasts, or goes on with it, or begins one.
function band(curve, time, grade, words) {
  const open = curve.bands.at(-1);
  if (open && open.to_ms === null) {
    if (open.grade === grade || time < open.from_ms) return;
    open.to_ms = time;
    open.text = told(open, time);
  }
  if (grade === "good") return;
  curve.bands.push({ grade, from_ms: time, to_ms: null, reason: words === "good" ? grade : words, text: "" });
}

// What a band says: that of one that lasts grows with time.
export function told(band, now) {
  if (band.to_ms !== null && band.text) return band.text;
  const { grade, from_ms: from, to_ms: to, reason } = band;
  const length = span(Math.max(now - from, 0) / 1000);
  return `${grade[0].toUpperCase()}${grade.slice(1)} for ${length}${to === null ? " so far" : ""}${reason === grade ? "" : `: ${reason}`}`;
}
