// The tags of the page, as its table has them: one line of the chart each.

import { all } from "../dom.js";
import { written } from "../format.js";

export const COLOURS = 8;

// {letter, name, at, row, type, states, unit, places, holds, after, normal, text, stepped, exact(value)}
export function lines() {
  return all("[data-rows] tr[data-letter]").map((row, at) => {
    const facts = JSON.parse(row.dataset.tag);
    const stepped = facts.holds || facts.type === "bool" || facts.states.length > 0;
    const line = {
      letter: row.dataset.letter, name: decodeURIComponent(row.dataset.name), at, row, ...facts,
      words: facts.type === "string", // nothing to draw but what is missing
      plain: facts.type === "bool" || facts.states.length > 0, // a state has a name, and no unit
      stepped,
    };
    line.normal = facts.normal.map((edge) => (Number.isFinite(edge) ? edge : null));
    line.exact = (value) => written(line, line.type === "bool" && Number.isInteger(value) ? Boolean(value) : value);
    return line;
  });
}

// The colours of this scheme.
export function paints() {
  const held = getComputedStyle(document.documentElement);
  const of = (name) => held.getPropertyValue(`--${name}`).trim();
  const names = ["ink", "ink-2", "chart-grid", "panel", "chart-gap", "chart-gap-ground", "chart-silence", "bad", "warn", "healed"];
  const found = Object.fromEntries(names.map((name) => [name, of(name)]));
  found.traces = Array.from({ length: COLOURS }, (_, at) => of(`trace-${at}`));
  found.trace = (at) => found.traces[at % COLOURS];
  return found;
}
