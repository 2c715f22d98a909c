"""What elements measure: the newest value, and the history (guide, "Query Methods").

A value holds until the next one, so in both an absence matters: the newest value is Uncertain once it is STALE, and a
history tells in `responseDetail` that blocks are missing in its time. Of a history longer than `MOST_SAMPLES` the
newest end is given, with status 206 and the moment to ask before; nothing is left out without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from protocol.errors import ConfigError
from receiver.export.moment import moment
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import AbsenceView, SampleView
from receiver.portal.freshness import beat_lost
from receiver.portal.i3x import told_values
from receiver.portal.i3x.address_space import AddressSpace, PlantElement
from receiver.portal.i3x.envelopes import I3xQuestion, bulk, problem
from receiver.portal.i3x.told_values import ToldValue, rfc3339
from receiver.portal.keeper import Keeper
from receiver.portal.live import Live
from receiver.portal.plant_picture import ViewTime
from receiver.portal.scoped import looks

MOST_SAMPLES = 100_000
"""Of one answer, over all its elements; some 8 MB."""
MOST_STATES = 1_000
"""Of an asset, newest first, among which those of the time are looked for."""
USUAL_NS = 3600 * 10**9
"""Length of a history whose start is not said [ns]."""
TOLD_GAPS = 5
"""Gaps told by their times; of more the number is told."""


@dataclass(slots=True)
class HistoryAnswer:
    """Histories as they are being read."""

    from_ns: int
    to_ns: int
    """Not included."""
    values: dict[str, list[ToldValue]] = field(default_factory=dict)
    """By element."""
    cut: dict[str, str] = field(default_factory=dict)
    """Of elements whose history is not whole: what to ask for."""
    room: int = MOST_SAMPLES
    """Samples that still fit."""


class Querying:
    """Answers of one reader's values."""

    def __init__(self, space: AddressSpace, live: Live, keeper: Keeper) -> None:
        """
        Args:
            space: The elements.
            live: Their newest values.
            keeper: A door for history.
        """
        self._space, self._live, self._keeper = space, live, keeper

    async def value(self, request: Request) -> Response:
        """`POST /objects/value`: the newest value of each, with those of its components where it is asked for."""
        asked = await I3xQuestion.of(request)
        names, depth = asked.names(), asked.depth()
        elements, at = self._space.elements, self._live.moment()

        def found(name: str) -> dict[str, Any]:
            one = elements[name]
            told: dict[str, Any] = {"isComposition": one.composed} | self.newest(one, at)
            if one.composed and depth != 1:
                told["components"] = {part.id: self.newest(part, at) for part in self._space.components(one, depth)}
            return told

        wanted = self._wanted(names, depth)
        looks.show(request, "read.value", *self._space.seen(wanted), rows=len(wanted))
        return bulk(names, found, absent=partial(looks.absent, request))

    async def history(self, request: Request) -> Response:
        """`POST /objects/history`: every sample of each in a time, oldest first."""
        asked = await I3xQuestion.of(request)
        names, depth = asked.names(), asked.depth()
        to_ns = self._time(asked, "endTime", self._live.moment().now_ns)
        from_ns = self._time(asked, "startTime", to_ns - USUAL_NS)
        if from_ns > to_ns:
            raise HTTPException(400, "startTime is after endTime")
        wanted, told = self._wanted(names, depth), HistoryAnswer(from_ns, to_ns)
        for one in wanted:
            await self._keeper.ask(lambda door, one=one: _read(door, one, told))  # type: ignore[misc]
        gaps = await self._keeper.ask(lambda door: door.absences(from_ns, to_ns))
        rows = sum(map(len, told.values.values()))
        looks.show(request, "read.history", *self._space.seen(wanted), between=(from_ns, to_ns), rows=rows)
        elements = self._space.elements

        def found(name: str) -> dict[str, Any]:
            one = elements[name]
            held: dict[str, Any] = {"isComposition": one.composed, "values": told.values.get(name, [])}
            if one.composed and depth != 1:
                parts = self._space.components(one, depth)
                held["components"] = {part.id: {"values": told.values.get(part.id, [])} for part in parts}
            return held

        sites = {one.live_asset.asset.site for one in wanted if one.live_asset is not None}
        detail = _missing([gap for gap in gaps if gap.site in sites])
        if told.cut:
            detail = _cut(told.cut, detail)
        absent = partial(looks.absent, request)
        return bulk(names, found, detail=detail, status=206 if told.cut else 200, absent=absent)

    def newest(self, one: PlantElement, at: ViewTime) -> ToldValue:
        """The newest value of an element."""
        if one.live_tag is not None:
            return told_values.newest(self._live.picture, one.live_tag, at)
        if one.live_asset is not None:
            return told_values.condition(one.live_asset, at, silent=beat_lost(at.beat_age_s))
        return told_values.nothing(at.now_ns)

    def _wanted(self, names: Iterable[str], depth: int) -> list[PlantElement]:
        """Those elements that are there and the components that belong into the answer, each once."""
        elements = self._space.elements
        held: dict[str, PlantElement] = {}
        for name in names:
            if (one := elements.get(name)) is not None:
                held |= {part.id: part for part in (one, *self._space.components(one, depth))}
        return [*held.values()]

    def _time(self, asked: I3xQuestion, name: str, otherwise: int) -> int:
        said = asked.may(name)
        if said is None:
            return otherwise
        try:
            return moment(name, said, None, lambda: self._live.moment().now_ns)
        except ConfigError as error:
            raise HTTPException(400, f"{error}: {error.hint}") from error


def _read(door: Door, one: PlantElement, told: HistoryAnswer) -> None:
    """Read one element's history; in the keeper's thread."""
    if one.live_tag is not None:
        found = door.samples(one.live_tag.series, told.from_ns, told.to_ns, told.room + 1)
        kept = _whole_moments(found, told.room)
        if len(kept) < len(found):
            before = kept[0].time_ns if kept else found[-1].time_ns + 1
            told.cut[one.id] = rfc3339(before)
        told.values[one.id] = [told_values.sample(one.live_tag.tag, each) for each in kept]
        told.room -= len(kept)
    elif one.live_asset is not None:
        states = door.states(one.live_asset.asset.name, MOST_STATES)
        if len(states) == MOST_STATES and states[-1].time_ns >= told.from_ns:
            told.cut[one.id] = rfc3339(states[-1].time_ns)
        inside = [each for each in states if told.from_ns <= each.time_ns < told.to_ns and each.what in ("up", "down")]
        inside.sort(key=lambda each: each.time_ns)
        told.values[one.id] = [told_values.told_state(each.what, each.text, each.time_ns) for each in inside]


def _whole_moments(found: Sequence[SampleView], room: int) -> Sequence[SampleView]:
    """The newest samples that fit, without part of those of one moment: the rest is asked for before it."""
    if len(found) <= room:
        return found
    kept = found[len(found) - room :]
    split = found[len(found) - room - 1].time_ns
    return [one for one in kept if one.time_ns > split]


def _missing(gaps: Sequence[AbsenceView]) -> dict[str, Any] | None:
    if not gaps:
        return None
    times = [f"{rfc3339(one.from_ns)} to {'now' if one.to_ns is None else rfc3339(one.to_ns)}" for one in gaps]
    told = ", ".join(times[:TOLD_GAPS]) + (f" and {len(gaps) - TOLD_GAPS} more" if len(gaps) > TOLD_GAPS else "")
    return problem(200, f"Blocks of the link are missing, and a repeat may still bring them: {told}", "Gaps")


def _cut(cut: dict[str, str], gaps: dict[str, Any] | None) -> dict[str, Any]:
    told = [f"{one} before {time}" for one, time in list(cut.items())[:TOLD_GAPS]]
    more = f" and {len(cut) - TOLD_GAPS} more" if len(cut) > TOLD_GAPS else ""
    beside = f" {gaps['detail']}." if gaps else ""
    said = f"More than {MOST_SAMPLES} samples: the newest are here. Ask again, with that endTime, for {', '.join(told)}"
    return problem(206, f"{said}{more}.{beside}")
