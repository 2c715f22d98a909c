// The field of the strip that searches the whole plant: lines below it while one types, arrows and Enter to go there,
// Escape to leave, and `/` to come from anywhere on a page. Without a script the field asks for the page of finds.

import { make, one, show } from "./dom.js";

const PAUSE_MS = 120;

const form = one("[data-search]");
const field = one("input", form);
const box = one("[role=listbox]", form);
const note = one("[role=status]", form);
let timer = 0;
let asked = 0;
let lines = [];
let at = -1;

field.setAttribute("role", "combobox");
field.setAttribute("aria-autocomplete", "list");
field.setAttribute("aria-controls", box.id);
field.setAttribute("aria-expanded", "false");

function open(visible) {
  show(box, visible);
  field.setAttribute("aria-expanded", String(visible));
  if (!visible) choose(-1);
}

function choose(place) {
  lines[at]?.setAttribute("aria-selected", "false");
  at = place;
  lines[at]?.setAttribute("aria-selected", "true");
  lines[at]?.scrollIntoView({ block: "nearest" });
  if (lines[at]) field.setAttribute("aria-activedescendant", lines[at].id);
  else field.removeAttribute("aria-activedescendant");
}

async function ask() {
  const text = field.value.trim();
  const number = (asked += 1);
  if (!text) return put([], 0, "");
  const answer = await fetch(`/api/search?${new URLSearchParams({ find: text })}`).catch(() => null);
  if (number !== asked) return undefined; // another was asked meanwhile
  if (!answer?.ok) return put([], 0, "The plant cannot be searched now.");
  const { found, more } = await answer.json();
  return put(found, more, found.length ? "" : "Nothing fits.");
}

function put(found, more, trouble) {
  choose(-1);
  lines = found.map(({ kind, name, asset, about, page }, place) => {
    const sub = [asset, about].filter(Boolean).join(" \u00b7 ");
    const line = make("li", { role: "option", id: `find-${place}`, "aria-selected": "false", data: { page } },
      make("b", {}, name), make("span", { class: "sub" }, kind === "asset" ? ["asset", sub].filter(Boolean).join(" \u00b7 ") : sub));
    line.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    line.addEventListener("click", () => location.assign(page));
    return line;
  });
  box.replaceChildren(...lines);
  note.textContent = trouble || (more ? `${lines.length} of ${lines.length + more}; Enter shows all` : `${lines.length} found`);
  note.classList.toggle("unseen", !trouble && !more);
  show(note, Boolean(field.value.trim()) && document.activeElement === field);
  open(lines.length > 0 && document.activeElement === field);
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
});
field.addEventListener("focus", () => { if (field.value.trim()) ask(); });
field.addEventListener("blur", () => {
  open(false);
  show(note, false);
});
field.addEventListener("keydown", (event) => {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key in steps && lines.length) {
    event.preventDefault();
    if (box.hidden) open(true);
    choose((at + steps[event.key] + lines.length + (at < 0 && event.key === "ArrowUp" ? 1 : 0)) % lines.length);
  } else if (event.key === "Enter" && at >= 0) {
    event.preventDefault();
    location.assign(lines[at].dataset.page);
  } else if (event.key === "Escape") {
    event.preventDefault();
    if (box.hidden) field.blur();
    open(false);
    show(note, false);
  }
});
addEventListener("keydown", (event) => {
  const writes = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || writes || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  field.focus();
  field.select();
});
