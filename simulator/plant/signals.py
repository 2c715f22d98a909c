"""What a scene may say of a quantity: the words behind `signal = { kind = ".." }`, and their fields.

    by itself    walk sine ramp counter step switch text fixed batch      a function of (key, time): `shapes`
    related      follow product over alarm                                a function of other tags: `network`
    recorded     record                                                   the newest events of the asset: `trips`

No signal is a state that is stepped: a value can be asked for at any instant, in any order, by any process. Two servers
started minutes apart from the same seed agree, and a test may compute what a reading of yesterday should have been.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

EPOCH_S = 1_767_225_600
"""2026-01-01T00:00:00Z [s since 1970]: counters count from here, so that they stay of a believable size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkSignal:
    """Drifts around `mean` without ever leaving `mean` +- (`span` + `spread`)."""

    mean: float
    span: float
    """Farthest it strays from its own mean, in the tag's unit."""
    period_s: float = 300.0
    """Time scale of the slowest octave [s]."""
    spread: float = 0.0
    """The key shifts the mean by up to this, so that equal parts of a machine differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SineSignal:
    """`mean` + `span` x sin(2 pi time / period); the key sets the phase."""

    mean: float
    span: float
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RampSignal:
    """A saw tooth from `start` towards `end`, as a tank that fills and is emptied, or a conveyor's position."""

    start: float
    end: float
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSignal:
    """Whole numbers that never fall, but wrap; the rate swings between a half and one and a half of `rate`."""

    start: int = 0
    """Count at EPOCH_S."""
    rate: float = 1.0
    """Mean rate [1/s]."""
    vary: float = 0.1
    """The key makes the mean rate faster or slower by up to this share, so that equal parts of a machine differ."""
    wrap: int = 0
    """Counts before it is 0 again; 0 means the range of the tag's type."""
    swing_s: float = 600.0
    """Time in which the rate swings up and down [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSignal:
    """Holds one of `levels` for `dwell_s`, then takes one at random (it may be the same again)."""

    levels: tuple[float, ...]
    dwell_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSignal:
    """A bool that is true for the share `duty` of the dwell times."""

    duty: float = 0.5
    dwell_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSignal:
    """Shows one of `texts` for `dwell_s`."""

    texts: tuple[str, ...]
    dwell_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedSignal:
    """A constant: a set point, a serial number, a name plate."""

    value: float | int | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSignal:
    """A cycle that is run again and again: straight lines through (time, level), as a reactor's temperature."""

    times_s: tuple[float, ...]
    """Rising, from 0; the last is the length of the cycle [s]."""
    levels: tuple[float, ...]
    """One for each time."""
    cycle: str = ""
    """Tags of an asset that name the same cycle run in step; alone, a tag has a phase of its own."""
    hold: bool = False
    """Keep each level until the next time instead of going there: a step number, a valve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowSignal:
    """Another tag's signal, scaled and late: `offset` + `gain` x other(time - `lag_s`) + own walk of `jitter`."""

    of: str
    """`name` in the same asset, `.name` for a sibling in the same structure, or `asset:name`."""
    gain: float = 1.0
    offset: float = 0.0
    lag_s: float = 0.0
    jitter: float = 0.0
    """Span of a walk of its own that is added, in the tag's unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSignal:
    """Other tags multiplied: `offset` + `gain` x a(time - `lag_s`) x b(..) x .. + own walk of `jitter`.

    A flow is pressure x valve: the valve closes, and `lag_s` later the flow falls to nothing.
    """

    of: tuple[str, ...]
    """As in `FollowSignal`, one or more."""
    gain: float = 1.0
    offset: float = 0.0
    lag_s: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSignal:
    """A bool: true while the other tag's signal is above `limit` (below it with `below`)."""

    of: str
    """As in `FollowSignal`."""
    limit: float
    below: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSignal:
    """As `OverSignal`, with an on-delay and an off-delay (ANSI/ISA-18.2, 12.6): it comes when the other tag was beyond
    the limit for the whole of `delay_s`, and stays for `hold_s` after that was so last."""

    of: str
    """As in `FollowSignal`."""
    limit: float
    below: bool = False
    delay_s: float = 0.0
    """A whole multiple of the tag's period."""
    hold_s: float = 0.0
    """A whole multiple of the tag's period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSignal:
    """One field of a recorded event of the asset, newest first; in an array the element counts back from it."""

    field: str
    """`time_ms` (since 1970), `number`, `code`, `state` or `text`."""
    back: int = 0
    """How many events before the newest, added to the element's number."""


Signal: TypeAlias = (
    WalkSignal
    | SineSignal
    | RampSignal
    | CounterSignal
    | StepSignal
    | SwitchSignal
    | TextSignal
    | FixedSignal
    | BatchSignal
    | FollowSignal
    | ProductSignal
    | OverSignal
    | AlarmSignal
    | RecordSignal
)

RELATED = (FollowSignal, ProductSignal, OverSignal, AlarmSignal)
"""Signals that look at other tags."""

KINDS: dict[str, type[Any]] = {
    "walk": WalkSignal,
    "sine": SineSignal,
    "ramp": RampSignal,
    "counter": CounterSignal,
    "step": StepSignal,
    "switch": SwitchSignal,
    "text": TextSignal,
    "fixed": FixedSignal,
    "batch": BatchSignal,
    "follow": FollowSignal,
    "product": ProductSignal,
    "over": OverSignal,
    "alarm": AlarmSignal,
    "record": RecordSignal,
}
"""The word in a scene's `signal = { kind = ".." }`."""


def named_by(signal: Signal) -> tuple[str, ...]:
    """The other tags that a signal looks at, as it names them."""
    if isinstance(signal, ProductSignal):
        return signal.of
    return (signal.of,) if isinstance(signal, FollowSignal | OverSignal | AlarmSignal) else ()
