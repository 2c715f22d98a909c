"""An asset's tags as its page lists them: by groups, sifted by what was asked, a part at a time.

    ?find=TEXT       tags whose name or description holds it
    ?abnormal=1      only what needs a look
    ?page=N          without a script: the N-th `PART` rows of those

A script is given the facts of all tags (`facts`) and makes the rows that are in view by itself (`static/tags/`), so
that neither the server nor the browser holds rows that nobody sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import quote

import orjson
from markupsafe import Markup
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from protocol.content.catalog import Tag
from receiver.portal import words
from receiver.portal.faults import DisplayFaults
from receiver.portal.listing import name_groups
from receiver.portal.plant_picture import LiveTag, called
from receiver.portal.shown import Bar, ShownTag, bar

PART = 50
"""Rows of one part: some four screens."""

LONGEST_FIND = 200
"""Characters of a text that is looked for."""

_UNSAFE = re.compile(rb"[<>&]|\xe2\x80[\xa8\xa9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TagQuestion:
    """What of an asset's tags was asked for."""

    find: str = ""
    abnormal: bool = False
    page: int = 1
    """From 1."""

    @classmethod
    def asked(cls, params: QueryParams) -> TagQuestion:
        """As an address has it; HTTPException (400) for a page that is no number."""
        page = params.get("page", "1")
        if not (page.isascii() and page.isdigit() and 0 < len(page) < 7 and int(page)):
            raise HTTPException(400)
        find = params.get("find", "").strip()[:LONGEST_FIND]
        return cls(find=find, abnormal=bool(params.get("abnormal")), page=int(page))

    def fits(self, live_tag: LiveTag, show: Callable[[LiveTag], ShownTag]) -> bool:
        """Whether a tag was asked for."""
        tag = live_tag.tag
        if self.find and self.find.casefold() not in f"{tag.name} {tag.description}".casefold():
            return False
        return not self.abnormal or needs_look(show(live_tag))


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPart:
    """The rows of one part."""

    asked: TagQuestion
    rows: Sequence[tuple[LiveTag, str, str]]
    """Tag, its group, and its name without that."""
    found: int
    """Tags that fit."""
    of: int
    """Tags of the asset."""

    @property
    def pages(self) -> int:
        """Parts of what fits."""
        return -(-self.found // PART)

    @property
    def grouped(self) -> Iterator[tuple[str, list[tuple[LiveTag, str]]]]:
        """Rows by group: its name, and each tag with the rest of its name."""
        for group, rows in groupby(self.rows, key=lambda row: row[1]):
            yield group, [(live_tag, rest) for live_tag, _, rest in rows]


class ListedTags:
    """The tags of one asset in the order of its page."""

    def __init__(self, tags: Sequence[LiveTag]) -> None:
        """
        Args:
            tags: In the catalog's order; groups stand in the order of their first tags.
        """
        found = name_groups.groups([one.tag.name for one in tags])
        order = {group: at for at, group in enumerate(dict.fromkeys(found))}
        rows = sorted(zip(tags, found, strict=True), key=lambda row: order[row[1]])
        self._rows = [(tag, group, name_groups.rest(tag.tag.name, group)) for tag, group in rows]

    @property
    def tags(self) -> list[LiveTag]:
        """In that order."""
        return [live_tag for live_tag, _, _ in self._rows]

    def part(self, asked: TagQuestion, show: Callable[[LiveTag], ShownTag]) -> TagPart:
        """What was asked for; the last part where the asked one is beyond it."""
        fitting = [row for row in self._rows if asked.fits(row[0], show)]
        first = min(asked.page - 1, max(-(-len(fitting) // PART) - 1, 0)) * PART
        asked = TagQuestion(find=asked.find, abnormal=asked.abnormal, page=first // PART + 1)
        return TagPart(asked=asked, rows=fitting[first : first + PART], found=len(fitting), of=len(self._rows))

    def facts(self, faults: DisplayFaults) -> Markup:
        """Everything that a script needs for the rows, as JSON that can stand in a page."""
        made = orjson.dumps([_told(faults, *row) for row in self._rows])
        return Markup(_UNSAFE.sub(lambda hit: b"\\u%04x" % ord(hit[0].decode()), made).decode())  # noqa: S704 - inert


def needs_look(one: ShownTag) -> bool:
    """It is not good, fresh and in its normal band."""
    return one.grade != "good" or bool(one.stale or one.outside or one.live_tag.fault)


def blank() -> ShownTag:
    """A row that a script fills in."""
    tag = Tag(id=0, asset="-", name="-")
    empty = Bar(low=0.0, high=1.0, band_x=0.0, band_width=0.0, mark_x=None)
    return ShownTag(LiveTag(0, tag, None, "", 1.0), words.NOTHING, "", "none", "no value yet", "", "", None, empty)


def _told(faults: DisplayFaults, live_tag: LiveTag, group: str, rest: str) -> orjson.Fragment:
    """One tag's facts; of one that cannot be shown its name, and why."""
    tag = live_tag.tag
    named = {"series": live_tag.series, "name": words.text(tag.name), "rest": words.text(rest)}
    named |= {"group": words.text(group), "key": quote(tag.name, safe=""), "page": live_tag.page}
    try:
        if not live_tag.fault:
            return orjson.Fragment(orjson.dumps(named | _facts(live_tag)))
        fault = live_tag.fault
    except Exception as error:  # noqa: BLE001 - one tag of many
        fault = faults.note(called(live_tag), error)
    return orjson.Fragment(orjson.dumps(named | {"fault": fault, "about": "", "row": None}))


def _facts(live_tag: LiveTag) -> dict[str, Any]:
    tag, shown = live_tag.tag, bar(live_tag)
    return {
        "about": words.text(tag.description),
        "unit": live_tag.unit,
        "code": words.text(tag.unit),
        "type": tag.type,
        "places": live_tag.places,
        "after": live_tag.after_s,
        "states": tag.states,
        "normal": [tag.normal_low, tag.normal_high],
        "bar": [shown.low, shown.high, shown.band_x, shown.band_width] if shown else None,
        "fault": "",
        "row": live_tag.row() if live_tag.seen_ns else None,
    }
