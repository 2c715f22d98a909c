// The other time of a comparison: how far back it begins, and the controls that move it.

import { all, one, show } from "../dom.js";
import { instant, moment } from "../format.js";

// `view.offset` is by how much the other time is older [ms], null without one; `changed(offset)` is called.
export function compare(view, changed) {
  const form = one("#against");
  const field = one("input[name=against]", form);
  const length = () => view.to - view.from;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const at = instant(field.value);
    if (Number.isFinite(at)) changed(view.from - at);
  });
  for (const button of all("[data-against]", form)) {
    button.addEventListener("click", () => {
      const word = button.dataset.against;
      if (word === "none") changed(null);
      else if (word === "before") changed(length());
      else changed(view.offset - (Number(word) * length()) / 100);
    });
  }
  show(one('[data-against="before"]', form), true);
}

export function compared(view) {
  const form = one("#against");
  show(one("[data-against-on]", form), view.offset !== null);
  one("input[name=against]", form).value = moment(view.from - (view.offset ?? view.to - view.from)).replace(" ", "T");
}
