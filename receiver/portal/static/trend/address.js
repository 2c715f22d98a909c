// The address of the page is the whole of its state: receiver/portal/trending/trend_address.py tells its words.

const ORDER = ["tag", "range", "from", "to", "against", "show", "axes", "x", "y", "hide"];

// A tag's name in an address: receiver/portal/trending/tag_names.py writes the same.
export const joined = (asset, tag) => `${asset.replace(/[%/]/g, encodeURIComponent)}/${tag}`;

// Milliseconds since 1970 of a time in an address, or null: a number of them, or ISO 8601, UTC where no zone is said.
export function moment(text) {
  if (!text) return null;
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  const at = Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(text) || !text.includes("T") ? text : `${text}Z`);
  return Number.isNaN(at) ? null : at;
}

const iso = (ms) => new Date(Math.round(ms)).toISOString();

// What the address says, beside the range, which the server has read already.
export function read() {
  const asked = new URLSearchParams(location.search);
  return {
    names: [...new Set(asked.getAll("tag"))],
    against: moment(asked.get("against")),
    show: ["xy", "shares"].includes(asked.get("show")) ? asked.get("show") : "time",
    own: asked.get("axes") === "own",
    x: asked.get("x") ?? "",
    y: asked.get("y") ?? "",
    hidden: new Set(asked.get("hide") ?? ""),
  };
}

// The query of a view, without its question mark.
export function query(view) {
  const told = view.names.map((name) => ["tag", name]);
  if (view.live) told.push(["range", String(Math.max(1, Math.round((view.to - view.from) / 1000)))]);
  else told.push(["from", iso(view.from)], ["to", iso(view.to)]);
  if (view.offset !== null) told.push(["against", iso(view.from - view.offset)]);
  if (view.show !== "time") told.push(["show", view.show]);
  if (view.own) told.push(["axes", "own"]);
  if (view.x) told.push(["x", view.x]);
  if (view.y) told.push(["y", view.y]);
  if (view.hidden.size) told.push(["hide", [...view.hidden].sort().join("")]);
  told.sort(([one], [other]) => ORDER.indexOf(one) - ORDER.indexOf(other));
  return told.map(([key, held]) => `${key}=${encodeURIComponent(held).replaceAll("%2F", "/").replaceAll("%3A", ":")}`).join("&");
}

// Put it into the address bar, so that it can be sent to a colleague, and into every form that comes back here.
export function write(view) {
  const told = query(view);
  history.replaceState(null, "", `${location.pathname}?${told}`);
  for (const field of document.querySelectorAll("[data-address]")) field.value = told;
}
