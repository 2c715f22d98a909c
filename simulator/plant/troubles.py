"""What is wrong inside a device: its values, statuses, tags and clock (how it answers is another matter: `faults`).

    words                        what its clients see of the points that fit
    bad PATTERN STATUS           that StatusCode (protocols without quality show the value as ever)
    value PATTERN TO             a number, `true`, `false`, or `nan` `inf` `over` `under`: beyond what the tag can be
    freeze [PATTERN]             value and time stay as they were
    gone PATTERN                 the tag, node or register is not there
    clock WORD [TIME]            `SourceClock`; `clock jump 1h` sets it forward, `clock jump -1h` back

A pattern is a name or has `*` and `?` in it (`Turbine.Bearing?.*`); later ones win. `View` is what one device makes of
the plant's moments under its troubles. Pure: moments are handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from protocol import text
from protocol.content.sample import Quality
from protocol.errors import ConfigError
from protocol.written import duration
from simulator.plant.plant import LIMITS, Plant, PlantMoment
from simulator.plant.reading import typed
from simulator.plant.signals import SECOND
from simulator.plant.trips import Value
from simulator.scene.scene import ScenePoint, TagEntry

FAR_NS = 3 * 365 * 86_400 * SECOND
"""How far ahead a `far` clock is [ns]."""

WORDS = ("bad", "value", "freeze", "gone", "clock")
"""First words of the texts that `Troubles.add` takes."""


class SourceClock(StrEnum):
    """What the device's own clock does to its source times (protocols that send one)."""

    RIGHT = "right"
    MISSING = "missing"
    """No source time at all."""
    STOPPED = "stopped"
    """Every value carries the time at which the clock stopped."""
    FAR = "far"
    """Three years ahead."""
    PAIRED = "paired"
    """Two values one after the other carry the same time: it counts in steps of two periods."""
    JUMP = "jump"
    """It was set by a given time."""


@dataclass(frozen=True, slots=True)
class _ActiveTrouble:
    """One trouble with values."""

    word: str
    pattern: str
    status: int = 0
    to: str = ""

    def __str__(self) -> str:
        if self.word == "bad":
            names = {int(quality): quality.name.lower() for quality in Quality}
            return f"bad {self.pattern} {names.get(self.status, f'0x{self.status:08X}')}"
        return f"{self.word} {self.pattern} {self.to}".rstrip()


class Troubles:
    """What is wrong inside one device, oldest first."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        """Called after each change."""
        self.clock = SourceClock.RIGHT
        self.jump_ns = 0
        """How far a clock that jumped is ahead [ns]; negative behind."""
        self._active: list[_ActiveTrouble] = []

    def __bool__(self) -> bool:
        return bool(self._active) or self.clock is not SourceClock.RIGHT

    def add(self, given: str) -> None:
        """Read a text of the table above.

        Raises:
            ConfigError: not of that form.
        """
        match given.split():
            case ["bad", pattern, name] if (status := _status(name)) is not None:
                self.spoil(pattern, status)
            case ["value", pattern, to] if _number(to) is not None:
                self._put(_ActiveTrouble("value", pattern, to=to))
            case ["freeze", *patterns] if len(patterns) < 2:
                self._put(_ActiveTrouble("freeze", patterns[0] if patterns else "*"))
            case ["gone", pattern]:
                self._put(_ActiveTrouble("gone", pattern))
            case ["clock", "jump", time]:
                self.set_clock(SourceClock.JUMP, jump_ns=_duration(time))
            case ["clock", name] if name in list(SourceClock) and name != SourceClock.JUMP:
                self.set_clock(SourceClock(name))
            case _:
                raise ConfigError(
                    f"fault `{given}`: not understood",
                    hint='such as "bad Turbine.Bearing1.* bad_sensor_failure", "freeze" or "clock jump 1h"',
                )

    def spoil(self, pattern: str, status: int) -> None:
        """Give every point whose name fits the OPC UA StatusCode `status`."""
        self._put(_ActiveTrouble("bad", pattern, status))

    def heal(self, pattern: str) -> None:
        """Take away all that was added with this pattern; nothing is no mistake."""
        self._active = [one for one in self._active if one.pattern != pattern]
        self.changed()

    def drop(self, given: str) -> None:
        """Take away what `add` was given; nothing is no mistake."""
        word, _, rest = given.partition(" ")
        if word == "clock":
            self.set_clock(SourceClock.RIGHT)
        else:
            self._active = [one for one in self._active if str(one) != _tidy(word, rest)]
            self.changed()

    def clear(self) -> None:
        """Every point as the model says, the clock right."""
        self._active = []
        self.set_clock(SourceClock.RIGHT)

    def texts(self) -> list[str]:
        """What is wrong, as `add` takes it."""
        texts = [str(one) for one in self._active]
        if self.clock is SourceClock.JUMP:
            sign = "-" if self.jump_ns < 0 else ""
            return [*texts, f"clock jump {sign}{duration(abs(self.jump_ns) / SECOND)}"]
        return texts + ([] if self.clock is SourceClock.RIGHT else [f"clock {self.clock}"])

    def set_clock(self, clock: SourceClock, *, jump_ns: int = 0) -> None:
        """Let the device's clock go right or wrong."""
        self.clock = clock
        self.jump_ns = jump_ns if clock is SourceClock.JUMP else FAR_NS if clock is SourceClock.FAR else 0
        self.changed()

    def of_word(self, word: str) -> list[_ActiveTrouble]:
        """The troubles of one word, oldest first."""
        return [one for one in self._active if one.word == word]

    def gone(self, points: Iterable[ScenePoint]) -> frozenset[int]:
        """Numbers of the points that are not there."""
        active = self.of_word("gone")
        return frozenset(point.number for point in points if active and _last(active, point.name) is not None)

    def _put(self, one: _ActiveTrouble) -> None:
        same = (one.word, one.pattern)
        self._active = [other for other in self._active if (other.word, other.pattern) != same] + [one]
        self.changed()


class View:
    """What one device shows of the plant."""

    def __init__(self, plant: Plant, points: Sequence[ScenePoint], troubles: Troubles) -> None:
        self._plant = plant
        self._points = points
        self._troubles = troubles
        self._listeners: list[Callable[[PlantMoment], None]] = []
        self._frozen: dict[str, PlantMoment] = {}
        self._stopped_ns = plant.moment.time_ns
        self.moment = plant.moment
        """The newest, with the device's own values and times in it."""
        self._refresh(plant.moment)
        self._end = plant.listen(self._refresh)
        troubles.changed = lambda: self._refresh(plant.moment)

    def listen(self, callback: Callable[[PlantMoment], None]) -> None:
        """Call `callback` with each new moment, and when the device's troubles change."""
        self._listeners.append(callback)

    def close(self) -> None:
        """Hear no more of the plant."""
        self._end()
        self._end = lambda: None

    def clock_ns(self, now_ns: int) -> int:
        """What the device's clock shows at `now_ns` [ns since 1970]."""
        return self._stopped_ns if self._troubles.clock is SourceClock.STOPPED else now_ns + self._troubles.jump_ns

    def _refresh(self, moment: PlantMoment) -> None:
        self.moment = self._spoiled(moment) if self._troubles else moment
        if self._troubles.clock is not SourceClock.STOPPED:
            self._stopped_ns = moment.time_ns
        for listener in tuple(self._listeners):
            listener(self.moment)

    def _spoiled(self, moment: PlantMoment) -> PlantMoment:
        values, times, quality = moment.values.copy(), moment.times_ns.copy(), moment.quality.copy()
        bad, put, frozen = (self._troubles.of_word(word) for word in ("bad", "value", "freeze"))
        self._frozen = {one.pattern: self._frozen.get(one.pattern, self.moment) for one in frozen}
        for point in self._points:
            number = point.number
            times[number] = self._time(times[number], point)
            if put and (one := _last(put, point.name)):
                values[number] = _put(one.to, values[number], point.entry)
            if bad and (one := _last(bad, point.name)):
                quality[number] = one.status
            if frozen and (one := _last(frozen, point.name)):
                then = self._frozen[one.pattern]
                values[number], times[number] = then.values[number], then.times_ns[number]
                quality[number] = then.quality[number]
        return PlantMoment(self.clock_ns(moment.time_ns), values, times, quality)

    def _time(self, time_ns: int, point: ScenePoint) -> int:
        clock = self._troubles.clock
        if clock is SourceClock.STOPPED:
            return self._stopped_ns
        if clock is SourceClock.PAIRED:
            return time_ns - time_ns % (2 * self._plant.period_ns(point))
        return time_ns + self._troubles.jump_ns


def fits(pattern: str, name: str) -> bool:
    """Whether a name is meant by a pattern; brackets in a name are never a pattern's."""
    return pattern == name or fnmatchcase(name, pattern.replace("[", "[[]"))


def _last(troubles: Sequence[_ActiveTrouble], name: str) -> _ActiveTrouble | None:
    return next((one for one in reversed(troubles) if fits(one.pattern, name)), None)


def _status(name: str) -> int | None:
    """A StatusCode by its name in `Quality`, or as `0x808A0000`."""
    if name.upper() in Quality.__members__:
        return int(Quality[name.upper()])
    try:
        code = int(name, 16) if name.lower().startswith("0x") else -1
    except ValueError:
        return None
    return code if 0 <= code < 1 << 32 else None


def _tidy(word: str, rest: str) -> str:
    """A text as `str(_Held)` writes it."""
    if word == "bad":
        pattern, _, name = rest.partition(" ")
        return str(_ActiveTrouble("bad", pattern, _status(name) or 0))
    return f"{word} {rest or '*'}"


def _duration(given: str) -> int:
    try:
        size = round(text.seconds(given.lstrip("+-")) * SECOND)
    except ValueError as error:
        raise ConfigError(f"clock jump: {error}", hint='such as "clock jump -90s"') from error
    return -size if given.startswith("-") else size


def _number(to: str) -> float | None:
    words = {"over": math.inf, "under": -math.inf, "true": 1.0, "false": 0.0}
    try:
        return words[to] if to in words else float(to)
    except ValueError:
        return None


def _put(to: str, value: Value, entry: TagEntry) -> Value:
    """The value that a trouble gives a point of this entry; texts stay as they are."""
    number = _number(to)
    if entry.type == "string" or number is None:
        return value
    if to in ("over", "under"):
        if entry.low is not None and entry.high is not None:
            beyond = (entry.high - entry.low) / 10
            number = entry.high + beyond if to == "over" else entry.low - beyond
        else:
            number = {"float32": 3.0e38, "float16": 6.0e4}.get(entry.type, 1.0e300) * (1 if to == "over" else -1)
    if entry.type in LIMITS and not math.isfinite(number):
        number = 0.0 if math.isnan(number) else math.copysign(2.0**64, number)
    return typed(number, entry)
