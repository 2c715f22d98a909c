"""What a device does wrong, as objects: a test, or a person, adds one and the next fitting request meets it.

    word               what the other side sees
    refuse             an exception reply (code 4 unless given)
    busy               exception 6, server device busy
    hang               no reply; the connection stays
    late               the right reply, `seconds` later
    reset              the connection is reset (RST) instead of a reply
    short              a well-formed reply with one register (or byte of bits) too few
    wrong_unit         the right reply under another unit id
    wrong_function     the data under another function code (4 for 3, 1 for 2, and the other way round)
    wrong_transaction  the right reply under another transaction id
    garbage            random bytes in place of a frame, from the seed
    absent             nobody listens; every connection is reset

    Fault.parse("late 0.5s at holding:0-9 x3")        three requests that touch those registers are answered late

That is `Faults`, for Modbus. A device that has quality of its own takes `BadNodes`: a status for some of its points, or
a clock that goes wrong. Deterministic: a fault with a share of requests draws from the seed that was given. No I/O.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from protocol.errors import ConfigError
from protocol.sample import Quality


class Act(StrEnum):
    """The words of the table above."""

    REFUSE = "refuse"
    BUSY = "busy"
    HANG = "hang"
    LATE = "late"
    RESET = "reset"
    SHORT = "short"
    WRONG_UNIT = "wrong_unit"
    WRONG_FUNCTION = "wrong_function"
    WRONG_TRANSACTION = "wrong_transaction"
    GARBAGE = "garbage"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong."""

    act: Act
    table: str = ""
    """`coil`, `discrete`, `holding` or `input`; empty for every request."""
    first: int = 0
    """Lowest address that it touches."""
    last: int = 65535
    """Highest one."""
    code: int = 4
    """Exception code of a refusal (4: server device failure)."""
    seconds: float = 1.0
    """Delay of a late reply [s]."""
    times: int = 0
    """Requests it spoils before it is gone; 0 means until it is removed."""
    share: float = 1.0
    """Part of the fitting requests that it spoils, 0 to 1."""

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `WORD [NUMBER|SECONDSs] [at TABLE:FIRST[-LAST]] [xTIMES] [SHARE%]`.

        Raises:
            ConfigError: not of that form.
        """
        found = _FORM.fullmatch(text.strip())
        if not found or found["word"] not in list(Act):
            raise ConfigError(f"fault `{text}`: not understood", hint='such as "hang at holding:0-9 x3" or "late 0.5s"')
        act = Act(found["word"])
        first = int(found["first"] or 0)
        last = int(found["last"] or found["first"] or 65535)
        return cls(
            act=act,
            table=found["table"] or "",
            first=first,
            last=last,
            code=int(found["code"] or 4),
            seconds=float(found["seconds"] or 1.0),
            times=int(found["times"] or 0),
            share=float(found["share"] or 100) / 100,
        )

    def __str__(self) -> str:
        """The text that `parse` reads back."""
        words: list[str] = [self.act]
        if self.act is Act.LATE:
            words.append(f"{self.seconds:g}s")
        elif self.act is Act.REFUSE:
            words.append(str(self.code))
        if self.table:
            words.append(f"at {self.table}:{self.first}-{self.last}")
        if self.times:
            words.append(f"x{self.times}")
        if self.share < 1:
            words.append(f"{self.share * 100:g}%")
        return " ".join(words)

    def fits(self, table: str, start: int, count: int) -> bool:
        """True where a read of `count` items from `start` touches it."""
        return not self.table or (self.table == table and start <= self.last and start + count > self.first)


_FORM = re.compile(
    r"(?P<word>[a-z_]+)"
    r"(?: (?:(?P<seconds>[0-9.]+)s|(?P<code>[0-9]+)))?"
    r"(?: at (?P<table>coil|discrete|holding|input):(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?)?"
    r"(?: x(?P<times>[0-9]+))?"
    r"(?: (?P<share>[0-9.]+)%)?"
)


class Faults:
    """The faults of one device, in the order they were added; the first that fits a request is the one it meets."""

    def __init__(self, seed: int = 1) -> None:
        self.met = 0
        """Requests that were spoiled."""
        self.random = random.Random(seed)
        self.changed: Callable[[], None] = lambda: None
        """Called after each change; the server that can be absent sets it."""
        self._held: list[tuple[Fault, int]] = []

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, fault: Fault | str) -> Fault:
        """Put a fault, or the text of one, at the end of the list."""
        made = Fault.parse(fault) if isinstance(fault, str) else fault
        self._held.append((made, made.times))
        self.changed()
        return made

    def remove(self, fault: Fault) -> None:
        """Take away every fault equal to this one; none is no mistake."""
        self._held = [(held, left) for held, left in self._held if held != fault]
        self.changed()

    def clear(self) -> None:
        """Well again."""
        self._held = []
        self.changed()

    def texts(self) -> list[str]:
        """Those there are, as `add` takes them."""
        return [str(fault) for fault, _ in self._held]

    @property
    def absent(self) -> bool:
        """Whether nobody listens."""
        return any(fault.act is Act.ABSENT for fault, _ in self._held)

    def meet(self, table: str, start: int, count: int) -> Fault | None:
        """The fault that this request meets, counted; None where it is answered well."""
        for at, (fault, left) in enumerate(self._held):
            if fault.fits(table, start, count) and (fault.share >= 1.0 or self.random.random() < fault.share):
                self.met += 1
                if left == 1:
                    del self._held[at]
                elif left:
                    self._held[at] = (fault, left - 1)
                return fault
        return None


class SourceClock(StrEnum):
    """What the device's own clock does to its source times (protocols that send one)."""

    RIGHT = "right"
    MISSING = "missing"
    """No source time at all."""
    STOPPED = "stopped"
    """Every value carries the time at which the clock stopped."""
    FAR = "far"
    """Three years ahead."""


class BadNodes:
    """Points that answer with a status of our choosing, by name or pattern (`Turbine.Bearing?.*`)."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        """Called after each change."""
        self.clock = SourceClock.RIGHT
        self._held: dict[str, int] = {}

    def spoil(self, pattern: str, status: int) -> None:
        """Give every point whose name fits the OPC UA StatusCode `status`; later patterns win."""
        self._held.pop(pattern, None)
        self._held[pattern] = status
        self.changed()

    def add(self, given: str) -> None:
        """Read `bad PATTERN STATUS` (a name of `protocol.sample.Quality`, in lower case) or `clock WORD`.

        Raises:
            ConfigError: not of that form.
        """
        match given.split():
            case ["bad", pattern, name] if name.upper() in Quality.__members__:
                self.spoil(pattern, int(Quality[name.upper()]))
            case ["clock", name] if name in list(SourceClock):
                self.set_clock(SourceClock(name))
            case _:
                raise ConfigError(
                    f"fault `{given}`: not understood", hint='such as "bad Turbine.Bearing1.* bad_sensor_failure"'
                )

    def heal(self, pattern: str) -> None:
        """Take a pattern away; none of that text is no mistake."""
        self._held.pop(pattern, None)
        self.changed()

    def clear(self) -> None:
        """Every point as the model says, the clock right."""
        self._held = {}
        self.clock = SourceClock.RIGHT
        self.changed()

    def texts(self) -> list[str]:
        """What is wrong, as `add` takes it."""
        names = {int(quality): quality.name.lower() for quality in Quality}
        texts = [f"bad {pattern} {names.get(status, hex(status))}" for pattern, status in self._held.items()]
        return texts + ([] if self.clock is SourceClock.RIGHT else [f"clock {self.clock}"])

    def set_clock(self, clock: SourceClock) -> None:
        """Let the device's clock go right or wrong."""
        self.clock = clock
        self.changed()

    def status(self, name: str, own: int) -> int:
        """The StatusCode of a point whose model says `own`."""
        for pattern, status in reversed(self._held.items()):
            if fnmatchcase(name, pattern):
                return status
        return own
