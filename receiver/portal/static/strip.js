// The strip at the top of every page: the link's vital signs, the clock, and the alarms that concern the whole page.

import { all, mark, one, say, show, symbol } from "./dom.js";
import { age as ageText, count, moment, share, span, switchZone, zone, zoneName } from "./format.js";
import { BEAT_LOST_S } from "./freshness.js";
import * as stream from "./stream.js";

const strip = one(".strip");
const vital = (name) => one(`[data-vital="${name}"]`, strip);

function put(name, text, alarm = "") {
  const node = vital(name);
  say(node, text);
  mark(node.parentElement, "mark", alarm);
}

export function told(link) {
  put("loss", share(link.loss), link.loss > 0.25 ? "warn" : "");
  put("clock", link.clock, "bad");
  show(one("[data-clock-apart]", strip), Boolean(link.clock));
  put("spool", link.spool, "bad");
  show(one("[data-spool-trouble]", strip), Boolean(link.spool));
  put("repaired", count(link.blocks.repaired));
  put("missing", count(link.blocks.missing), link.blocks.missing ? "warn" : "");
  put("healed", count(link.blocks.healed));
  put("expired", count(link.blocks.expired), link.blocks.expired ? "bad" : "");
  put("refused", count(link.refused_total), link.refused_total ? "warn" : "");
  const trouble = one("#trouble");
  show(trouble, Boolean(link.trouble));
  say(one("span", trouble), link.trouble);
  const alarms = one("#alarms");
  show(alarms, link.alarms.length > 0);
  say(alarms, link.alarms.join("\n"));
  tick();
}

// The lamp is judged here again between two messages: a beat grows old by itself.
export function tick() {
  const link = stream.link();
  const age = stream.beatAge();
  say(one("[data-clock]"), `${moment(stream.now())} ${zone(stream.now())}`);
  const frozen = stream.frozen();
  const note = one("#frozen");
  show(note, frozen);
  if (frozen) say(note, `This page has heard nothing from its server for ${span(stream.silence() / 1000)}. What it shows is old.`);
  mark(document.body, "frozen", frozen);
  if (!link) return;
  let lamp = link.lamp;
  let text = link.lamp_text;
  if (lamp !== "none" && age !== null && age > BEAT_LOST_S) {
    lamp = "silent";
    text = `Link silent for ${span(age)}`;
  }
  if (frozen) {
    lamp = "none";
    text = "Page not connected";
  }
  mark(strip, "lamp", lamp);
  symbol(one(".lamp .glyph", strip), `lamp-${lamp}`);
  say(vital("lamp"), text);
  say(vital("beat"), age === null ? "\u2014" : `${ageText(age)} ago`);
  const silent = one("#silent");
  show(silent, !frozen && (lamp === "silent" || lamp === "none"));
  say(silent, `${text}. Every value on this page is STALE.`);
}

// In whose zone times are shown; the page is made anew, since they stand all over it.
const zones = one("[data-zone-switch]", strip);
if (zones) {
  say(zones, zoneName ? `Plant's time (${zoneName})` : "This computer's time");
  zones.addEventListener("click", () => {
    if (switchZone()) location.reload();
  });
  show(zones, true);
}

// Times come from the server in UTC; people read them in their own zone or the plant's: its offset stands in the strip.
export function localTimes(root = document) {
  for (const node of all("time[data-ms]", root)) {
    node.dateTime = iso(Number(node.dataset.ms));
    say(node, moment(Number(node.dataset.ms), node.dataset.form));
  }
}

function iso(ms) {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}

// Fetch this page again and put its <main> in place: when assets or tags came or went. At most every two seconds.
let fetched = 0;
export async function renew(after) {
  if (performance.now() - fetched < 2000) return;
  fetched = performance.now();
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  one("main").replaceWith(document.adoptNode(one("main", fresh)));
  document.body.dataset.version = fresh.body.dataset.version;
  localTimes();
  after();
}
