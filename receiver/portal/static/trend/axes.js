// Which lines share a scale, and how its axis is written. Tags of one unit share one, so that they can be compared; a
// state has a scale of its own without an axis, because its names stand in the table.

import { number, stepPlaces } from "../format.js";

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';

const LETTERS = 20; // beside the plot, where the lines' letters stand [CSS pixels]

export const scaleOf = (line, own) => (own || line.plain ? `line ${line.letter}` : `unit ${line.unit}`);

// Width of a value axis [CSS pixels] for its longest text.
const room = (texts) => 12 + 6.6 * Math.max(3, ...texts.map((text) => text.length));

// What numbers are divided by before they are drawn: 1, or a power of ten where the width of the scale itself would
// leave what a double can hold.
function part(most) {
  return most === 0 || (most < 1e12 && most > 1e-9) ? 1 : 10 ** Math.max(Math.floor(Math.log10(most)), -300);
}

// {key: {key, lines, part, plain, range}} of the lines that are drawn; `curves` are all that stand on them.
export function scales(lines, curvesOf, own) {
  const found = new Map();
  for (const line of lines) {
    const key = scaleOf(line, own);
    const scale = found.get(key) ?? { key, lines: [], plain: line.plain, low: Infinity, high: -Infinity };
    scale.lines.push(line);
    for (const curve of curvesOf(line)) {
      for (const low of curve.low) if (low !== null && low < scale.low) scale.low = low;
      for (const high of curve.high) if (high !== null && high > scale.high) scale.high = high;
    }
    found.set(key, scale);
  }
  for (const scale of found.values()) {
    const known = scale.low <= scale.high;
    const most = known ? Math.max(Math.abs(scale.low), Math.abs(scale.high)) : 0;
    scale.part = scale.plain ? 1 : part(most);
    const [low, high] = known ? [scale.low / scale.part, scale.high / scale.part] : [0, 1];
    const states = scale.plain ? Math.max(1, (scale.lines[0].states.length || 2) - 1, high) : 0;
    const margin = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
    scale.range = scale.plain ? [-0.1, states + 0.1] : [low - margin, high + margin];
  }
  return found;
}

// uPlot's axes: time below, and as many scales as the width has room for, the `first` one leftmost.
export function axes(found, paint, width, first, times) {
  const axis = { stroke: paint["ink-2"], font: `11px ${FONT}`, grid: { show: false }, ticks: { stroke: paint["chart-grid"], width: 1, size: 4 } };
  const most = width < 560 ? 1 : width < 900 ? 2 : 4;
  const wanted = [...found.values()].filter((scale) => !scale.plain).sort((one, other) => (other.key === first) - (one.key === first));
  const shown = wanted.slice(0, most).map((scale, at) => ({
    ...axis,
    scale: scale.key,
    side: at % 2 ? 1 : 3,
    grid: { show: at === 0, stroke: paint["chart-grid"], width: 1 },
    stroke: scale.lines.length === 1 ? paint.trace(scale.lines[0].at) : paint["ink-2"],
    size: (u, texts) => room(texts ?? []) + (at === 1 ? LETTERS : 0),
    gap: at === 1 ? LETTERS : 4,
    label: [scale.lines.map((line) => line.letter).join(" "), scale.lines[0].unit].join("   "),
    labelSize: 18,
    labelGap: 0,
    labelFont: `600 11px ${FONT}`,
    values: (u, splits) => {
      const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 0;
      const places = scale.part === 1 && step ? stepPlaces(step, 9) : null;
      return splits.map((value) => number(value * scale.part, places));
    },
  }));
  return [{ ...axis, size: 40, space: 80, grid: { show: true, stroke: paint["chart-grid"], width: 1 }, values: times }, ...shown];
}
