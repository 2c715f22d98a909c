// One tag on a page: the element that shows it, its last value, and every reason to doubt it.

import { make, mark, one, say, symbol } from "./dom.js";
import { NOTHING, age, moment, numeric, written } from "./format.js";
import { stale, unknown } from "./freshness.js";
import * as stream from "./stream.js";

const GRADES = ["good", "uncertain", "bad"];
const LETTERS = ["", "U", "B"];

// The two highest bits of an OPC UA StatusCode (OPC 10000-4, 7.39.1).
export const severity = (code) => Math.min(code >>> 30, 2);
export const grade = (code) => GRADES[severity(code)];

const real = (text) => (text === undefined || text === "" ? null : Number(text));

// On which side of its normal band, [low, high], a value of a tag is: `high`, `low` or empty.
export function sideOf(tag, [low, high], value) {
  const held = numeric(tag, value);
  if (held === null) return "";
  return high !== null && held > high ? "high" : low !== null && held < low ? "low" : "";
}

export class Line {
  constructor(node) {
    this.node = node;
    const held = node.dataset;
    this.series = Number(held.series);
    this.after = Number(held.after);
    this.tag = { type: held.type, places: real(held.places), states: held.states ? JSON.parse(held.states) : [] };
    this.normal = [real(held.normalLow), real(held.normalHigh)];
    this.seen = real(held.seen);
    this.value = undefined;
    this.down = false;
    this.parts = {
      value: one(".value .v", node),
      grade: one(".grade", node),
      age: one(".age-text", node),
      when: one(".when", node),
      bar: one(".bar", node),
      mark: one(".bar-mark", node),
      outside: one(".outside", node),
      stale: one(".stale-mark", node),
    };
  }

  // A row of the `values` message: series, time, value, quality, quality in words (empty: good), seen.
  take([, time, value, code, words, seen]) {
    this.seen = seen;
    this.value = value;
    say(this.parts.value, written(this.tag, value));
    mark(this.node, "grade", grade(code));
    gradeIn(this.parts.grade, code, words);
    const outside = severity(code) === 2 ? "" : this.side(value);
    mark(this.node, "outside", outside);
    if (outside) symbol(one("svg", this.parts.outside), outside);
    say(one("span", this.parts.outside), { high: "above normal", low: "below normal" }[outside] ?? "");
    this.moveBar(value);
    if (this.parts.when) say(this.parts.when, moment(time, "tenths"));
    this.tick();
  }

  side(value) {
    return sideOf(this.tag, this.normal, value);
  }

  moveBar(value) {
    const { bar, mark: needle } = this.parts;
    if (!bar) return;
    const held = numeric(this.tag, value);
    const x = held === null ? -9 : (share(held, Number(bar.dataset.low), Number(bar.dataset.high)) * 120).toFixed(1);
    needle.setAttribute("transform", `translate(${x} 0)`);
  }

  // Once a second, and with each value.
  tick() {
    if (this.seen === null) return say(this.parts.age, NOTHING);
    const now = stream.steady();
    say(this.parts.age, unknown(this.seen) ? NOTHING : age(Math.max(now - this.seen, 0) / 1000));
    const why = stream.frozen()
      ? "page not connected"
      : stale({ now, seen: this.seen, after: this.after, beatAge: stream.beatAge(), down: this.down });
    mark(this.node, "stale", Boolean(why));
    if (this.parts.stale && this.parts.stale.title !== why) this.parts.stale.title = why;
    return undefined;
  }
}

// How far a value lies from low to high, 0 to 1; quarters where the width alone is more than a number can hold.
function share(value, low, high) {
  const part = Number.isFinite(high - low) ? 1 : 0.25;
  const [at, from, to] = [value, low, high].map((one) => Math.min(Math.max(one, low), high) * part);
  return (at - from) / (to - from);
}

// Write a quality into a `.grade` element: the letter in its shape, and the words.
export function gradeIn(node, code, words) {
  if (!node) return;
  mark(node, "grade", grade(code));
  const sign = one(".letter", node);
  const letter = LETTERS[severity(code)];
  if (letter && !sign) node.prepend(make("a", { class: "letter", href: `/help#${grade(code)}`, tabindex: "-1" }, letter));
  else if (letter) {
    say(sign, letter);
    sign.setAttribute("href", `/help#${grade(code)}`);
  }
  else if (sign) sign.remove();
  say(one(".grade-text", node), words || "good");
}
