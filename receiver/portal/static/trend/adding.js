// Finding a tag by its name while it is typed: the server sends the few that fit, never the whole plant.

import { make, one } from "../dom.js";

const WAIT_MS = 200;

export function adding() {
  const form = one("#adding");
  if (!form) return;
  const field = one("[name=tag]", form);
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
