// What stands beside the lines: normal bands, events and notes above, and each line's letter at its end.

import { scaleOf } from "./axes.js";

const BANDED = 3; // lines whose normal bands are drawn together; of more only that of the chosen one
export const TRIP = 800; // severity from which an active event is a trip

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';

export function marks(plot, paint) {
  const px = () => devicePixelRatio || 1;
  const drawn = () => plot.held.lines.filter((line) => !line.words && plot.scales.has(scaleOf(line, plot.held.own)));

  function normal(u) {
    const { left, top, width, height } = u.bbox;
    const lines = drawn();
    for (const line of lines.length > BANDED ? lines.filter((one) => one.letter === plot.held.first) : lines) {
      const [low, high] = line.normal;
      if (low === null && high === null) continue;
      const key = scaleOf(line, plot.held.own);
      const part = plot.scales.get(key).part;
      const place = (edge) => Math.min(Math.max(u.valToPos(edge / part, key, true), top), top + height);
      const from = high === null ? top : place(high);
      const to = low === null ? top + height : place(low);
      u.ctx.save();
      u.ctx.globalAlpha = 0.09;
      u.ctx.fillStyle = paint.trace(line.at);
      u.ctx.fillRect(left, from, width, to - from);
      u.ctx.globalAlpha = 0.7;
      u.ctx.strokeStyle = paint.trace(line.at);
      u.ctx.lineWidth = px();
      u.ctx.setLineDash([1 * px(), 5 * px()]);
      for (const edge of [high === null ? null : from, low === null ? null : to]) {
        if (edge === null || edge <= top || edge >= top + height) continue;
        u.ctx.beginPath();
        u.ctx.moveTo(left, edge);
        u.ctx.lineTo(left + width, edge);
        u.ctx.stroke();
      }
      u.ctx.restore();
    }
  }

  // Where the link lost blocks of every line that is drawn, the ground says so; whose they are, the lanes tell.
  function gaps(u) {
    const { left, top, width, height } = u.bbox;
    const curves = drawn().map((line) => plot.held.curves.get(line.letter)).filter(Boolean);
    for (const gap of curves[0]?.holes.filter((hole) => hole.kind === "gap") ?? []) {
      if (!curves.every((curve) => curve.holes.some((hole) => hole.kind === "gap" && hole.from_ms === gap.from_ms))) continue;
      const from = Math.max(u.valToPos(gap.from_ms, "x", true), left);
      const to = Math.min(u.valToPos(gap.to_ms ?? plot.now(), "x", true), left + width);
      u.ctx.fillStyle = paint["chart-gap-ground"];
      u.ctx.fillRect(from, top, Math.max(to - from, 0), height);
    }
  }

  // A triangle at the top, filled where it is a trip; and a thin line down.
  function events(u) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    for (const event of plot.held.events) {
      const x = u.valToPos(event.time_ms, "x", true);
      if (x < left || x > left + width) continue;
      const trip = event.severity >= TRIP;
      const size = 5 * px();
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = trip ? paint.bad : paint.warn;
      ctx.lineWidth = 1.4 * px();
      ctx.beginPath();
      ctx.moveTo(x - size, top - 2 * size);
      ctx.lineTo(x + size, top - 2 * size);
      ctx.lineTo(x, top - 2 * px());
      ctx.closePath();
      if (trip) ctx.fill();
      else ctx.stroke();
      ctx.globalAlpha = 0.45;
      ctx.fillRect(x, top, px(), height);
      ctx.restore();
    }
  }

  function notes(u) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    plot.held.notes.forEach((note, at) => {
      const x = u.valToPos(note.at_ms, "x", true);
      if (x < left || x > left + width) return;
      ctx.save();
      ctx.fillStyle = paint.ink;
      ctx.fillRect(x, top - 16 * px(), px(), height + 16 * px());
      ctx.fillRect(x, top - 18 * px(), 15 * px(), 12 * px());
      ctx.fillStyle = paint.panel;
      ctx.font = `700 ${9 * px()}px ${FONT}`;
      ctx.textAlign = "center";
      ctx.textBaseline = "middle";
      ctx.fillText(String(at + 1), x + 7.5 * px(), top - 11.5 * px());
      ctx.restore();
    });
  }

  // No colour tells a line alone: its letter stands at its end, pushed down where another stands there.
  function letters(u) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const ends = [];
    for (const line of drawn()) {
      const curve = plot.held.curves.get(line.letter);
      const last = curve ? curve.mean.findLastIndex((value, at) => value !== null && curve.at_ms[at] <= plot.held.to) : -1;
      if (last < 0) continue;
      const key = scaleOf(line, plot.held.own);
      const y = u.valToPos(curve.mean[last] / plot.scales.get(key).part, key, true);
      ends.push({ line, y: Math.min(Math.max(y, top + 6 * px()), top + height - 6 * px()), x: Math.min(u.valToPos(curve.at_ms[last], "x", true), left + width) });
    }
    ends.sort((one, other) => one.y - other.y);
    let clear = -Infinity;
    for (const end of ends) {
      const y = Math.max(end.y, clear);
      clear = y + 13 * px();
      ctx.save();
      ctx.fillStyle = paint.trace(end.line.at);
      ctx.fillRect(left + width + 4 * px(), y - 6 * px(), 13 * px(), 12 * px());
      ctx.fillStyle = paint.panel;
      ctx.font = `700 ${10 * px()}px ${FONT}`;
      ctx.textAlign = "center";
      ctx.textBaseline = "middle";
      ctx.fillText(end.line.letter, left + width + 10.5 * px(), y + 0.5 * px());
      ctx.restore();
    }
  }

  return { hooks: { drawClear: [gaps, normal], draw: [(u) => { events(u); notes(u); letters(u); }] } };
}
