// One tag against another: a point for each moment at which both are known, faint where it is old, dark where it is
// new; the last one has a ring. The other time of a comparison is drawn as crosses.

import { NOTHING, number } from "../format.js";
import { knownAt } from "./curves.js";
import { paints } from "./lines.js";

const EDGE = { left: 64, right: 16, top: 28, bottom: 44 };
const SHADES = 6;

// [[x, y], ..] in order of time.
export function pairs(across, up, curves, now) {
  const one = curves.get(across.letter);
  const other = curves.get(up.letter);
  if (!one || !other) return [];
  const times = [...new Set([...one.at_ms, ...other.at_ms])].sort((a, b) => a - b);
  return times
    .map((ms) => [knownAt(across, one, ms, now).value, knownAt(up, other, ms, now).value])
    .filter(([x, y]) => x !== null && y !== null);
}

function ends(values) {
  const low = values.reduce((least, one) => Math.min(least, one), Infinity);
  const high = values.reduce((most, one) => Math.max(most, one), -Infinity);
  if (low > high) return [0, 1];
  const margin = (high / 2 - low / 2) * 0.12 || Math.abs(high) * 0.05 || 1;
  return [Math.max(low - margin, -Number.MAX_VALUE), Math.min(high + margin, Number.MAX_VALUE)];
}

// Decimals of the marks of an axis, a step apart: as the tag is written, and a tenth of the step at least.
function marked(line, step) {
  if (!(step > 1e-9 && step < 1e9)) return null;
  return Math.max(line.plain ? 1 : line.places ?? 0, Math.ceil(1 - Math.log10(step)), 0);
}

// Draws into `node`; returns how many points there are.
export function xy(node, across, up, held, now) {
  const points = pairs(across, up, held.curves, now);
  const old = pairs(across, up, held.other, Infinity);
  const every = points.concat(old);
  const ratio = devicePixelRatio || 1;
  const width = Math.max(node.clientWidth, 200);
  const height = width < 560 ? 320 : 420;
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${up.label} against ${across.label}: ${points.length} points`);
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  node.replaceChildren(canvas);
  const pen = canvas.getContext("2d");
  const paint = paints();
  pen.scale(ratio, ratio);
  const [lowX, highX] = ends(every.map(([x]) => x));
  const [lowY, highY] = ends(every.map(([, y]) => y));
  const share = (value, low, high) => (value / 2 - low / 2) / (high / 2 - low / 2);
  const placeX = (x) => EDGE.left + share(x, lowX, highX) * (width - EDGE.left - EDGE.right);
  const placeY = (y) => height - EDGE.bottom - share(y, lowY, highY) * (height - EDGE.top - EDGE.bottom);
  pen.font = "11px sans-serif";
  for (let at = 0; at <= 4; at += 1) {
    const [x, y] = [lowX * (1 - at / 4) + highX * (at / 4), lowY * (1 - at / 4) + highY * (at / 4)];
    pen.fillStyle = paint["chart-grid"];
    pen.fillRect(placeX(x), EDGE.top, 1, height - EDGE.top - EDGE.bottom);
    pen.fillRect(EDGE.left, placeY(y), width - EDGE.left - EDGE.right, 1);
    pen.fillStyle = paint["ink-2"];
    pen.textAlign = "center";
    pen.fillText(number(x, marked(across, highX / 4 - lowX / 4)), placeX(x), height - EDGE.bottom + 16);
    pen.textAlign = "right";
    pen.fillText(number(y, marked(up, highY / 4 - lowY / 4)), EDGE.left - 6, placeY(y) + 4);
  }
  pen.fillStyle = paint.ink;
  pen.textAlign = "center";
  pen.fillText(`${across.letter}   ${across.unit}`, width / 2, height - 8);
  pen.textAlign = "left";
  pen.fillText(`${up.letter}   ${up.unit}`, 4, 14);
  pen.strokeStyle = paint["ink-2"];
  for (const [x, y] of old) {
    pen.beginPath();
    pen.moveTo(placeX(x) - 2, placeY(y) - 2);
    pen.lineTo(placeX(x) + 2, placeY(y) + 2);
    pen.moveTo(placeX(x) - 2, placeY(y) + 2);
    pen.lineTo(placeX(x) + 2, placeY(y) - 2);
    pen.stroke();
  }
  pen.fillStyle = paint.trace(up.at);
  points.forEach(([x, y], at) => {
    pen.globalAlpha = 0.25 + (0.75 * Math.ceil(((at + 1) / points.length) * SHADES)) / SHADES;
    pen.beginPath();
    pen.arc(placeX(x), placeY(y), 2.2, 0, 7);
    pen.fill();
  });
  pen.globalAlpha = 1;
  if (points.length) {
    pen.strokeStyle = paint.ink;
    pen.beginPath();
    pen.arc(placeX(points.at(-1)[0]), placeY(points.at(-1)[1]), 5, 0, 7);
    pen.stroke();
  }
  return points.length;
}

// What the table beside it says of a pair.
export const pairText = (points) => (points ? `${points} moments at which both are known` : NOTHING);
