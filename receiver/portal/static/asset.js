// One asset's tags: values as they come, ages each second, a search and a filter that work on what is there.

import { follow } from "./alarms.js";
import { all, make, one, safely, say, show } from "./dom.js";
import { count } from "./format.js";
import { Line } from "./line.js";
import * as stream from "./stream.js";
import { localTimes, renew, tick, told } from "./strip.js";
import { sparks } from "./trend/sparks.js";

const name = decodeURIComponent(document.body.dataset.asset);
let lines = new Map();
const asked = { text: "", only: false };
let down = one("[data-asset-state] .state")?.dataset.state === "down";

function find() {
  lines = new Map(all("[data-rows] tr[data-series]").map((row) => [Number(row.dataset.series), new Line(row)]));
  for (const line of lines.values()) line.down = down;
  show(one(".tools"), true);
  one("#find").value = asked.text;
  one("#abnormal").checked = asked.only;
  one("#find").addEventListener("input", sift);
  one("#abnormal").addEventListener("change", sift);
  sift();
  sparks();
}

function values(rows) {
  for (const row of rows) safely(() => lines.get(row[0])?.take(row));
  if (one("#abnormal").checked) sift();
}

function link(link) {
  told(link);
  if (String(link.version) !== document.body.dataset.version || link.down.includes(name) !== down) {
    down = link.down.includes(name);
    for (const line of lines.values()) line.down = down;
    renew(find);
  }
}

function card(held) {
  for (const node of all("[data-account]")) say(node, count(held[node.dataset.account]));
}

// Hide the rows that were not asked for.
function sift() {
  Object.assign(asked, { text: one("#find").value, only: one("#abnormal").checked });
  const wanted = asked.text.trim().toLowerCase();
  const { only } = asked;
  let shown = 0;
  for (const { node } of lines.values()) {
    const held = node.dataset;
    const wrong = held.grade !== "good" || "stale" in held || "outside" in held;
    const fits = (!wanted || one("th", node).textContent.toLowerCase().includes(wanted)) && (!only || wrong);
    show(node, fits);
    shown += fits;
  }
  say(one("[data-sum]"), shown === lines.size ? String(shown) : `${shown} of ${lines.size}`);
  let note = one("#nothing");
  if (!note) {
    note = make("tr", { id: "nothing", class: "none" }, make("td", { colspan: "7" }, "No tag fits."));
    one("[data-rows]").append(note);
  }
  show(note, lines.size > 0 && shown === 0);
}

find();
localTimes();
stream.listen({ link, values, card, alarms: follow(() => "/alarms?asset=" + encodeURIComponent(name)) });
setInterval(() => {
  tick();
  for (const line of lines.values()) safely(() => line.tick());
}, 1000);
