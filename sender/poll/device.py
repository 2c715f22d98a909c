"""One device: reached, read by its schedule, and never silent.

    state      at each slot of the schedule              until
    opening    bad rows, quality of the last trouble     `open` returns: live; raises: closing
    live       the collector's rows                      a read raises: closing
    closing    bad rows                                  `close` returns, at most CLOSE_S
    resting    bad rows                                  the back-off is over: opening

The schedule begins when the first attempt to open has ended, or after the device's timeout: nothing is due before.
`up` is said after the first good read, `down` when it is lost. Whatever a collector raises, cancels, returns or never
returns is the device's trouble: written down, marked bad, tried again. Each of its calls runs in a task of its own
that is given up when it hangs (and with it the collector, since only one coroutine may call one), so a device can
delay nobody but itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from collectors.base import Collector, Device, Event, Facts, Identity, Point, Scan
from protocol.content.array import Array
from protocol.content.sample import Columns, Quality, ValueKind, columns, concat
from protocol.content.statuscodes import name_of
from protocol.errors import AssetError
from protocol.written import duration
from sender.poll.schedule import BACKOFF_S, Backoff, Schedule, Seldom, Slot

CLOSE_S = 5.0
"""Longest wait for a collector to close, or to end after it was cancelled [s]."""

HANG_S = 60.0
"""A call is given up after this and ten timeouts [s]: far above what a slow device needs, so it is a hang."""

TEXT = 300
"""Most characters of a collector's error that are told on."""

LINES = 20
"""Most lines of a collector that are told on after one read."""

log = logging.getLogger("checkvalve.poll")
Got = TypeVar("Got")
Wait: TypeAlias = Callable[[asyncio.Task[Any], float], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a device cannot be read."""

    text: str
    quality: int = Quality.BAD_COMMUNICATION
    """StatusCode of its samples meanwhile."""
    native: int = 0
    """The protocol's own code, 0 where there is none."""


@dataclass(slots=True)
class Counts:
    """What `status` shows of a device."""

    state: str = "starting"
    """`starting`, `up` or `down`."""
    trouble: str = ""
    """Why it is down, in words."""
    since_ns: int = 0
    """When the state began [ns since 1970 UTC]."""
    read: int = 0
    """Samples taken from the device and due, bad ones included [samples]."""
    held_back: int = 0
    """Samples taken and not sent: within their deadband [samples]."""
    bad: int = 0
    """Samples sent with bad quality [samples]."""
    overruns: int = 0
    """Reads that took longer than their period."""
    skipped: int = 0
    """Slots that were given up."""
    failures: int = 0
    """Times the device was lost or could not be opened."""
    refused: int = 0
    """Requests that the guard did not let through."""
    events: int = 0
    """Alarms and events told."""
    request_ms: float = 0.0
    """How long the last read took [ms]."""
    troubles: list[str] = field(default_factory=list)
    """What has no values although the device is up, and why: a request that it does not answer."""
    certificates: dict[str, int] = field(default_factory=dict)
    """Of its connection, in words, and when each ends [ns since 1970 UTC]; as of the last time it was opened."""


class Hand(Protocol):
    """Takes what a device gives; point numbers, not ids."""

    def described(self, facts: Mapping[int, Facts], identity: Identity) -> None:
        """What the device says of itself; empty where it was not reached. Comes before its first rows."""

    def rows(self, scan: int, rows: Columns) -> None:
        """One slot's rows; `tag` holds point numbers of the device."""

    def happened(self, events: Sequence[Event]) -> None:
        """What the device itself says has happened, after the rows of the same read."""

    def said(self, what: str, text: str) -> None:
        """`up`, `down`, `overrun`, `refused` or `note`."""


class DeviceLoop:
    """Reads one device for ever.

    Args:
        device: With at least one scan.
        make: Makes its collector; given the function to call for each refused request.
        hand: Takes what comes.
        counts: Kept up to date.
        subscribes: Its reads drain notifications: a point without a row is quiet, not left out.
        clock: Wall time [ns since 1970 UTC].
        monotonic: Monotonic time [s].
        random: For the back-off.
    """

    def __init__(
        self,
        device: Device,
        make: Callable[[Callable[[str], None]], Collector],
        hand: Hand,
        counts: Counts,
        *,
        subscribes: bool,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        random: Random,
    ) -> None:
        self._device, self._make, self._hand, self._counts = device, make, hand, counts
        self._clock, self._now = clock, monotonic
        self._backoff = Backoff(random, *BACKOFF_S.get(device.kind, BACKOFF_S["process"]))
        self._hang_s = HANG_S + 10 * device.timeout_s
        self._points = [np.array(_numbers(scan.points), np.uint32) for scan in device.scans]
        self._count = sum(len(points) for points in self._points)
        self._collector: Collector | None = None
        self._subscribes, self._identity = subscribes, Identity()
        self._schedule: Schedule | None = None
        self._begin_by = 0.0
        self._live_since = 0.0
        self._trouble = Trouble(text="not reached yet", quality=Quality.BAD_NOT_CONNECTED)
        self._mentioned = ""
        """The reason that was said last."""
        self._overruns, self._refusals, self._downs = Seldom(), Seldom(), Seldom()
        counts.since_ns = clock()

    async def run(self) -> None:
        """Never returns; when cancelled it closes the collector."""
        self._begin_by = self._now() + self._device.timeout_s
        try:
            while True:
                await self._session()
                self._begin()
                await self._close(self._bide)
                await self._bide(None, self._backoff.next())
        finally:
            await self._close(_wait)

    async def _session(self) -> None:
        """Open, then read by schedule until something goes wrong."""
        said = await self._call(self._open(), self._bide, self._hang_s)
        if isinstance(said, Trouble):
            self._fall(said)
            return
        facts, self._identity = said
        self._hand.described(facts, self._identity)
        schedule = self._begin(described=True)
        self._live_since = self._now()
        lost = False
        while not lost:
            await asyncio.sleep(max(0.0, schedule.deadline() - self._now()))
            slot = schedule.due(self._now())
            lost = slot is not None and not await self._read(slot)

    async def _open(self) -> tuple[Mapping[int, Facts], Identity]:
        if self._collector is None:
            loop = asyncio.get_running_loop()
            self._collector = self._make(lambda line: _from_any_thread(loop, self._refuse, line))
        collector = self._collector
        await collector.open()
        held = list(collector.certificates().items())[:LINES]
        self._counts.certificates = {str(what)[:TEXT]: int(end_ns) for what, end_ns in held}
        return collector.facts(), collector.identity()

    async def _read(self, slot: Slot) -> bool:
        """Read one scan and hand its rows over, bad ones if it fails; False where the device is lost."""
        assert self._collector is not None
        scan, begun = self._device.scans[slot.scan], self._now()
        got = await self._call(_all_of(self._collector, scan), _wait, self._hang_s)
        took = self._now() - begun
        self._counts.request_ms = round(1000 * took, 3)
        self._late(slot, took, scan.every_s)
        rows = got if isinstance(got, Trouble) else self._whole(slot.scan, got.rows)
        if isinstance(rows, Trouble):
            self._fall(rows)
            self._hand.rows(slot.scan, self._bad(self._points[slot.scan], self._trouble))
            return False
        if isinstance(got, Trouble):
            return False
        if got.facts is not None:
            self._hand.described(got.facts, self._identity)
        self._counts.troubles = [str(line)[:TEXT] for line in got.troubles[:LINES]]
        if got.lost is None:
            self._rise()
        self._hand.rows(slot.scan, rows)
        self._tell(got.events, got.remarks)
        if got.lost is not None:
            self._fall(_trouble(got.lost))
        return got.lost is None

    def _tell(self, events: Sequence[Event], lines: Sequence[str]) -> None:
        """What came beside the rows."""
        if events:
            self._hand.happened(events)
        for line in lines[:LINES]:
            self._hand.said("note", str(line)[:TEXT])
        if len(lines) > LINES:
            self._hand.said("note", f"and {len(lines) - LINES} lines more")

    async def _close(self, wait: Wait) -> None:
        if self._collector is not None:
            closed = await self._call(self._collector.close(), wait, CLOSE_S)
            if isinstance(closed, Trouble):
                log.warning("close_failed asset=%s text=%r", self._device.name, closed.text)

    async def _call(self, work: Coroutine[Any, Any, Got], wait: Wait, limit: float) -> Got | Trouble:
        """One call of the collector, in a task of its own: its result, or what went wrong."""
        task = asyncio.create_task(work)
        try:
            await wait(task, limit)
            if task.done():
                return _outcome(task)
        finally:
            if not task.done():
                await self._give_up(task)
        return Trouble(text=f"gave no answer in {duration(limit)} and was given up", quality=Quality.BAD_TIMEOUT)

    async def _give_up(self, task: asyncio.Task[Any]) -> None:
        task.add_done_callback(_forget)
        task.cancel()
        await asyncio.wait({task}, timeout=CLOSE_S)
        if not task.done():
            self._collector = None  # somebody is still inside it: it is never called again

    async def _bide(self, task: asyncio.Task[Any] | None, limit: float) -> None:
        """Wait for the task, at most `limit` [s], with bad rows at every slot meanwhile."""
        end = self._now() + limit
        while not (task and task.done()) and (now := self._now()) < end:
            if self._schedule is None and now >= self._begin_by:
                self._begin()
            wake = self._absent(self._schedule) if self._schedule else self._begin_by
            await _wait(task, max(0.0, min(end, wake) - now))

    def _begin(self, *, described: bool = False) -> Schedule:
        """Start the schedule, if it has not begun; a device that was not reached is described all the same."""
        if self._schedule is None:
            if not described:
                self._hand.described({}, Identity())
            self._schedule = Schedule([scan.every_s for scan in self._device.scans], self._now())
        return self._schedule

    def _absent(self, schedule: Schedule) -> float:
        """Bad rows for every slot that is due; when the next one is [s, monotonic]."""
        if self._counts.state == "down":
            self._mention()
        while slot := schedule.due(self._now()):
            self._hand.rows(slot.scan, self._bad(self._points[slot.scan], self._trouble))
        return schedule.deadline()

    def _whole(self, scan: int, got: object) -> Columns | Trouble:
        """The rows, with a bad one for each point that a poll left out; Trouble where they contradict themselves."""
        points = self._points[scan]
        wrong = _contradiction(got, self._count)
        if wrong or not isinstance(got, Columns):
            return Trouble(text=f"the collector gave rows that cannot be: {wrong}", quality=Quality.BAD_DECODING)
        if self._subscribes:
            return got
        there = np.zeros(self._count, bool)
        there[got.tag] = True
        missing = points[~there[points]]
        if not len(missing):
            return got
        return concat([got, self._bad(missing, Trouble(text="left out", quality=Quality.BAD_NO_DATA))])

    def _bad(self, points: Array, trouble: Trouble) -> Columns:
        rows = columns(points, self._clock(), np.zeros(len(points), bool), quality=trouble.quality)
        native = np.full(len(points), trouble.native, np.uint32)
        kind = np.full(len(points), ValueKind.NONE, np.uint8)
        return replace(rows, native=native, kind=kind, bools=np.zeros(0, bool))

    def _rise(self) -> None:
        if self._counts.state != "up":
            said = self._identity
            words = " ".join(filter(None, (said.vendor, said.model, said.firmware, said.serial)))
            self._turn("up", "")
            self._hand.said("up", words[:TEXT] or "read")

    def _fall(self, trouble: Trouble) -> None:
        counts, now = self._counts, self._now()
        counts.failures += 1
        counts.troubles = []
        if counts.state == "up":
            self._backoff.lasted(now - self._live_since)
        self._trouble, fresh = trouble, counts.state != "down"
        self._turn("down", trouble.text)
        self._mention(fresh=fresh)

    def _mention(self, *, fresh: bool = False) -> None:
        """Say why it is down: at once where it has just gone, another reason than the last said once a minute."""
        trouble = self._trouble
        if not fresh and (trouble.text == self._mentioned or not self._downs.add(1, self._now())):
            return
        self._mentioned = trouble.text
        quality = name_of(trouble.quality)
        log.warning("device_down asset=%s quality=%s text=%r", self._device.name, quality, trouble.text)
        self._hand.said("down", trouble.text)

    def _turn(self, state: str, trouble: str) -> None:
        if self._counts.state != state:
            self._counts.since_ns = self._clock()
        self._counts.state, self._counts.trouble = state, trouble

    def _late(self, slot: Slot, took: float, every_s: float) -> None:
        over = took > every_s
        self._counts.overruns += over
        self._counts.skipped += slot.skipped
        said = self._overruns.add(over + slot.skipped, self._now())
        if said:
            text = f"{said} late or left out; the last read took {duration(took)} of {duration(every_s)}"
            self._hand.said("overrun", text)

    def _refuse(self, line: str) -> None:
        self._counts.refused += 1
        log.error("request_refused asset=%s text=%r", self._device.name, line)
        said = self._refusals.add(1, self._now())
        if said:
            self._hand.said("refused", f"{said} refused, the last: {line[:TEXT]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Got:
    """One read, and what came with it."""

    rows: Columns
    events: Sequence[Event]
    remarks: Sequence[str]
    troubles: Sequence[str]
    facts: Mapping[int, Facts] | None
    """Where they are other than before."""
    lost: AssetError | None
    """The device ended in the middle of it."""


async def _all_of(collector: Collector, scan: Scan) -> _Got:
    rows = await collector.read(scan)
    return _Got(
        rows=rows,
        facts=collector.facts() if collector.relearned() else None,
        events=tuple(collector.events()),
        remarks=tuple(collector.remarks()),
        troubles=tuple(collector.troubles()),
        lost=collector.lost(),
    )


async def _wait(task: asyncio.Task[Any] | None, limit: float) -> None:
    """Wait for the task, at most `limit` [s]; without a task just so long."""
    if task is None:
        await asyncio.sleep(limit)
    else:
        await asyncio.wait({task}, timeout=limit)


def _outcome(task: asyncio.Task[Got]) -> Got | Trouble:
    """Result of a task that is done, or what it died of."""
    if task.cancelled():
        return Trouble(text="CancelledError inside the collector")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SystemExit | KeyboardInterrupt):
        raise error
    if isinstance(error, AssetError):
        return _trouble(error)
    log.debug("collector_error", exc_info=error)
    return Trouble(text=f"{type(error).__name__}: {error}"[:TEXT])


def _trouble(error: AssetError) -> Trouble:
    return Trouble(text=str(error)[:TEXT], quality=error.quality, native=error.native)


def _forget(task: asyncio.Task[Any]) -> None:
    """Look at what a task that was given up died of, so that asyncio does not complain of it later."""
    if not task.cancelled():
        task.exception()


def _from_any_thread(loop: asyncio.AbstractEventLoop, call: Callable[[str], None], line: str) -> None:
    """A collector's own thread may call this; after the loop has ended nobody listens."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, line)


def _contradiction(got: object, count: int) -> str:
    """What is impossible in a collector's rows, empty where nothing is.

    Args:
        count: Point numbers the device has.
    """
    try:
        return _mismatch(got, count) if isinstance(got, Columns) else f"a {type(got).__name__}"
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"[:TEXT]


def _mismatch(got: Columns, count: int) -> str:
    arrays = (got.tag, got.time_ns, got.other_ns, got.flags, got.quality, got.native, got.kind)
    if len({len(array) for array in arrays}) != 1:
        return "arrays of different lengths"
    if len(got) and not (got.tag.dtype.kind == "u" and int(got.tag.max()) < count):
        return "a point number that the device does not have"
    held = np.bincount(got.kind, minlength=5)
    values = (len(got.floats), len(got.ints), len(got.bools), len(got.texts))
    return "" if len(held) == 5 and tuple(held[1:].tolist()) == values else "values that do not match their kinds"


def _numbers(points: Sequence[Point]) -> list[int]:
    return [point.number + index for point in points for index in range(point.count)]
