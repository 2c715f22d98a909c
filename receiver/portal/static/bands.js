// What the chart draws behind and over the line: the normal band, holes in the data with their reason, bad samples.
// A gap (the link lost blocks) is hatched; a silence (the tag did not speak) is dotted: they must never look alike.

const BAD_HEIGHT = 7; // of the ribbon of bad samples [CSS pixels]

// The hatch repeats every 8 CSS pixels, the dots every 7.
function pattern(ctx, kind, colour, ratio) {
  const size = Math.round((kind === "gap" ? 8 : 7) * ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  pen.strokeStyle = pen.fillStyle = colour;
  if (kind === "gap") {
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
  function label(u, hole, from, wide, clear) {
    const { ctx } = u;
    const { left, top, width } = u.bbox;
    ctx.font = `600 ${11 * px()}px ${held.font}`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    const whole = ctx.measureText(hole.text).width + 12 * px() <= wide;
    const fits = whole ? hole.text : hole.text.split(",")[0];
    const size = ctx.measureText(fits).width + 8 * px();
    const at = Math.min(Math.max(from + (wide - size) / 2, left + 2 * px()), left + width - size - 2 * px());
    if (at < clear) return clear;
    ctx.fillStyle = held.colours.ground;
    ctx.fillRect(at, top + 5 * px(), size, 17 * px());
    ctx.fillStyle = held.colours.ink;
    ctx.fillText(fits, at + 4 * px(), top + 8 * px());
    return at + size;
  }

  // A ribbon along the bottom wherever a bucket holds bad samples.
  function bad(u) {
    const { at_ms: at, bad: counts, width_ms: step } = held.curve;
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const tall = BAD_HEIGHT * px();
    ctx.save();
    ctx.fillStyle = held.colours.bad;
    let from = null;
    let to = null;
    const flush = () => {
      if (from === null) return;
      const begin = Math.max(from, left);
      const end = Math.min(Math.max(to, from + 2 * px()), left + width);
      if (end > begin) {
        ctx.fillRect(begin, top + height - tall, end - begin, tall);
        if (end - begin > 12 * px()) {
          ctx.font = `700 ${10 * px()}px ${held.font}`;
          ctx.textBaseline = "bottom";
          ctx.textAlign = "left";
          ctx.fillText("B", begin + 1 * px(), top + height - tall - px());
        }
      }
      from = null;
    };
    for (let i = 0; i < at.length; i += 1) {
      if (!counts[i]) continue;
      const begin = u.valToPos(at[i] - step / 2, "x", true);
      if (from !== null && begin > to + 3 * px()) flush();
      if (from === null) from = begin;
      to = u.valToPos(at[i] + step / 2, "x", true);
    }
    flush();
    ctx.restore();
  }

  return {
    hooks: {
      drawClear: [(u) => normal(u)],
      draw: [(u) => { holes(u); bad(u); }],
    },
  };
}
