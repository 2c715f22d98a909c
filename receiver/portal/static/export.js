// The form that makes a file: when it is opened it takes over what the page shows by then, which stands in the address.

const SECOND = /\.\d+Z$/;

for (const place of document.querySelectorAll("[data-export]")) {
  place.addEventListener("toggle", () => place.open && follow(place.querySelector("form")));
}

function follow(form) {
  const asked = new URLSearchParams(location.search);
  const range = Number(asked.get("range"));
  const to = moment(asked.get("to")) ?? new Date();
  const from = moment(asked.get("from")) ?? (range ? new Date(to - range * 1000) : null);
  if (from) {
    form.elements.from.value = from.toISOString().replace(SECOND, "Z");
    form.elements.to.value = new Date(Math.ceil(to / 1000) * 1000).toISOString().replace(SECOND, "Z");
  }
  const names = asked.getAll("tag");
  if (location.pathname === "/trend" && names.length) {
    for (const old of form.querySelectorAll("input[name=tag_key]")) old.remove();
    for (const name of names) {
      const held = document.createElement("input");
      Object.assign(held, { type: "hidden", name: "tag_key", value: encodeURIComponent(name) });
      form.append(held);
    }
  }
}

function moment(text) {
  if (!text) return null;
  const zoned = /(Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`;
  const found = /^-?[\d.]+$/.test(text) ? new Date(Number(text)) : new Date(zoned);
  return Number.isNaN(found.getTime()) ? null : found;
}
