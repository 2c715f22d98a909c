"""Something that a person keeps: a saved view, a note, a threshold. Its kinds and their bounds stand in one table.

    view        a name, and the address of a trend: its maker's alone
    note        words about an asset or a tag, at a moment: for everybody who reads that tag, or for the own employer
    threshold   limits of a tag, by which its maker wants to be told: its maker's alone

A thing about a tag is shown to nobody whose scope does not hold the tag, its maker included: a grant that has ended
takes the notes along, and gives them back when it is renewed. A vendor's reader sees the notes of the own employer and
those of the plant, never those of another vendor; the plant's people see all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Held: TypeAlias = "Mapping[str, str | float | bool | None]"
"""What belongs to a kind alone, as JSON has it."""


class ThingKind(StrEnum):
    """What sort of thing it is."""

    VIEW = "view"
    NOTE = "note"
    THRESHOLD = "threshold"


MOST = {ThingKind.VIEW: 100, ThingKind.NOTE: 2_000, ThingKind.THRESHOLD: 500}
"""Most things of a kind that one person keeps: more is nothing that a person looks through."""

MOST_OF_ALL = 100_000
"""Of everybody together: some 50 MB."""

LONGEST_NAME = 80
"""Characters of a view's name."""

LONGEST_TEXT = 2_000
"""Characters of a note."""

LARGEST = 8_192
"""Bytes of `held` as JSON: a view of sixteen tags with the longest names that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptThing:
    """One thing on somebody's desk."""

    key: str
    """Names it for ever; never used again."""
    kind: ThingKind
    person: str
    """Key of who keeps it."""
    employer: str
    """Theirs, as it was then; empty: the site's own people."""
    made_ns: int
    """When it was kept [ns since 1970 UTC, the low side's clock]."""
    asset: str = ""
    """What it is about; empty for a view."""
    tag: str = ""
    """Of that asset; empty: the whole of it."""
    at_ns: int = 0
    """The moment it is about, 0 for none [ns since 1970 UTC, the device's time]."""
    held: Held = field(default_factory=dict)
    """A view: `name`, `address`. A note: `text`, `own` (for the own employer alone). A threshold: as its page says."""


def shown_to(thing: KeptThing, *, person: str, employer: str, sees: Callable[[str, str], bool]) -> bool:
    """Whether somebody may see a thing.

    Args:
        thing: The thing.
        person: Key of who looks.
        employer: Theirs; empty: the site's own.
        sees: Whether their scope holds an asset and a tag (empty: the asset).
    """
    if thing.asset and not sees(thing.asset, thing.tag):
        return False
    if thing.person == person:
        return True
    if thing.kind is not ThingKind.NOTE:
        return False
    if thing.held.get("own"):
        return thing.employer == employer
    return not employer or thing.employer in ("", employer)
