// The trend page: what is asked for stands in the address, what is shown comes from one question for all tags.

import { all, make, mark, one, say, show } from "../dom.js";
import { instant, moment as clock } from "../format.js";
import * as stream from "../stream.js";
import { localTimes, tick, told } from "../strip.js";
import { adding } from "./adding.js";
import { query, read, write } from "./address.js";
import { events, notes } from "./beside.js";
import { compare, compared } from "./compare.js";
import { atCursor, ofRange } from "./cursor.js";
import { moved } from "./curves.js";
import { lanes } from "./lanes.js";
import { lines as linesOf } from "./lines.js";
import { Plot } from "./plot.js";
import { shares } from "./shares.js";
import { pairText, xy } from "./xy.js";

const LEAST_MS = 1000;
const MOST_MS = 400 * 86400e3;
const CELLS_MS = 20 * 86400e3; // from here on the history answers from its sums, where buckets are wider than an hour

const frame = one("#plot");
const lines = linesOf();
const asked = read();
const from = Number(frame.dataset.from);
const to = Number(frame.dataset.to);
const view = {
  ...asked, from, to, names: lines.map((line) => line.name),
  live: frame.dataset.span !== "" && asked.against === null,
  offset: asked.against === null ? null : from - asked.against,
};
const held = { lines: [], curves: new Map(), other: new Map(), events: [], notes: [], from, to, own: view.own, first: "" };
let question = 0;
let fetched = -Infinity;
let pointed = null;

const plot = new Plot(frame, { now: stream.now, picked: (a, b) => go(a, b, false), pointed: point, noted });
const length = () => view.to - view.from;

function buckets() {
  const wanted = Math.min(1000, Math.max(100, Math.floor(frame.clientWidth)));
  return length() < CELLS_MS ? wanted : Math.min(wanted, Math.floor(length() / 3601e3));
}

// `marked`: with the times of bad, uncertain and healed data, which of a month take longer than the curves themselves.
async function ask(path, begin, marked = true) {
  const told = new URLSearchParams(lines.map((line) => ["tag", line.name]));
  told.set("from", begin.toFixed(3));
  told.set("to", (begin + length()).toFixed(3));
  if (path === "trends") told.set("buckets", buckets());
  if (path === "trends" && !marked) told.set("marks", 0);
  const answer = await fetch(`/api/${path}?${told}`).catch(() => null);
  if (!answer) return null;
  const trouble = one("#chart-trouble");
  show(trouble, !answer.ok);
  if (!answer.ok) say(one("span", trouble), answer.status === 404 ? "a tag is not there any more, or not among those you may see. Open the page again." : await answer.text());
  return answer.ok ? answer.json() : null;
}

// Ask for the range and draw it; an answer that was overtaken by a later question is thrown away.
async function load() {
  if (!lines.length) return;
  const mine = (question += 1);
  fetched = performance.now();
  mark(frame, "drawn", false);
  const { from: begin, offset } = view;
  const quick = length() < CELLS_MS;
  const wanted = [ask("trends", begin, quick), offset === null ? null : ask("trends", begin - offset), view.show === "shares" ? ask("shares", begin) : null];
  const [answer, other, told] = await Promise.all(wanted);
  if (mine !== question || !answer || (offset !== null && !other)) return;
  const byLetter = (curves) => new Map(lines.map((line, at) => [line.letter, curves[at]]));
  Object.assign(held, { marked: answer.marked, curves: byLetter(answer.curves), events: answer.events, notes: answer.notes, from: view.from, to: view.to });
  held.other = other ? byLetter(other.curves.map((curve) => moved(curve, offset))) : new Map();
  if (answer.trouble) say(one("#readout"), answer.trouble);
  draw(told);
  ofRange(lines, held);
  events(answer.events, answer.events_more);
  notes(answer.notes, query(view));
  atCursor(lines, held, pointed, stream.now());
  if (!quick) requestAnimationFrame(() => setTimeout(later, 0, mine, byLetter));
}

// The lanes of a long time are filled in once the chart stands.
async function later(mine, byLetter) {
  const answer = await ask("trends", view.from);
  if (!answer || mine !== question) return;
  Object.assign(held, { marked: true, curves: byLetter(answer.curves) });
  if (view.show === "time") lay();
  mark(frame, "marked", true);
  atCursor(lines, held, pointed, stream.now());
}

function draw(told = null) {
  const over = view.show === "time";
  held.lines = lines.filter((line) => !view.hidden.has(line.letter));
  held.own = view.own;
  show(one("#pair"), view.show === "xy");
  show(one("#shares"), view.show === "shares");
  show(frame, view.show !== "shares");
  if (over) {
    plot.draw(held);
    lay();
  } else {
    show(one("#lanes"), false);
    if (view.show === "xy") pair();
    else if (told) shares(one("#shares"), lines, told.shares);
  }
  mark(frame, "drawn", true);
  mark(frame, "marked", held.marked);
  requestAnimationFrame(() => performance.mark("trend-drawn"));
}

const lay = () => lanes(one("#lanes"), held, plot.box, frame.clientWidth, stream.now());

// Two tags against each other; the first two where the address names none.
function pair() {
  plot.plot?.destroy();
  plot.plot = null;
  const chosen = (letter, at) => lines.find((line) => line.letter === letter) ?? lines[at] ?? lines[0];
  const [across, up] = [chosen(view.x, 0), chosen(view.y, 1)];
  one("#pair [name=x]").value = across.letter;
  one("#pair [name=y]").value = up.letter;
  say(one("#readout"), pairText(xy(frame, across, up, held, stream.now())));
}

function go(begin, end, live) {
  const middle = (begin + end) / 2;
  const size = Math.min(Math.max(end - begin, LEAST_MS), MOST_MS);
  Object.assign(view, { live, from: middle - size / 2, to: middle + size / 2 });
  if (live) Object.assign(view, { offset: null, from: stream.now() - size, to: stream.now() });
  settle();
  load();
}

// The controls and the address say what is shown.
function settle() {
  write(view);
  for (const link of all("[data-range]")) current(link, view.live && Math.abs(Number(link.dataset.range) * 1000 - length()) < 1);
  for (const link of all("[data-show]")) current(link, link.dataset.show === view.show);
  one('[data-do="live"]').setAttribute("aria-pressed", String(view.live));
  one('[data-do="own"]').setAttribute("aria-pressed", String(view.own));
  const [begin, end] = all("#custom input[type=datetime-local]");
  begin.value = clock(view.from).replace(" ", "T");
  end.value = clock(view.to).replace(" ", "T");
  compared(view);
}

function current(link, on) {
  if (on) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

const doings = {
  earlier: () => go(view.from - length() / 2, view.to - length() / 2, false),
  later: () => {
    const end = view.to + length() / 2;
    const live = end >= stream.now() && view.offset === null;
    go(view.from + length() / 2, end, live);
  },
  in: () => zoom(0.5),
  out: () => zoom(2),
  own: () => {
    view.own = !view.own;
    settle();
    draw();
  },
  live: () => go(view.from, view.to, !view.live),
};

function zoom(factor, at = (view.from + view.to) / 2) {
  if (view.live) return go(view.to - length() * factor, view.to, true);
  return go(at - (at - view.from) * factor, at + (view.to - at) * factor, false);
}

function point(ms) {
  pointed = ms;
  atCursor(lines, held, ms, stream.now());
  const near = ms === null ? null : held.events.find((event) => Math.abs(event.time_ms - ms) < length() / 150);
  say(one("#readout"), near ? `${clock(near.time_ms, "tenths")}   ${near.state} ${near.severity}   ${near.asset} / ${near.source}   ${near.text || near.code}` : "\u00a0");
}

// A double click writes its moment into the form of a note.
function noted(ms) {
  const field = one("[data-note-at]");
  if (!field) return;
  field.value = new Date(Math.round(ms)).toISOString();
  field.focus();
}

const keys = { ArrowLeft: "earlier", ArrowRight: "later", "+": "in", "=": "in", "-": "out", l: "live", a: "own" };
frame.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.shiftKey && event.key.startsWith("Arrow") && view.show === "time") {
    const step = (length() / 200) * ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0);
    plot.point(Math.min(Math.max((pointed ?? (view.from + view.to) / 2) + step, view.from), view.to));
  } else if (event.key in keys) doings[keys[event.key]]();
  else return;
  event.preventDefault();
});
frame.addEventListener("wheel", (event) => {
  if (!event.ctrlKey || pointed === null) return;
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.25 : 0.8, pointed);
}, { passive: false });

for (const button of all("[data-do]")) button.addEventListener("click", () => doings[button.dataset.do]());
for (const link of all("[data-range], [data-show]")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.show) {
      view.show = link.dataset.show;
      plot.plot?.destroy();
      plot.plot = null;
      frame.replaceChildren();
      settle();
      load();
    } else go(stream.now() - Number(link.dataset.range) * 1000, stream.now(), true);
  });
}
one("#custom").addEventListener("submit", (event) => {
  event.preventDefault();
  const [begin, end] = all("#custom input[type=datetime-local]").map((input) => instant(input.value));
  const last = one("#custom [name=to]");
  last.setCustomValidity(begin < end ? "" : "The end must be later than the start.");
  if (begin < end) go(begin, end, false);
  else one("#custom").reportValidity();
});
one("#custom").addEventListener("input", () => one("#custom [name=to]").setCustomValidity(""));

for (const line of lines) {
  const box = one("input[type=checkbox]", line.row);
  box.disabled = false;
  box.checked = !view.hidden.has(line.letter);
  box.addEventListener("change", () => {
    if (box.checked) view.hidden.delete(line.letter);
    else view.hidden.add(line.letter);
    settle();
    draw();
  });
  // The line under the pointer, or with the focus in its row, stands out, and its axis comes first.
  const choose = (letter) => {
    if (held.first === letter || view.show !== "time" || !held.curves.size) return;
    held.first = letter;
    plot.draw(held);
  };
  line.row.addEventListener("pointerenter", () => choose(line.letter));
  line.row.addEventListener("focusin", () => choose(line.letter));
  line.row.addEventListener("pointerleave", () => choose(""));
}
for (const select of all("#pair select")) {
  select.replaceChildren(...lines.filter((line) => !line.words).map((line) => make("option", { value: line.letter }, `${line.letter}: ${line.label}`)));
  select.addEventListener("change", () => {
    view[select.name] = select.value;
    settle();
    pair();
  });
}
compare(view, (offset) => {
  Object.assign(view, { offset, live: false });
  settle();
  load();
});
// Another tag moves the letters, so what is named by letters is forgotten.
adding(view.names, (names) => location.assign(`${location.pathname}?${query({ ...view, names, x: "", y: "", hidden: new Set() })}`));

// A chart that follows is fetched anew when its picture would change by a pixel, at most each ten seconds.
function follow() {
  if (!view.live || document.hidden || !held.curves.size || view.show !== "time") return;
  if (performance.now() - fetched > Math.min(Math.max(length() / 100, 10000), 60000)) return go(view.from, view.to, true);
  const now = stream.now();
  if (now - view.to < Math.max(length() / Math.max(frame.clientWidth, 1), 1000)) return;
  Object.assign(view, { from: now - length(), to: now });
  plot.slide(view.from, view.to);
  lay();
}

let wide = frame.clientWidth;
new ResizeObserver(() => {
  if (!held.curves.size || frame.clientWidth === wide) return;
  wide = frame.clientWidth;
  if (view.show === "time") lay();
  else if (view.show === "xy") pair();
}).observe(frame);
show(one(".zoom"), true);
localTimes();
settle();
load();
stream.listen({ link: told });
setInterval(tick, 500);
setInterval(follow, 500);
