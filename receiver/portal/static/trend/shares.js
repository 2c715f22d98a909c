// For how long each tag had which value: a distribution by time, and the same in numbers.

import { make } from "../dom.js";
import { NOTHING, share, span } from "../format.js";

const SVG = "http://www.w3.org/2000/svg";
const TALL = 90;
const WIDE = 480;

function svg(kind, given) {
  const node = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(given)) node.setAttribute(name, value);
  return node;
}

function picture(line, told) {
  const most = told.share.reduce((high, one) => Math.max(high, one), 0) || 1;
  const frame = svg("svg", { viewBox: `0 0 ${WIDE} ${TALL + 2}`, class: "bars", role: "img", preserveAspectRatio: "none" });
  frame.setAttribute("aria-label", `Distribution of ${line.label}: the table has its numbers`);
  const wide = WIDE / told.share.length;
  const [first, last] = [told.edges[0], told.edges.at(-1)];
  const place = (value) => ((value / 2 - first / 2) / (last / 2 - first / 2)) * WIDE;
  const [low, high] = line.normal;
  if (last > first && (low !== null || high !== null)) {
    const from = Math.min(Math.max(low === null ? 0 : place(low), 0), WIDE);
    const to = Math.min(Math.max(high === null ? WIDE : place(high), 0), WIDE);
    frame.append(svg("rect", { class: "bars-normal", x: from, y: 0, width: Math.max(to - from, 0), height: TALL }));
  }
  told.share.forEach((part, at) => {
    const tall = (part / most) * TALL;
    if (part > 0) frame.append(svg("rect", { class: "bars-bar", x: at * wide, y: TALL - tall, width: Math.max(wide - 1, 0.5), height: Math.max(tall, 0.7) }));
  });
  return frame;
}

// Of a state no curve: each with its share.
function states(line, told) {
  const known = [["Known for", `${span(told.known_s)} of ${span(told.range_s)}`]];
  return known.concat(told.states.map(([state, part]) => [line.exact(state), share(part)]));
}

function row(line, told) {
  const value = (one) => (one === null || one === undefined ? NOTHING : `${line.exact(one)} ${line.unit}`.trim());
  const rows = line.plain ? states(line, told) : [
    ["Known for", `${span(told.known_s)} of ${span(told.range_s)}`],
    ["Mean over time", value(told.mean)],
    ...(told.quantiles ?? []).map(([part, held]) => [part === 0.5 ? "Half of the time below" : `${share(part)} of the time below`, value(held)]),
    ...(told.below === null ? [] : [["Below normal", share(told.below)]]),
    ...(told.above === null ? [] : [["Above normal", share(told.above)]]),
  ];
  const table = make("table", { class: "facts" }, make("caption", {}, `${line.letter}: ${line.label}`));
  const body = make("tbody");
  for (const [name, text] of rows) body.append(make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, text)));
  table.append(body);
  const parts = [];
  if (line.plain) {
    parts.push(...(told.states.length ? [] : [make("p", { class: "none" }, "Nothing is known of it in this range.")]));
  } else if (told.share.length) {
    const ends = make("p", { class: "bar-ends" }, make("span", {}, value(told.edges[0])), make("span", {}, value(told.edges.at(-1))));
    parts.push(make("div", { class: "bar-frame", data: { trace: line.at % 8 } }, picture(line, told), ends));
  } else parts.push(make("p", { class: "none" }, line.words ? "A text has no distribution." : "Nothing is known of it in this range."));
  if (!told.exact) parts.push(make("p", { class: "note" }, "Counted from the means of short times: there are too many samples."));
  return make("section", { class: "share", "aria-label": `${line.letter}: ${line.label}` }, ...parts, table);
}

// Fill `node` with `/api/shares`' answer, in the order of the lines that were asked for.
export function shares(node, lines, answer) {
  node.replaceChildren(...lines.map((line, at) => row(line, answer[at])));
}
