// The chart over time by uPlot: of each line the mean, and from least to highest a band, on the scale of its unit; the
// other time of a comparison beside it, thin and dotted.

import uPlot from "../uplot/uPlot.esm.js";
import { axes, scaleOf, scales } from "./axes.js";
import { paints } from "./lines.js";
import { marks } from "./marks.js";
import { zoneName } from "../format.js";

const DAY = "{YYYY}-{MM}-{DD}";
const TIMES = [
  [86400e3, DAY, null, null, null, null, null, null, 1],
  [60e3, "{HH}:{mm}", `\n${DAY}`, null, `\n${DAY}`, null, null, null, 1],
  [1e3, "{HH}:{mm}:{ss}", `\n${DAY}`, null, `\n${DAY}`, null, null, null, 1],
  [1, "{ss}.{fff}", `\n{HH}:{mm}`, null, null, null, null, null, 1],
];

// A null breaks its line up to the neighbouring points of the same line, wherever other lines have points between.
const WIDER = 2;

export class Plot {
  // `picked(from, to)` is called when a person drags over a range, `pointed(ms)` as the cursor moves (null: it left),
  // `noted(ms)` at a double click; `now` gives the server's time [ms].
  constructor(node, { now, picked, pointed, noted }) {
    Object.assign(this, { node, now, picked, pointed, noted });
    this.held = { lines: [], curves: new Map(), other: new Map(), events: [], notes: [], from: 0, to: 1 };
    this.plot = null;
    this.pressed = false; // somebody is dragging: what comes meanwhile is drawn when they let go
    node.addEventListener("pointerdown", () => (this.pressed = true), true);
    for (const ends of ["pointerup", "pointercancel"]) addEventListener(ends, () => setTimeout(() => this.released(), 0), true);
    new ResizeObserver(() => this.resize()).observe(node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(this.held));
  }

  get size() {
    const width = Math.max(Math.floor(this.node.clientWidth), 200);
    return { width, height: width < 560 ? 300 : 400 };
  }

  // `held` is {lines (drawn ones), curves and other (letter -> curve), events, notes, from, to, own, first}.
  draw(held) {
    this.held = held;
    if (this.pressed) return;
    const cursor = this.plot?.cursor;
    this.plot?.destroy();
    const paint = paints();
    const { width } = this.size;
    const curvesOf = (line) => [held.curves.get(line.letter), held.other.get(line.letter)].filter(Boolean);
    const drawn = held.lines.filter((line) => !line.words && curvesOf(line).length);
    const found = scales(drawn, curvesOf, held.own);
    const series = [{}];
    const bands = [];
    const tables = [];
    for (const line of drawn) {
      const scale = found.get(scaleOf(line, held.own));
      for (const [curve, other] of [[held.curves.get(line.letter), false], [held.other.get(line.letter), true]]) {
        if (curve) add(line, curve, other, scale);
      }
    }
    function add(line, curve, other, scale) {
      const colour = paint.trace(line.at);
      const paths = line.stepped ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear();
      const unseen = { scale: scale.key, paths, stroke: "transparent", width: 0, points: { show: false } };
      const dash = other ? [2, 3] : line.at >= paint.traces.length ? [8, 4] : undefined;
      const few = curve.at_ms.length < 60;
      const edge = series.length;
      series.push(unseen, unseen, { ...unseen, stroke: colour, width: other ? 1.1 : line.letter === held.first ? 2.6 : 1.6, dash, points: { show: few && !other, size: 4, fill: colour } });
      bands.push({ series: [edge + 1, edge], fill: `color-mix(in srgb, ${colour} ${other ? 8 : 16}%, transparent)` });
      const divided = (numbers) => (scale.part === 1 ? numbers : numbers.map((one) => (one === null ? null : one / scale.part)));
      tables.push([curve.at_ms, divided(curve.low), divided(curve.high), divided(curve.mean)]);
    }
    this.scales = found;
    this.plot = new uPlot(
      {
        ...this.size,
        ms: 1,
        ...(zoneName ? { tzDate: (ms) => uPlot.tzDate(new Date(ms), zoneName) } : {}),
        legend: { show: false },
        padding: [20, 26, 0, width < 560 ? 2 : 8],
        cursor: {
          drag: { x: true, y: false, setScale: false },
          points: { show: false },
          y: false,
          bind: { dblclick: () => () => this.noted(this.plot.posToVal(this.plot.cursor.left, "x")) },
        },
        scales: {
          x: { time: true, range: () => [Math.round(this.held.from), Math.round(this.held.to)] },
          ...Object.fromEntries([...found.values()].map((scale) => [scale.key, { range: () => scale.range }])),
        },
        series,
        bands,
        axes: axes(found, paint, width, held.first && drawn.length ? firstScale(drawn, held) : "", TIMES),
        hooks: {
          setSelect: [(u) => this.select(u)],
          setCursor: [(u) => this.pointed(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null)],
        },
        plugins: [marks(this, paint)],
      },
      tables.length ? uPlot.join(tables, tables.map(() => [1, WIDER, WIDER, WIDER])) : [[], ...series.slice(1).map(() => [])],
      this.node,
    );
    this.built = held.curves;
    if (cursor?.left >= 0) this.plot.setCursor({ left: cursor.left, top: cursor.top });
  }

  released() {
    if (!this.pressed) return;
    this.pressed = false;
    if (this.plot && this.built !== this.held.curves) this.draw(this.held);
  }

  // Where the plot stands in its element [CSS pixels]: for the lanes below it.
  get box() {
    const ratio = devicePixelRatio || 1;
    return this.plot ? { left: this.plot.bbox.left / ratio, width: this.plot.bbox.width / ratio } : { left: 0, width: 1 };
  }

  // Put the cursor at a moment, as the keyboard does.
  point(ms) {
    if (!this.plot) return;
    const left = this.plot.valToPos(ms, "x");
    this.plot.setCursor({ left: Math.min(Math.max(left, 0), this.box.width), top: 20 });
  }

  // Move the window without asking anew.
  slide(from, to) {
    Object.assign(this.held, { from, to });
    this.plot?.setScale("x", { min: from, max: to });
  }

  resize() {
    if (!this.plot) return;
    const { width, height } = this.size;
    if (this.plot.width !== width || this.plot.height !== height) this.draw(this.held);
  }

  select(u) {
    if (u.select.width < 4) return;
    const from = u.posToVal(u.select.left, "x");
    const to = u.posToVal(u.select.left + u.select.width, "x");
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.picked(from, to);
  }
}

const firstScale = (drawn, held) => {
  const line = drawn.find((one) => one.letter === held.first);
  return line ? scaleOf(line, held.own) : "";
};
