// One lane for each line below the chart: where its data are bad, uncertain, missing, silent, or came later. Many lines
// with their hatching in one plot would hide each other; a lane tells whose it is.

import { paints } from "./lines.js";

const TALL = 11; // of a lane [CSS pixels]

// Spans of a curve by kind: holes, times of bad and uncertain quality, and what was healed. Until those are told, every
// bucket with a bad sample is bad.
const spans = (curve, marked) => [
  ...curve.holes.filter((hole) => hole.kind !== "change"),
  ...(marked ? [] : curve.bad.flatMap((bad, at) => (bad ? [{ kind: "bad", from_ms: curve.at_ms[at] - curve.width_ms / 2, to_ms: curve.at_ms[at] + curve.width_ms / 2 }] : []))),
  ...curve.bands.map((band) => ({ ...band, kind: band.grade })),
  ...curve.healed.map((one) => ({ ...one, kind: "healed" })),
];

// Draw into `canvas`, as wide as the plot's element; `box` is where its plot stands.
export function lanes(canvas, held, box, width, now) {
  const ratio = devicePixelRatio || 1;
  const lines = held.lines.filter((line) => held.curves.has(line.letter));
  canvas.hidden = lines.length === 0;
  const tall = lines.length * TALL + 2;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(tall * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${tall}px`;
  const pen = canvas.getContext("2d");
  const paint = paints();
  pen.scale(ratio, ratio);
  const place = (ms) => box.left + ((ms - held.from) / (held.to - held.from)) * box.width;
  lines.forEach((line, row) => {
    const y = row * TALL + 1;
    pen.fillStyle = paint["chart-grid"];
    pen.fillRect(box.left, y + TALL / 2 - 0.5, box.width, 1);
    pen.fillStyle = paint.trace(line.at);
    pen.font = "700 9px sans-serif";
    pen.textBaseline = "middle";
    pen.fillText(line.letter, box.left + box.width + 6, y + TALL / 2);
    for (const span of spans(held.curves.get(line.letter), held.marked)) {
      const from = Math.max(place(span.from_ms), box.left);
      const to = Math.min(place(span.to_ms ?? now), box.left + box.width);
      if (to < box.left || from > box.left + box.width) continue;
      block(pen, span.kind, from, y + 1, Math.max(to - from, 2), TALL - 2, paint);
    }
  });
  return lines.length;
}

// Each kind has a shape of its own, so that no colour is needed to tell them apart.
function block(pen, kind, x, y, width, height, paint) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  if (kind === "bad") {
    pen.fillStyle = paint.bad;
    pen.fillRect(x, y, width, height);
  } else if (kind === "gap") {
    pen.fillStyle = paint["chart-gap-ground"];
    pen.fillRect(x, y, width, height);
    pen.strokeStyle = paint["chart-gap"];
    for (let at = x - height; at < x + width; at += 5) {
      pen.beginPath();
      pen.moveTo(at, y + height);
      pen.lineTo(at + height, y);
      pen.stroke();
    }
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(width - 1, 1), height - 1);
  } else if (kind === "healed") {
    pen.fillStyle = paint.healed;
    pen.fillRect(x, y, width, 2.5);
    pen.fillRect(x, y + height - 2.5, width, 2.5);
  } else if (kind === "uncertain") {
    pen.strokeStyle = paint.warn;
    pen.lineWidth = 2;
    pen.strokeRect(x, y, width, height);
  } else {
    pen.fillStyle = paint["chart-silence"];
    for (let at = x + 1; at < x + width; at += 4) pen.fillRect(at, y + height / 2 - 1, 2, 2);
  }
  pen.restore();
}
