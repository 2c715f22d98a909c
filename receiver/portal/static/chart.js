// The trend by uPlot: least to highest as a band, the mean as a line, time along the bottom in the zone that was chosen.

import uPlot from "./uplot/uPlot.esm.js";
import { bands } from "./bands.js";
import { number, stepPlaces, written, zoneName } from "./format.js";
import { pointAt } from "./held.js";

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';

function colours() {
  const held = getComputedStyle(document.documentElement);
  const of = (name) => held.getPropertyValue(`--${name}`).trim();
  return {
    ink: of("ink"), quiet: of("ink-2"), grid: of("chart-grid"), ground: of("panel"), line: of("chart-line"),
    span: of("chart-span"), normal: of("chart-normal"), gap: of("chart-gap"), gapGround: of("chart-gap-ground"),
    silence: of("chart-silence"), silenceGround: of("chart-silence-ground"), bad: of("bad"),
    uncertain: of("chart-uncertain"), uncertainGround: of("chart-uncertain-ground"), healed: of("chart-healed"),
  };
}

// Width of the value axis [CSS pixels] for its longest text.
const room = (texts) => 14 + 6.6 * Math.max(3, ...texts.map((text) => text.length));

// What numbers are divided by before they are drawn: 1, or a power of ten where uPlot's ticks and the width of the scale
// itself would leave what a double can hold.
function factor(edges) {
  const most = Math.max(0, ...edges.map(Math.abs));
  return most === 0 || (most < 1e12 && most > 1e-9) ? 1 : 10 ** Math.max(Math.floor(Math.log10(most)), -300);
}

export class Chart {
  // `node` is filled; `tag` is {type, places, states}; `normal` is [low, high] with nulls; `now` gives the server's
  // time [ms]; `picked(from, to)` is called when a person drags over a range, `pointed(ms)` as the cursor moves: the
  // moment under it, or null.
  // `holds` draws in steps, and `until()` gives the moment up to which the last value stands, or null.
  constructor(node, { tag, normal, now, holds, until, picked, pointed }) {
    this.node = node;
    this.tag = tag;
    this.words = tag.type === "string"; // nothing to draw but what is missing
    node.classList.toggle("words", this.words);
    this.holds = holds;
    this.until = until;
    this.picked = picked;
    this.pointed = pointed;
    this.fit = false;
    this.range = [0, 1];
    this.normal = normal.map((edge) => (Number.isFinite(edge) ? edge : null));
    this.part = 1; // see `factor`
    this.held = { curve: { at_ms: [], bad: [], holes: [], bands: [], healed: [], width_ms: 1 }, normal: this.normal, now, font: FONT, colours: colours() };
    this.plot = null;
    new ResizeObserver(() => this.resize()).observe(node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  get size() {
    const width = Math.max(Math.floor(this.node.clientWidth), 200);
    return { width, height: this.words ? 130 : width < 560 ? 260 : 340 };
  }

  build() {
    this.plot?.destroy();
    const paint = (this.held.colours = colours());
    const stepped = this.holds || this.tag.type === "bool" || this.tag.states.length > 0;
    const paths = stepped ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear();
    const axis = { stroke: paint.quiet, font: `11px ${FONT}`, grid: { stroke: paint.grid, width: 1 }, ticks: { stroke: paint.grid, width: 1, size: 4 } };
    this.plot = new uPlot(
      {
        ...this.size,
        ms: 1,
        ...(zoneName ? { tzDate: (ms) => uPlot.tzDate(new Date(ms), zoneName) } : {}),
        legend: { show: false },
        padding: [10, 26, 0, 0],
        cursor: {
          drag: { x: true, y: false, setScale: false },
          points: { size: 6 },
          dataIdx: (u, series, nearest, ms) => (stepped ? Math.max(pointAt(this.held.curve, ms), 0) : nearest), // the step it is on
        },
        scales: { x: { time: true, range: () => this.range }, y: { range: (u, low, high) => this.scale(low, high) } },
        series: [
          {},
          { paths, stroke: "transparent", width: 0, points: { show: false } },
          { paths, stroke: "transparent", width: 0, points: { show: false } },
          { paths, stroke: paint.line, width: 1.6, points: { show: (u) => u.data[0].length < 80, filter: () => this.sampled(), size: 4, fill: paint.line } },
        ],
        bands: [{ series: [2, 1], fill: paint.span }],
        axes: [
          { ...axis, size: 40, space: 80, values: this.times() },
          { ...axis, show: !this.words, size: (u, texts) => room(texts ?? []), values: this.ticks(), splits: this.splits() },
        ],
        hooks: {
          setSelect: [(u) => this.select(u)],
          setCursor: [(u) => this.pointed(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null)],
        },
        plugins: [bands(this.held)],
      },
      this.data(),
      this.node,
    );
  }

  // 24 hours, and the date where the day changes.
  times() {
    const day = "{YYYY}-{MM}-{DD}";
    const s = 1000;
    return [
      [86400 * s, day, null, null, null, null, null, null, 1],
      [60 * s, "{HH}:{mm}", `\n${day}`, null, `\n${day}`, null, null, null, 1],
      [s, "{HH}:{mm}:{ss}", `\n${day}`, null, `\n${day}`, null, null, null, 1],
      [1, "{ss}.{fff}", `\n{HH}:{mm}`, null, null, null, null, null, 1],
    ];
  }

  splits() {
    const states = this.tag.type === "bool" ? 2 : this.tag.states.length;
    return states ? () => Array.from({ length: states }, (_, i) => i) : undefined;
  }

  // As many decimals as the step between two ticks has, or the names of the states.
  ticks() {
    if (this.tag.type === "bool") return (u, splits) => splits.map((value) => written(this.tag, Boolean(value)));
    if (this.tag.states.length) return (u, splits) => splits.map((value) => written(this.tag, value));
    return (u, splits, axis, space, step) => {
      if (this.part !== 1) return splits.map((value) => (Number.isFinite(value * this.part) ? number(value * this.part, null) : ""));
      const places = stepPlaces(step);
      return splits.map((value) => (step < 1e-6 || Math.abs(value) >= 1e16 ? number(value, null) : number(value, places)));
    };
  }

  // The normal band is always in sight, unless a person asked for the values alone.
  scale(low, high) {
    const states = this.tag.type === "bool" ? 2 : this.tag.states.length;
    if (states) return [-0.2, states - 0.8];
    const some = low !== null && high !== null;
    const edges = (this.fit && some ? [] : this.held.normal.filter((edge) => edge !== null)).concat(some ? [low, high] : []);
    if (!edges.length) return [0, 1];
    const [least, most] = [Math.min(...edges), Math.max(...edges)];
    // Never so narrow that two ticks would be one number.
    const finest = Math.max(Math.abs(least), Math.abs(most)) * 1e-11;
    const room = Math.max((most - least || Math.abs(most) * 0.02 || 1) * 0.08, finest);
    return [least - room, most + room];
  }

  data() {
    const { at_ms: at = [] } = this.held.curve;
    const { low, high, mean } = this.scaled();
    const until = this.until();
    const last = mean.at(-1);
    const torn = this.held.curve.holes.some((hole) => (hole.to_ms ?? Infinity) > at.at(-1));
    if (until === null || torn || last === null || last === undefined || until <= at.at(-1)) return [at, low, high, mean];
    return [[...at, until], [...low, last], [...high, last], [...mean, last]];
  }

  // The curve and the normal band, divided by what brings them into what can be drawn.
  scaled() {
    const { low = [], high = [], mean = [] } = this.held.curve;
    const plain = this.tag.type === "bool" || this.tag.states.length > 0;
    const edges = (this.fit ? [] : this.normal).concat(low, high).filter((edge) => edge !== null);
    this.part = plain ? 1 : factor(edges);
    const divided = (numbers) => (this.part === 1 ? numbers : numbers.map((one) => (one === null ? null : one / this.part)));
    this.held.normal = divided(this.normal);
    return { low: divided(low), high: divided(high), mean: divided(mean) };
  }

  // Points that stand for samples; the others only hold a value.
  sampled() {
    const { count = [] } = this.held.curve;
    return [...count.keys()].filter((at) => count[at] > 0);
  }

  // Show a curve as `/api/trend` sends it, over [from, to] in ms.
  show(curve, from, to) {
    this.held.curve = curve;
    this.range = [Math.round(from), Math.round(to)]; // a fraction would put 07:39:59.9999 on the axis
    if (this.plot) this.plot.setData(this.data(), true);
    else this.build();
  }

  // Move the window, and draw again what was appended to the curve.
  slide(from, to) {
    this.range = [Math.round(from), Math.round(to)];
    this.plot?.setData(this.data(), true);
  }

  toggleFit() {
    this.fit = !this.fit;
    this.plot?.setData(this.data(), true);
    return this.fit;
  }

  resize() {
    const { width, height } = this.size;
    if (this.plot && (this.plot.width !== width || this.plot.height !== height)) this.plot.setSize({ width, height });
  }

  select(u) {
    if (u.select.width < 4) return;
    const from = u.posToVal(u.select.left, "x");
    const to = u.posToVal(u.select.left + u.select.width, "x");
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.picked(from, to);
  }
}
