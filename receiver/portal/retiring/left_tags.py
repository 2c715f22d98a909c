"""Which tags are out of the configuration, as far as can be told from here. Pure.

    taken out   a change of the configuration says `ASSET changed: tags A, B taken out`, and none since that A was added
    renamed     another tag of the asset was described after it, at its address, with its type, unit and conversion
    left        neither described nor sampled since the sender's last start, while other tags of its asset were

Each may be wrong by itself: words may be cut, two tags may share an address, a page of descriptions may be missing. So
a tag is *retired* only where one of them holds and it is not renewed either (`Picture.retired`), and never while blocks
are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protocol.content.catalog import Tag
from receiver.outputs.historian.views import ChangeView, TagView

LEFT = "not described since the sender's last start"
TAKEN_OUT = "taken out of the configuration"


def changes_of(asset: str, changes: Iterable[ChangeView]) -> list[tuple[ChangeView, list[str]]]:
    """The changes that concern an asset, with the lines that do, in the order they are given."""
    heads = (f"{asset} changed: ", f"{asset} added: ", f"{asset} taken out")
    found = [(one, [line for line in one.change.lines if line.startswith(heads)]) for one in changes]
    return [(one, lines) for one, lines in found if lines]


def taken_out(asset: str, changes: Iterable[ChangeView]) -> frozenset[str]:
    """Names of tags that the newest change which names them took out.

    Args:
        changes: Newest first.
    """
    state: dict[str, bool] = {}
    for _, lines in changes_of(asset, changes):
        for line in lines:
            for part in line.partition(" changed: ")[2].split("; "):
                for word in ("added", "taken out"):
                    if part.startswith("tags ") and part.endswith(f" {word}"):
                        for name in part[len("tags ") : -len(word) - 1].split(", "):
                            state.setdefault(name, word == "taken out")
    return frozenset(name for name, out in state.items() if out)


def left(views: Sequence[TagView], out: frozenset[str]) -> dict[int, str]:
    """By series: why it may be out of the configuration, in words.

    Args:
        views: All of one asset.
        out: Names that a change took out.
    """
    newest: dict[tuple[str, ...], TagView] = {}
    for view in views:
        if view.current and view.tag.address:
            place = _place(view.tag)
            newest[place] = max(newest.get(place, view), view, key=lambda one: one.series)
    why = {}
    for view in views:
        follower = newest.get(_place(view.tag)) if view.tag.address else None
        if follower is not None and follower.tag.name != view.tag.name and follower.series > view.series:
            why[view.series] = f"renamed: {follower.tag.name} stands at its address"
        elif view.tag.name in out:
            why[view.series] = TAKEN_OUT
        elif view.earlier_start:
            why[view.series] = LEFT
    return why


def _place(tag: Tag) -> tuple[str, ...]:
    return tag.address, tag.type, tag.unit, tag.conversion
