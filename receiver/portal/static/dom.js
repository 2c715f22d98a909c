// Small helpers for elements. Text only ever goes in as text, never as markup: names come from the plant.

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Write only what changed: an untouched node costs the browser nothing.
export function say(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (!node) return;
  if (value === "" || value === null || value === undefined || value === false) {
    if (name in node.dataset) delete node.dataset[name];
  } else if (node.dataset[name] !== String(value === true ? "" : value)) {
    node.dataset[name] = value === true ? "" : value;
  }
}

export function show(node, visible) {
  if (node && node.hidden === visible) node.hidden = !visible;
}

// make("td", {class: "num", data: {grade: "bad"}}, "text" or nodes ...)
export function make(kind, given = {}, ...children) {
  const node = document.createElement(kind);
  for (const [name, value] of Object.entries(given)) {
    if (name === "data") for (const [key, held] of Object.entries(value)) mark(node, key, held);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// One of many: where it fails, the others go on, and the console has the reason.
export function safely(act) {
  try {
    act();
  } catch (error) {
    console.error(error);
  }
}

const SVG = "http://www.w3.org/2000/svg";

export function glyph(symbol, extra = "") {
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("class", `glyph ${extra}`.trim());
  node.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${symbol}`);
  node.append(use);
  return node;
}

// Point an existing glyph at another symbol.
export function symbol(node, name) {
  const use = node && one("use", node);
  if (use && use.getAttribute("href") !== `#${name}`) use.setAttribute("href", `#${name}`);
}
