// The overview: assets in numbers, tags that need a look, the link in detail. The server counts; this page writes.

import { follow } from "./alarms.js";
import { all, glyph, make, mark, one, safely, say } from "./dom.js";
import { NOTHING, age, count, moment, share } from "./format.js";
import { unknown } from "./freshness.js";
import * as stream from "./stream.js";
import { localTimes, renew, tick, told } from "./strip.js";

const ALARM = { bad: "bad", uncertain: "warn", outside: "warn", stale: "stale", silent: "stale", missing: "warn", lost: "bad" };
const STATES = { up: "Up", down: "DOWN", unknown: "No word yet" };
let rows = new Map();

function find() {
  rows = new Map(all("[data-card]").map((row) => [decodeURIComponent(row.dataset.card), row]));
}

function assets(told) {
  for (const card of told.assets) safely(() => asset(card));
  attention(told.attention);
  replace("[data-processes]", told.processes.map(process));
  ages();
}

function asset(card) {
  const row = rows.get(card.name);
  if (!row) return;
  for (const cell of all("[data-count]", row)) {
    const name = cell.dataset.count;
    say(cell, card.fault ? NOTHING : count(card[name]));
    mark(cell, "mark", card[name] ? ALARM[name] : "");
  }
  const wrong = card.fault || ["bad", "uncertain", "outside", "stale", "silent", "trips", "alarms"].some((name) => card[name]);
  mark(row, "calm", wrong || card.state === "down" ? "no" : "yes");
  state(one(".state-cell", row), card);
  one("[data-seen]", row).dataset.seen = card.seen_ms ?? "";
}

function state(cell, card) {
  const text = card.fault || (card.state === "down" ? card.state_text : "");
  const key = `${card.state} ${card.trips} ${card.alarms} ${text}`;
  if (cell.dataset.key === key) return;
  cell.dataset.key = key;
  const parts = [make("span", { class: "state", data: { state: card.state } }, STATES[card.state] ?? card.state)];
  if (text) parts.push(make("span", { class: "state-text" }, text));
  const stands = make("span", { class: "stands" });
  if (card.trips) stands.append(make("b", { class: "trip-word" }, card.trips === 1 ? "TRIP" : `${count(card.trips)} TRIPS`));
  if (card.alarms) stands.append(" ", make("span", { class: "alarm-word" }, `${count(card.alarms)} alarm${card.alarms === 1 ? "" : "s"}`));
  cell.replaceChildren(...parts, stands);
}

function attention({ rows: found, more, calm }) {
  say(one("[data-more]"), more ? `and ${count(more)} more` : "");
  const lines = found.map((row) => {
    const marks = make("span", { class: "why-marks" });
    if (row.letter) marks.append(make("b", { class: "letter", data: { grade: row.grade } }, row.letter));
    if (row.outside) marks.append(glyph(row.outside, "warn"));
    if (row.stale) marks.append(glyph("clock"));
    return make("tr", {},
      make("th", { scope: "row" }, make("a", { href: row.address }, row.tag), make("span", { class: "sub" }, row.asset)),
      make("td", { class: "num value", data: { grade: row.grade, stale: Boolean(row.stale) } },
        make("span", { class: "v" }, row.text), " ", make("span", { class: "unit" }, row.unit)),
      make("td", { class: "why" }, marks, row.why));
  });
  const none = make("tr", { class: "none" }, make("td", { colspan: "3" }, calm));
  replace("[data-attention]", lines.length ? lines : [none]);
}

// What of the sender calls for a person, above the tags.
function concerns(found) {
  replace("[data-concerns]", found.map(({ name, value, cause, step, grave }) => make("tr", {},
    make("th", { scope: "row" }, name[0].toUpperCase() + name.slice(1).replaceAll("-", " "), make("span", { class: "sub" }, "link")),
    make("td", { class: "num", data: { mark: grave ? "bad" : "warn" } }, value),
    make("td", { class: "why" }, `${cause}. ${step}`))));
}

function process({ name, running, trouble, note }) {
  const cell = make("td", { data: { mark: running ? "" : "bad" } }, running ? "running" : `NOT RUNNING: ${trouble}`);
  if (running && note) cell.append(make("span", { class: "sub" }, note));
  return make("tr", {}, make("th", { scope: "row" }, name), cell);
}

function link(link) {
  told(link);
  say(one('[data-vital="session"]', one("main")), link.session ? `session ${link.session.slice(0, 8)}` : "");
  for (const cell of all("[data-block]")) {
    const value = link.blocks[cell.dataset.block];
    say(cell, count(value));
    mark(cell, "mark", value ? { missing: "warn", expired: "bad" }[cell.dataset.block] : "");
  }
  for (const cell of all("[data-frames]")) {
    const name = cell.dataset.frames;
    say(cell, name === "loss_total" ? share(link[name]) : count(link[name]));
    mark(cell, "mark", link[name] ? { kernel_drops: "warn", queue_overflow: "bad" }[name] : "");
  }
  replace("[data-refused]", link.refused.map((row) => make("tr", {},
    make("th", { scope: "row" }, row.text), make("td", { class: "num" }, count(row.count)))));
  concerns(link.concerns);
  replace("[data-warnings]", link.warnings.map((text) => make("li", {}, text)));
  gaps(link);
  if (String(link.version) !== document.body.dataset.version) renew(find);
}

function gaps({ gaps, gaps_more: more, codes }) {
  const lines = gaps.map((gap) => {
    const numbers = count(gap.first) + (gap.last > gap.first ? ` to ${count(gap.last)}` : "");
    const heals = gap.heals_ms === null
      ? make("span", { data: { mark: "bad" } }, "No repeat left: use the code below")
      : `Will be repeated at about ${moment(gap.heals_ms, "clock")}`;
    return make("tr", {},
      make("th", { scope: "row", class: "mono" }, gap.stream.slice(0, 8)),
      make("td", { class: "num" }, count(Math.max(gap.last - gap.first + 1, 1)), make("span", { class: "sub" }, numbers)),
      make("td", {}, moment(gap.since_ms, "clock")),
      make("td", {}, heals));
  });
  const none = make("tr", { class: "none" }, make("td", { colspan: "4" }, "No block is missing."));
  replace("[data-gaps]", lines.length ? lines : [none]);
  say(one("[data-gaps-more]"), more ? `and ${count(more)} more gaps` : "");
  replace("[data-codes]", codes.map((code) => make("li", { class: "mono" }, `checkvalve replay SENDER.toml ${code}`)));
}

// Rows are put in only when they differ: a link that has the focus, or a text being selected, stays.
function replace(selector, nodes) {
  const body = one(selector);
  const fresh = make("div");
  fresh.append(...nodes);
  if (body.dataset.held === fresh.innerHTML) return;
  body.dataset.held = fresh.innerHTML;
  const held = document.activeElement?.closest?.(selector) ? document.activeElement.getAttribute("href") : null;
  body.replaceChildren(...fresh.childNodes);
  if (held) all("a", body).find((link) => link.getAttribute("href") === held)?.focus();
}

function ages() {
  for (const row of rows.values()) {
    const cell = one("[data-seen]", row);
    const seen = Number(cell.dataset.seen);
    say(cell, unknown(seen) ? NOTHING : age(Math.max(stream.steady() - seen, 0) / 1000));
  }
}

find();
localTimes();
stream.listen({ link, assets, alarms: follow(() => "/alarms") });
setInterval(() => {
  tick();
  ages();
}, 500);
