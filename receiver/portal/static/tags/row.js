// One row of an asset's table: the template's, filled in with what is known of the tag.

import { make, mark, one, say } from "../dom.js";
import { Line, grade, severity, sideOf } from "../line.js";
import { stale } from "../freshness.js";
import * as stream from "../stream.js";

// What is known of one tag: its facts as the page has them (`listing/listed_tags.py`), and its newest row of values.
export class Tag {
  constructor(facts) {
    Object.assign(this, facts);
    this.sought = `${facts.name} ${facts.about}`.toLowerCase();
    this.line = null; // while its row is in view
  }

  take(row) {
    this.row = row;
    this.line?.take(row);
  }

  // It is not good, fresh and in its normal band.
  wrong(down) {
    if (this.fault || !this.row) return true;
    const [, , value, code, , seen] = this.row;
    if (grade(code) !== "good" || (severity(code) < 2 && sideOf(this, this.normal, value))) return true;
    return Boolean(stale({ now: stream.steady(), seen, after: this.after, beatAge: stream.beatAge(), down }));
  }

  // A new row, which lives until `leave`.
  enter(template, down) {
    const link = make("a", { href: this.page }, this.rest);
    if (this.rest !== this.name) link.title = this.name;
    if (this.fault) {
      return make("tr", {}, make("th", { scope: "row" }, link), make("td", { class: "why", colspan: "6" }, this.fault));
    }
    const node = template.content.firstElementChild.cloneNode(true);
    const data = { series: this.series, after: this.after, places: this.places ?? "", type: this.type, seen: this.row?.[5] ?? "" };
    if (this.states.length) data.states = JSON.stringify(this.states);
    [data.normalLow, data.normalHigh] = this.normal.map((limit) => limit ?? "");
    for (const [name, value] of Object.entries(data)) mark(node, name, value);
    one("th", node).replaceChildren(link, ...(this.about ? [make("span", { class: "sub" }, this.about)] : []));
    say(one(".unit", node), this.unit);
    one(".unit", node).title = this.code;
    one("[data-spark]", node).dataset.spark = this.key;
    this.bars(one(".bar", node));
    this.line = new Line(node);
    this.line.down = down;
    if (this.row) this.line.take(this.row);
    return node;
  }

  bars(node) {
    if (!this.bar) return node.remove();
    const [low, high, x, width] = this.bar;
    Object.assign(node.dataset, { low, high });
    const band = one(".bar-band", node);
    band.setAttribute("x", x);
    band.setAttribute("width", width);
    return undefined;
  }

  leave() {
    this.line = null;
  }
}
