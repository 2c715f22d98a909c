// What the chart draws behind and over the line: the normal band, holes in the data with their reason, and times in which
// the value was bad or uncertain. No two of them look alike, also without colour:
//
//   gap        the link lost blocks         hatched, rising
//   silence    the tag did not speak        dotted
//   bad        no value to rely on          crossed, the letter B; the line beneath is covered: there was no value
//   uncertain  a value to be doubted        upright lines, the letter U; the line is seen through them
//   healed     came later, by a repeat      a ribbon along the bottom, the letter H

import { told } from "./curve.js";

const RIBBON = 5; // of what was healed [CSS pixels]
const SIZES = { gap: 8, silence: 7, change: 7, bad: 6, uncertain: 6 };

// Each pattern repeats after its size [CSS pixels].
function pattern(ctx, kind, colour, ratio) {
  const size = Math.round(SIZES[kind] * ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  pen.strokeStyle = pen.fillStyle = colour;
  if (kind === "uncertain") {
    pen.fillRect(0, 0, Math.max(1, Math.round(ratio)), size);
  } else if (kind === "bad") {
    pen.lineWidth = ratio;
    pen.beginPath();
    pen.moveTo(0, 0);
    pen.lineTo(size, size);
    pen.moveTo(size, 0);
    pen.lineTo(0, size);
    pen.stroke();
  } else if (kind === "gap") {
    pen.lineWidth = 1.6 * ratio;
    for (const shift of [-size, 0, size]) {
      pen.beginPath();
      pen.moveTo(shift, size);
      pen.lineTo(shift + size, 0);
      pen.stroke();
    }
  } else {
    pen.beginPath();
    pen.arc(size / 2, size / 2, 0.9 * ratio, 0, 7);
    pen.fill();
  }
  return ctx.createPattern(tile, "repeat");
}

// A uPlot plugin. `held` is {curve, normal, colours}, read at each drawing; `normal` is in the numbers that are drawn.
export function bands(held) {
  const px = () => devicePixelRatio || 1;

  function normal(u) {
    const [low, high] = held.normal;
    if (low === null && high === null) return;
    const { left, top, width, height } = u.bbox;
    const clip = (y) => Math.min(Math.max(y, top), top + height);
    const from = high === null ? top : clip(u.valToPos(high, "y", true));
    const to = low === null ? top + height : clip(u.valToPos(low, "y", true));
    u.ctx.save();
    u.ctx.fillStyle = held.colours.normal;
    u.ctx.fillRect(left, from, width, to - from);
    u.ctx.restore();
  }

  function holes(u) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    let clear = -Infinity; // where the last label ended
    for (const hole of held.curve.holes) {
      const end = hole.to_ms ?? Math.min(held.now(), u.scales.x.max);
      const from = Math.max(u.valToPos(hole.from_ms, "x", true), left);
      const to = Math.min(u.valToPos(end, "x", true), left + width);
      if (to < left || from > left + width) continue;
      const gap = hole.kind === "gap";
      const wide = Math.max(to - from, 3 * px());
      ctx.fillStyle = gap ? held.colours.gapGround : held.colours.silenceGround;
      ctx.fillRect(from, top, wide, height);
      ctx.fillStyle = pattern(ctx, hole.kind, gap ? held.colours.gap : held.colours.silence, px());
      ctx.fillRect(from, top, wide, height);
      ctx.fillStyle = gap ? held.colours.gap : held.colours.silence;
      ctx.fillRect(from, top, px(), height);
      ctx.fillRect(from + wide - px(), top, px(), height);
      if (gap || hole.kind === "change" || wide > 60 * px()) clear = label(u, hole, from, wide, clear);
    }
    ctx.restore();
  }

  // The reason in words: whole where there is room, else its first words, unless a label stands there already.
  function label(u, hole, from, wide, clear, cut = ",") {
    const { ctx } = u;
    const { left, top, width } = u.bbox;
    ctx.font = `600 ${11 * px()}px ${held.font}`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    const whole = ctx.measureText(hole.text).width + 12 * px() <= wide;
    const fits = whole ? hole.text : hole.text.split(cut)[0];
    const size = ctx.measureText(fits).width + 8 * px();
    const at = Math.min(Math.max(from + (wide - size) / 2, left + 2 * px()), left + width - size - 2 * px());
    if (at < clear) return clear;
    ctx.fillStyle = held.colours.ground;
    ctx.fillRect(at, top + 5 * px(), size, 17 * px());
    ctx.fillStyle = held.colours.ink;
    ctx.fillText(fits, at + 4 * px(), top + 8 * px());
    return at + size;
  }

  // For how long it was bad or uncertain, at least three pixels wide; the letter stands at the bottom, the words where a
  // label has room.
  function qualities(u) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const fills = {};
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    let clear = -Infinity;
    let lettered = -Infinity;
    for (const band of held.curve.bands) {
      const now = Math.min(held.now(), u.scales.x.max);
      const from = Math.max(u.valToPos(band.from_ms, "x", true), left);
      const to = Math.min(u.valToPos(band.to_ms ?? Math.max(now, band.from_ms), "x", true), left + width);
      if (to < left || from > left + width) continue;
      const bad = band.grade === "bad";
      const colour = bad ? held.colours.bad : held.colours.uncertain;
      const wide = Math.max(to - from, 3 * px());
      ctx.fillStyle = bad ? held.colours.ground : held.colours.uncertainGround;
      ctx.fillRect(from, top, wide, height);
      ctx.fillStyle = fills[band.grade] ??= pattern(ctx, band.grade, colour, px());
      ctx.globalAlpha = bad ? 0.45 : 0.5;
      ctx.fillRect(from, top, wide, height);
      ctx.globalAlpha = 1;
      ctx.fillStyle = colour;
      ctx.fillRect(from, top, px(), height);
      ctx.fillRect(from + wide - px(), top, px(), height);
      if (from > lettered) lettered = letter(u, bad ? "B" : "U", colour, from + wide / 2);
      if (wide > 60 * px()) clear = label(u, { text: told(band, held.now()) }, from, wide, clear, ":");
    }
    ctx.restore();
  }

  // B is a square, U is round, as everywhere on these pages. Returns where it ends.
  function letter(u, sign, colour, middle) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const size = 13 * px();
    const at = Math.min(Math.max(middle - size / 2, left), left + width - size);
    const y = top + height - size - (RIBBON + 2) * px();
    ctx.fillStyle = colour;
    ctx.beginPath();
    if (sign === "B") ctx.rect(at, y, size, size);
    else ctx.arc(at + size / 2, y + size / 2, size / 2, 0, 7);
    ctx.fill();
    ctx.fillStyle = held.colours.ground;
    ctx.font = `700 ${10 * px()}px ${held.font}`;
    ctx.textBaseline = "middle";
    ctx.textAlign = "center";
    ctx.fillText(sign, at + size / 2, y + size / 2 + px() / 2);
    return at + size;
  }

  function healed(u) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    ctx.save();
    ctx.fillStyle = held.colours.healed;
    for (const one of held.curve.healed) {
      const from = Math.max(u.valToPos(one.from_ms, "x", true), left);
      const to = Math.min(u.valToPos(one.to_ms, "x", true), left + width);
      if (to < left || from > left + width) continue;
      const wide = Math.max(to - from, 3 * px());
      ctx.fillRect(from, top + height - RIBBON * px(), wide, RIBBON * px());
      if (wide < 14 * px()) continue;
      ctx.font = `700 ${10 * px()}px ${held.font}`;
      ctx.textBaseline = "bottom";
      ctx.textAlign = "left";
      ctx.fillText("H", from + px(), top + height - (RIBBON + 1) * px());
    }
    ctx.restore();
  }

  return {
    hooks: {
      drawClear: [(u) => normal(u)],
      draw: [(u) => { qualities(u); holes(u); healed(u); }],
    },
  };
}
