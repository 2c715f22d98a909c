// What stands beside the chart in words: events and notes of the range, numbered as they are in the chart.

import { make, one, say } from "../dom.js";
import { moment } from "../format.js";
import { TRIP } from "./marks.js";

const MOST = 200; // events in the table

// `more`: there may be earlier ones in this range.
export function events(found, more) {
  const rows = found.slice(-MOST).reverse().map((event) =>
    make("tr", { data: { event: event.state } },
      make("td", { class: "when" }, moment(event.time_ms, "tenths")),
      make("td", {}, event.state),
      make("td", { class: "num", data: { mark: event.severity >= TRIP ? "bad" : "" } }, String(event.severity)),
      make("td", {}, `${event.asset} / ${event.source}`),
      make("td", {}, event.text || event.code)));
  one("[data-events]").replaceChildren(...(rows.length ? rows : [none("tr")]));
  const shown = rows.length < found.length || more ? `; the newest ${rows.length}, more stand on the page of events` : "";
  say(one("[data-events-sum]"), `of these assets, in this range${shown}`);
}

// Each note may bring a form that drops it: `query` is the address to come back to.
export function notes(found, query) {
  const form = one("[data-drop-note]");
  const rows = found.map((note) => {
    const row = make("li", {},
      make("p", { class: "note-text" }, note.text),
      make("p", { class: "sub" }, `${note.about}, ${moment(note.at_ms)}. ${note.by}${note.own ? ", for the own people alone" : ""}`));
    if (note.may_drop && form) {
      const drop = form.content.cloneNode(true);
      one("[name=key]", drop).value = note.key;
      one("[name=address]", drop).value = query;
      row.append(drop);
    }
    return row;
  });
  one("[data-notes]").replaceChildren(...(rows.length ? rows : [none("li")]));
}

function none(kind) {
  if (kind === "li") return make("li", { class: "none" }, "None in this range.");
  return make("tr", { class: "none" }, make("td", { colspan: "5" }, "None in this range."));
}
