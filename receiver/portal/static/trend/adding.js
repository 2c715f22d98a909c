// Taking tags away, and finding others by name while it is typed: the server sends the few that fit, never the plant.

import { all, make, one } from "../dom.js";

const WAIT_MS = 200;

// `open(names)` shows the chart of other tags, all else as it is.
export function adding(names, open) {
  for (const link of all("[data-take]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const taken = decodeURIComponent(link.closest("[data-name]").dataset.name);
      open(names.filter((name) => name !== taken));
    });
  }
  const form = one("#adding");
  if (!form) return;
  const field = one("[type=search]", form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    open([...names, field.value.trim()]);
  });
  const list = one("#found");
  let timer = 0;
  let asked = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = (asked += 1);
      const answer = await fetch(`/api/tags?find=${encodeURIComponent(field.value)}`).catch(() => null);
      if (!answer?.ok || mine !== asked) return;
      const { tags } = await answer.json();
      if (mine === asked) list.replaceChildren(...tags.map((tag) => make("option", { value: tag.name }, `${tag.label} ${tag.unit}`)));
    }, WAIT_MS);
  });
}
