// Small curves in the rows of a table: each element with `data-spark` (the tag's name, encoded) of a body with
// `data-asset` gets one when it comes into view; what is in view is asked for together, and anew once a minute.

import { all } from "../dom.js";

const SPAN_S = 3600;
const AGAIN_MS = 60000;
const MOST = 100; // of one question
const WIDE = 104;
const TALL = 20;
const SVG = "http://www.w3.org/2000/svg";

const seen = new Map(); // element -> when it was drawn [ms], 0: not yet
let timer = 0;

const watch = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) seen.set(entry.target, 0);
    else seen.delete(entry.target);
  }
  clearTimeout(timer);
  timer = setTimeout(ask, 150);
}, { rootMargin: "120px" });

// Look after every such element below `root`, until `unwatch`.
export function watchMore(root) {
  for (const node of all("[data-spark]", root)) watch.observe(node);
}

export function unwatch(root) {
  for (const node of all("[data-spark]", root)) {
    watch.unobserve(node);
    seen.delete(node);
  }
}

async function ask() {
  const due = [...seen].filter(([, drawn]) => performance.now() - drawn > AGAIN_MS || !drawn).map(([node]) => node).slice(0, MOST);
  if (!due.length || document.hidden) return;
  for (const node of due) seen.set(node, performance.now());
  const query = new URLSearchParams({ asset: decodeURIComponent(document.body.dataset.asset), span_s: SPAN_S });
  for (const node of due) query.append("name", decodeURIComponent(node.dataset.spark));
  const answer = await fetch(`/api/sparks?${query}`).catch(() => null);
  if (!answer?.ok) return;
  const told = await answer.json();
  const curves = new Map(told.sparks.map((spark) => [spark.tag, spark]));
  for (const node of due) {
    const spark = curves.get(decodeURIComponent(node.dataset.spark));
    if (spark) node.replaceChildren(picture(spark, told.from_ms, told.to_ms));
  }
}
setInterval(ask, AGAIN_MS / 4);

function svg(kind, given) {
  const node = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(given)) node.setAttribute(name, value);
  return node;
}

// From least to highest of each bucket, broken where the curve is; a value that holds is drawn in steps; bad samples stand along the bottom.
export function picture(spark, from, to) {
  const { at_ms: at, low, high, bad, gaps, stepped, width_ms: width } = spark;
  const known = low.flatMap((value, place) => (value === null ? [] : [value / 2, high[place] / 2])); // halves: no width overflows
  const least = known.reduce((one, other) => Math.min(one, other), Infinity);
  const most = known.reduce((one, other) => Math.max(one, other), -Infinity);
  const x = (ms) => (((ms - from) / (to - from)) * WIDE).toFixed(1);
  const y = (value) => (TALL - 3 - (most > least ? (value / 2 - least) / (most - least) : 0.5) * (TALL - 6)).toFixed(1);
  const frame = svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, width: WIDE, height: TALL, class: "spark", "aria-hidden": "true" });
  for (const [begin, end] of gaps) {
    const left = Math.max(0, x(begin));
    frame.append(svg("rect", { class: "spark-gap", x: left, y: 0, width: Math.max(1, Math.min(WIDE, x(end ?? to)) - left), height: TALL }));
  }
  let path = "";
  let pen = false;
  low.forEach((value, place) => {
    if (value === null) pen = false;
    if (value === null) return;
    path += `${!pen ? "M" : stepped ? `H${x(at[place])}L` : "L"}${x(at[place])} ${y(value)}L${x(at[place])} ${y(high[place])}`;
    pen = true;
  });
  if (path) frame.append(svg("path", { class: "spark-line", d: path }));
  bad.forEach((count, place) => {
    if (count) frame.append(svg("rect", { class: "spark-bad", x: x(at[place] - width / 2), y: TALL - 3, width: Math.max(1.5, (width / (to - from)) * WIDE), height: 3 }));
  });
  return frame;
}
