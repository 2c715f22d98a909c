"""The numbers of an asset in the overview's row: a cell each, which `static/overview.js` keeps up to date.

They are put together here, not in the template: thirteen cells of two hundred assets are most of the overview.
"""

from __future__ import annotations

from markupsafe import Markup

from receiver.portal import words
from receiver.portal.plant_picture import AssetCard

NOW = ("tags", "bad", "uncertain", "outside", "stale", "silent")
SAMPLES = ("read", "sent", "published", "missing", "lost", "healed")
LABELS = {"stale": "STALE", "silent": "Never"}
"""Of a cell on a narrow screen, where it is not its name."""
MARKS = {
    "bad": "bad",
    "uncertain": "warn",
    "outside": "warn",
    "stale": "stale",
    "silent": "stale",
    "missing": "warn",
    "lost": "bad",
}
"""How a number is marked where it is not zero."""


def cells(card: AssetCard, names: tuple[str, ...]) -> Markup:
    """The cells with these numbers of an asset."""
    return Markup("").join(_cell(card, name, first=name == names[0]) for name in names)


def _cell(card: AssetCard, name: str, *, first: bool) -> Markup:
    value: int | None = getattr(card, name)
    kind = "num" + (" first" if first else "") + (" roomy" if name in ("read", "sent", "published", "healed") else "")
    mark = f' data-mark="{MARKS[name]}"' if value and not card.fault and name in MARKS else ""
    text = words.NOTHING if card.fault or value is None else words.count(value)
    label = LABELS.get(name, name.capitalize())
    made = f'<td class="{kind}" data-label-short="{label}" data-count="{name}"{mark}>{text}</td>'
    return Markup(made)  # noqa: S704 - numbers and words of ours
