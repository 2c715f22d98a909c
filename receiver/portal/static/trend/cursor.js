// The table beside the chart: of each line what was known at the cursor, and the range in numbers.

import { all, one, say, show } from "../dom.js";
import { NOTHING, age as ageText, count, moment } from "../format.js";
import { knownAt } from "./curves.js";

const cell = (line, name) => one(`[data-cell="${name}"]`, line.row);

// Values at a moment, or with null none: then the heading says so.
export function atCursor(lines, held, ms, now) {
  const compared = held.other.size > 0;
  for (const line of lines) {
    const curve = held.curves.get(line.letter);
    const other = held.other.get(line.letter);
    const here = curve && ms !== null ? knownAt(line, curve, ms, now) : { value: null, why: "" };
    const there = other && ms !== null ? knownAt(line, other, ms, Infinity) : { value: null, why: "" };
    say(cell(line, "at"), told(line, here, ms));
    if (!compared) continue;
    say(cell(line, "other"), told(line, there, ms));
    const both = here.value !== null && there.value !== null && !line.plain;
    say(cell(line, "apart"), both ? sign(line, here.value - there.value) : NOTHING);
  }
  say(one("[data-cursor]"), ms === null ? "of the range" : `at ${moment(ms, "tenths")}`);
}

const sign = (line, apart) => (apart > 0 ? "+" : "") + line.exact(apart);

function told(line, here, ms) {
  if (here.value === null) return here.why || NOTHING;
  const spread = here.low !== null && here.low !== here.high && !line.plain ? ` (${line.exact(here.low)} to ${line.exact(here.high)})` : "";
  const age = here.at === null ? "" : `, ${ageText((ms - here.at) / 1000)} old`;
  return line.exact(here.value) + spread + (here.grade ? `, ${here.grade}` : "") + age;
}

// The range in numbers, from each curve's summary.
export function ofRange(lines, held) {
  for (const node of all(".values .other")) show(node, held.other.size > 0);
  for (const line of lines) {
    const summary = held.curves.get(line.letter)?.summary;
    if (!summary) continue;
    for (const name of ["low", "mean", "high"]) {
      const value = name === "mean" && line.plain ? null : summary[name];
      say(cell(line, name), value === null ? NOTHING : line.exact(value));
    }
    say(cell(line, "count"), count(summary.count));
    say(cell(line, "bad"), count(summary.bad));
    cell(line, "bad").dataset.mark = summary.bad ? "bad" : "";
  }
}
