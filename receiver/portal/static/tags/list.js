// The rows of an asset's table that are in view, and no others: the table is cut into parts, each a <tbody>; a part that
// comes near the window is filled, one that goes far away leaves an empty row of its height. All are filled for printing.

import { all, make, one, say, show } from "../dom.js";
import { count } from "../format.js";
import { unwatch, watchMore } from "../trend/sparks.js";

const EACH = 20; // rows of a part
const NEAR = "500px";
const ROW = 34; // height of a row that was never in view [px]

class Part {
  constructor(list, items, first) {
    Object.assign(this, { list, items, first, filled: false });
    this.node = make("tbody", { "data-rows": "" });
    this.height = items.length * ROW;
    this.empty();
  }

  empty() {
    const cell = make("td", { colspan: "7" });
    cell.style.height = `${this.height}px`;
    this.node.replaceChildren(make("tr", { class: "away", "aria-hidden": "true" }, cell));
  }

  enter() {
    if (this.filled) return;
    this.filled = true;
    this.node.replaceChildren(...this.items.map((item, place) => {
      const row = item.tag ? item.tag.enter(this.list.template, this.list.down) : this.list.heading(item);
      row.ariaRowIndex = this.first + place + 2;
      return row;
    }));
    watchMore(this.node);
  }

  leave() {
    if (!this.filled || this.list.printing || this.node.contains(document.activeElement)) return;
    this.height = this.node.offsetHeight || this.height;
    this.forget();
    this.empty();
  }

  forget() {
    if (this.filled) unwatch(this.node);
    this.filled = false;
    for (const { tag } of this.items) tag?.leave();
  }
}

export class TagList {
  // `table` has one template row beside it; `tags` are those of the page, in its order.
  constructor(table, template, tags) {
    Object.assign(this, { table, template, tags, parts: [], wanted: () => true, down: false, printing: false });
    this.closed = new Set();
    this.headings = new Map();
    this.watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const part = this.byNode.get(entry.target);
        if (entry.isIntersecting) part?.enter();
        else part?.leave();
      }
    }, { rootMargin: `${NEAR} 0px` });
  }

  // Show the tags that `wanted` takes, in parts; what has the focus keeps it where it is still there.
  build() {
    const held = this.table.contains(document.activeElement) ? document.activeElement : null;
    const [group, address] = [held?.dataset.group, held?.getAttribute("href")];
    this.watch.disconnect();
    for (const part of this.parts) part.forget();
    this.headings.clear();
    this.shown = this.tags.filter(this.wanted);
    const items = [];
    let before = "";
    for (const tag of this.shown) {
      if (tag.group !== before) items.push({ group: tag.group });
      before = tag.group;
      if (!this.closed.has(tag.group)) items.push({ tag });
    }
    this.parts = [];
    for (let at = 0; at < items.length; at += EACH) this.parts.push(new Part(this, items.slice(at, at + EACH), at));
    this.byNode = new Map(this.parts.map((part) => [part.node, part]));
    all("tbody", this.table).forEach((body) => body.remove());
    this.table.append(...(this.parts.length ? this.parts.map((part) => part.node) : [nothing(this.tags.length)]));
    this.table.ariaRowCount = items.length + 1;
    this.parts[0]?.enter();
    for (const part of this.parts) this.watch.observe(part.node);
    const place = held && items.findIndex((item) => (item.tag ? item.tag.page === address : item.group === group));
    if (held && place >= 0) {
      const part = this.parts[Math.floor(place / EACH)];
      part.enter();
      one("a, button", part.node.children[place % EACH])?.focus();
    }
  }

  // The row above the tags of a group: its button shows and hides them.
  heading({ group }) {
    if (!group) return make("tr", { class: "group" }, make("th", { colspan: "7", scope: "rowgroup" }, "Others"));
    const button = make("button", { type: "button", class: "fold", "aria-expanded": String(!this.closed.has(group)), data: { group } }, group);
    button.addEventListener("click", () => {
      if (!this.closed.delete(group)) this.closed.add(group);
      this.build();
    });
    const note = make("span", { class: "sum" });
    this.headings.set(group, note);
    this.count();
    return make("tr", { class: "group" }, make("th", { colspan: "7", scope: "rowgroup" }, button, " ", note));
  }

  // How many tags of each group that is in view there are, and need a look.
  count() {
    for (const [group, note] of this.headings) {
      const tags = this.shown.filter((tag) => tag.group === group);
      const wrong = tags.filter((tag) => tag.wrong(this.down)).length;
      say(note, `${count(tags.length)}${wrong ? `, ${count(wrong)} to look at` : ""}`);
    }
  }

  fold(close) {
    this.closed = new Set(close ? this.tags.map((tag) => tag.group).filter(Boolean) : []);
    this.build();
  }

  // Every row, for paper; and back.
  print(printing) {
    this.printing = printing;
    if (printing) for (const part of this.parts) part.enter();
    else this.build();
  }
}

function nothing(some) {
  const text = some ? "No tag fits." : "This asset has no tags yet.";
  return make("tbody", { "data-rows": "" }, make("tr", { id: "nothing", class: "none" }, make("td", { colspan: "7" }, text)));
}

// What stands in the page only for whoever has no script.
export function withScript() {
  for (const node of all("[data-without-script]")) show(node, false);
}
