// One asset's tags: values as they come, ages each second, a search and a filter over all of them. The rows that are in
// view are made here (`tags/list.js`); the address holds what was asked for, so that a page that is opened again is the same.

import { follow } from "./alarms.js";
import { all, one, safely, say, show } from "./dom.js";
import { count } from "./format.js";
import * as stream from "./stream.js";
import { localTimes, renew, tick, told } from "./strip.js";
import { TagList, withScript } from "./tags/list.js";
import { Tag } from "./tags/row.js";

const name = decodeURIComponent(document.body.dataset.asset);
const asked = { text: one("#find").value, only: one("#abnormal").checked };
let tags = new Map();
let list = null;
let closed = new Set();
let down = one("[data-asset-state] .state")?.dataset.state === "down";

function find() {
  const facts = JSON.parse(one("[data-tags]").textContent);
  tags = new Map(facts.map((fact) => [fact.series, new Tag(fact)]));
  list = new TagList(one(".tags"), one("[data-tag-row]"), [...tags.values()]);
  Object.assign(list, { down, closed });
  withScript();
  show(one("[data-tools]"), true);
  one("#find").value = asked.text;
  one("#abnormal").checked = asked.only;
  one("#find").addEventListener("input", sift);
  one("#abnormal").addEventListener("change", sift);
  one("[data-tools]").addEventListener("submit", (event) => event.preventDefault());
  build();
}

function build() {
  const words = asked.text.trim().toLowerCase();
  list.wanted = (tag) => (!words || tag.sought.includes(words)) && (!asked.only || tag.wrong(down));
  list.build();
  closed = list.closed;
  say(one("[data-sum]"), list.shown.length === tags.size ? count(tags.size) : `${count(list.shown.length)} of ${count(tags.size)}`);
}

// Show what is asked for, and say so in the address.
function sift() {
  Object.assign(asked, { text: one("#find").value, only: one("#abnormal").checked });
  const address = new URL(location);
  for (const [key, value] of [["find", asked.text.trim()], ["abnormal", asked.only ? "1" : ""], ["page", ""]]) {
    if (value) address.searchParams.set(key, value);
    else address.searchParams.delete(key);
  }
  history.replaceState(null, "", address);
  build();
}

// Rows come and go with what needs a look.
function changed() {
  if (!asked.only) return;
  const now = list.tags.filter(list.wanted);
  if (now.length !== list.shown.length || now.some((tag, place) => tag !== list.shown[place])) build();
}

function values(rows) {
  for (const row of rows) safely(() => tags.get(row[0])?.take(row));
  changed();
}

function link(link) {
  told(link);
  if (String(link.version) !== document.body.dataset.version || link.down.includes(name) !== down) {
    down = link.down.includes(name);
    list.down = down;
    for (const tag of tags.values()) if (tag.line) tag.line.down = down;
    renew(find);
  }
}

function card(held) {
  for (const node of all("[data-account]")) say(node, count(held[node.dataset.account]));
}

find();
localTimes();
stream.listen({ link, values, card, alarms: follow(() => "/alarms?asset=" + encodeURIComponent(name)) });
addEventListener("beforeprint", () => list.print(true));
addEventListener("afterprint", () => list.print(false));
setInterval(() => {
  tick();
  for (const tag of tags.values()) if (tag.line) safely(() => tag.line.tick());
  list.count();
  changed();
}, 1000);
