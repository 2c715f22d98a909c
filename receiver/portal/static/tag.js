// One tag: its value now, its chart over a range that follows or stands still, and the numbers beside it.

import { Chart } from "./chart.js";
import { all, make, mark, one, say, show } from "./dom.js";
import { NOTHING, count, instant, moment, numeric, span, written } from "./format.js";
import { Line, grade, gradeIn } from "./line.js";
import { beside } from "./charttable.js";
import { append, told as bandTold } from "./curve.js";
import { heldAt, summed, within } from "./held.js";
import * as stream from "./stream.js";
import { localTimes, tick, told } from "./strip.js";

const SAMPLES = 20;
const NOTES = 100; // rows of the list of gaps
const LEAST_MS = 1000;
const MOST_MS = 400 * 86400e3;

const line = new Line(one("#now"));
const frame = one("#chart");
const unit = one("#now").dataset.unit;
const series = document.body.dataset.series;
// Either `live` with a length, or a fixed stretch of time [ms].
const view = { live: frame.dataset.span !== "", from: Number(frame.dataset.from), to: Number(frame.dataset.to) };
let curve = null;
let asked = 0;
let fetched = -Infinity;
let drawn = 0;
let toldAt = 0; // when the numbers of a range that moves were last written
let gapsSeen = "";
let last = null;

// A tag that is sent on change holds its value until the next sample: it is drawn in steps, and on to this moment.
const holds = "holds" in one("#now").dataset;
const chart = new Chart(frame, {
  tag: line.tag, normal: line.normal, now: stream.now,
  holds,
  until: () => (holds && view.live && !("stale" in line.node.dataset) ? stream.now() : null),
  picked: (from, to) => go(from, to, false),
  pointed: readout,
});
const tabled = beside(one("#chart-table"), () => ({ curve, from: view.from, to: view.to, now: stream.now(), written: exact }));
const length = () => view.to - view.from;

// Ask for the range and draw it; an answer that was overtaken by a later question is thrown away.
async function load() {
  const mine = (asked += 1);
  fetched = performance.now();
  const buckets = Math.min(1000, Math.max(100, Math.floor(frame.clientWidth)));
  const { from, to } = view;
  const query = new URLSearchParams({ series, from: from.toFixed(3), to: to.toFixed(3), buckets });
  const answer = await fetch(`/api/trend?${query}`).catch(() => null);
  if (mine !== asked || !answer) return;
  const trouble = one("#chart-trouble");
  show(trouble, !answer.ok);
  if (!answer.ok) return say(one("span", trouble), await answer.text());
  curve = Object.assign(await answer.json(), { holds });
  if (mine !== asked) return;
  if (view.live && last !== null && last.time > to) take(last); // it came while the answer was on its way
  chart.show(curve, view.from, view.to);
  mark(frame, "drawn", true);
  summary(curve.summary);
  const ended = curve.summary.last;
  if (!view.live || last === null || (ended !== null && ended.time_ms >= last.time)) ending(ended);
  notes();
  tabled(0);
}

function go(from, to, live) {
  const middle = (from + to) / 2;
  const size = Math.min(Math.max(to - from, LEAST_MS), MOST_MS);
  Object.assign(view, { live, from: middle - size / 2, to: middle + size / 2 });
  if (live) Object.assign(view, { from: stream.now() - size, to: stream.now() });
  address();
  buttons();
  load();
}

// The address bar names what is shown, so that it can be sent to a colleague.
function address() {
  const query = view.live
    ? `&range=${Math.max(1, Math.round(length() / 1000))}`
    : `&from=${Math.round(view.from)}&to=${Math.round(view.to)}`;
  history.replaceState(null, "", one("#now").dataset.page + query);
}

function buttons() {
  for (const link of all("[data-range]")) {
    const on = view.live && Math.abs(Number(link.dataset.range) * 1000 - length()) < 1;
    if (on) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  one('[data-do="live"]').setAttribute("aria-pressed", String(view.live));
  times();
}

// From and to follow what is shown, unless somebody is typing there.
function times() {
  if (one("#custom").contains(document.activeElement)) return;
  const [from, to] = all("#custom input");
  from.value = moment(view.from).replace(" ", "T");
  to.value = moment(view.to).replace(" ", "T");
}

const doings = {
  earlier: () => go(view.from - length() / 2, view.to - length() / 2, false),
  later: () => {
    const to = view.to + length() / 2;
    if (to >= stream.now()) go(stream.now() - length(), stream.now(), true);
    else go(view.from + length() / 2, to, false);
  },
  in: () => zoom(0.5),
  out: () => zoom(2),
  fit: () => one('[data-do="fit"]').setAttribute("aria-pressed", String(chart.toggleFit())),
  live: () => go(view.from, view.to, !view.live),
};

function zoom(factor) {
  if (view.live) return go(view.to - length() * factor, view.to, true);
  const middle = (view.from + view.to) / 2;
  return go(middle - (length() * factor) / 2, middle + (length() * factor) / 2, false);
}

const keys = { ArrowLeft: "earlier", ArrowRight: "later", "+": "in", "=": "in", "-": "out", l: "live", f: "fit" };
frame.addEventListener("keydown", (event) => {
  if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  doings[keys[event.key]]();
});
for (const button of all("[data-do]")) button.addEventListener("click", () => doings[button.dataset.do]());
for (const link of all("[data-range]")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(stream.now() - Number(link.dataset.range) * 1000, stream.now(), true);
  });
}
one("#custom").addEventListener("submit", (event) => {
  event.preventDefault();
  const [from, to] = all("#custom input").map((input) => instant(input.value));
  const fault = from < to ? "" : "The end must be later than the start.";
  one("#custom [name=to]").setCustomValidity(fault);
  if (fault) one("#custom").reportValidity();
  else go(from, to, false);
});
one("#custom").addEventListener("input", () => one("#custom [name=to]").setCustomValidity(""));

// What stood at the moment under the cursor, in words: the value, when it was measured, and how old it was then.
function readout(ms) {
  const node = one("#readout");
  if (ms === null || !curve) return say(node, "\u00a0");
  const now = stream.now();
  const hole = within(curve.holes.filter((one) => one.kind !== "change"), ms, now);
  if (hole) return say(node, `${moment(ms)}   ${hole.text}`);
  if (ms > now) return say(node, `${moment(ms)}   not yet`);
  const parts = [moment(ms, "tenths")];
  const band = within(curve.bands, ms, now);
  if (band?.grade !== "bad") parts.push(...stood(heldAt(curve, ms), ms));
  if (band) parts.push(bandTold(band, now));
  if (within(curve.healed, ms, now)) parts.push("healed: came later");
  return say(node, parts.join("   "));
}

function stood(held, ms) {
  if (held === null) return [line.tag.type === "string" ? "" : "no value"];
  const unitOf = (text) => `${text} ${unit}`.trim();
  if (held.time === null) {
    const edges = held.low === held.high ? [] : [`${exact(held.low)} to ${exact(held.high)}`];
    return [unitOf(`mean ${exact(held.mean)}`), ...edges, ...(held.count ? [`${count(held.count)} samples`] : [])];
  }
  return [unitOf(exact(held.value)), `measured ${moment(held.time, "tenths")}, ${span(Math.max(ms - held.time, 0) / 1000)} before`];
}

function exact(value) {
  return written(line.tag, line.tag.type === "bool" && Number.isInteger(value) ? Boolean(value) : value);
}

// The numbers of the range that is shown.
function summary(held) {
  for (const name of ["low", "high", "mean"].filter((name) => one(`[data-sum="${name}"]`))) {
    say(one(`[data-sum="${name}"]`), held[name] === null ? NOTHING : `${exact(held[name])} ${unit}`.trim());
  }
  for (const name of ["count", "bad"]) say(one(`[data-sum="${name}"]`), count(held[name]));
  mark(one('[data-sum="bad"]'), "mark", held.bad ? "bad" : "");
}

// The value that stood at the end of the range, and since when.
function ending(held) {
  say(one('[data-sum="last"]'), held === null ? NOTHING : `${written(line.tag, held.value)} ${unit}`.trim());
  const quality = held !== null && grade(held.quality) !== "good" ? `, ${grade(held.quality)}: ${held.quality_text}` : "";
  say(one("[data-sum-at]"), held === null ? "" : moment(held.time_ms, "tenths") + quality);
}

// What of the range is missing, not to be relied on, or came later.
function notes() {
  const now = stream.now();
  const found = [
    ...curve.holes,
    ...curve.bands.map((one) => ({ kind: one.grade, from_ms: one.from_ms, text: bandTold(one, now) })),
    ...curve.healed.map((one) => ({ kind: "healed", from_ms: one.from_ms, text: `Healed: ${span((one.to_ms - one.from_ms) / 1000)} of samples came later` })),
  ].sort((one, other) => one.from_ms - other.from_ms);
  const rows = found.slice(0, NOTES).map((one) => make("li", { data: { kind: one.kind } }, `${moment(one.from_ms)}: ${one.text}`));
  if (found.length > NOTES) rows.push(make("li", { class: "none" }, `and ${count(found.length - NOTES)} more`));
  one("[data-holes]").replaceChildren(...(rows.length ? rows : [make("li", { class: "none" }, "None in this range.")]));
  show(one("#unmarked"), curve.marked_ms > curve.from_ms);
  say(one("#unmarked time"), moment(curve.marked_ms));
}

function values(rows) {
  for (const row of rows) {
    const [, time, value, code, words] = row;
    // Told once more, or only renewed: no new sample.
    const known = last === null ? holds : time === last.time;
    const again = known || (holds && value === last.value && code === last.code);
    last = { time, value, code, words };
    line.take(row);
    if (view.live) ending({ value, time_ms: time, quality: code, quality_text: words });
    if (again) continue;
    if (curve && view.live && !take(last)) fetched = -Infinity;
    sample(time, value, code, words);
  }
}

// Put a sample at the end of the curve; false where the curve should be fetched anew.
const take = ({ time, value, code, words }) =>
  append(curve, { time, value: typeof value === "boolean" ? value : numeric(line.tag, value) ?? value, grade: grade(code), words }, line.after * 1000);

// The newest samples; a value that was only renewed is no new sample.
function sample(time, value, code, words) {
  const body = one("[data-samples]");
  const stamp = moment(time, "tenths");
  if (!view.live || body.firstElementChild?.dataset.at === String(time) || one(".when", body)?.textContent === stamp) return;
  one(".none", body)?.remove();
  const quality = make("span", { class: "grade" }, make("span", { class: "grade-text" }));
  gradeIn(quality, code, words);
  body.prepend(make("tr", { data: { at: time } },
    make("td", { class: "when" }, stamp),
    make("td", { class: "num value", data: { grade: grade(code) } }, make("span", { class: "v" }, written(line.tag, value))),
    make("td", { class: "quality" }, quality)));
  while (body.children.length > SAMPLES) body.lastElementChild.remove();
}

function link(link) {
  told(link);
  line.down = link.down.includes(decodeURIComponent(one("#now").dataset.asset));
  const gaps = JSON.stringify(link.gaps.map((gap) => [gap.stream, gap.first, gap.last]));
  if (gaps !== gapsSeen) {
    if (gapsSeen) fetched = Math.min(fetched, performance.now() - 8000); // healed or torn: ask again soon
    gapsSeen = gaps;
  }
}

// A chart that follows moves each time its picture would change by a pixel, and is fetched anew now and then.
function follow() {
  line.tick();
  if (!view.live || !curve || document.hidden) return;
  const pixel = length() / Math.max(frame.clientWidth, 1);
  if (stream.now() - drawn < Math.max(pixel, 200)) return;
  drawn = stream.now();
  Object.assign(view, { from: drawn - length(), to: drawn });
  const renewMs = Math.min(Math.max(length() / 100, 10000), 60000);
  if (performance.now() - fetched > renewMs) load();
  else chart.slide(view.from, view.to);
  times();
  if (drawn - toldAt < 1000) return;
  toldAt = drawn;
  summary(summed(curve, view.from, view.to));
  notes();
  tabled(10000); // a table that moves each second can be read by nobody
}

show(one(".zoom"), true);
localTimes();
buttons();
load();
stream.listen({ link, values });
setInterval(tick, 500);
setInterval(follow, 200);
