"""How a device answers wrongly, as objects: a test, or a person, adds one and the next fitting request meets it.

    word               what the other side sees (Modbus; `logix/spoil` and `opcua/wire` say what is done there)
    refuse             an exception reply (code 4 unless given)
    busy               exception 6, server device busy
    hang               no reply; the connection stays
    late               the right reply, `seconds` later
    slow               the right reply, in pieces over `seconds`, as over a bad modem
    reset              the connection is reset (RST) instead of a reply
    short              a well-formed reply with one register (or byte of bits) too few
    wrong_unit         the right reply under another unit id
    wrong_function     the data under another function code (4 for 3, 1 for 2, and the other way round)
    wrong_transaction  the right reply under another transaction id
    garbage            random bytes in place of a frame, from the seed
    absent             nobody listens; every connection is reset

    Fault.parse("late 0.5s at holding:0-9 x3")        three requests that touch those registers are answered late
    Fault.parse("refuse 5 at tag:Seal_Temp*")         as do tags by name, for a controller

`DeviceFaults` are those of one device, with what is wrong inside it (`troubles`) and what it does on command
(`restart`). Deterministic: a fault with a share of requests draws from the seed that was given. No I/O.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from protocol.errors import ConfigError
from simulator.plant import troubles
from simulator.plant.troubles import Troubles, fits


class Act(StrEnum):
    """The words of the table above."""

    REFUSE = "refuse"
    BUSY = "busy"
    HANG = "hang"
    LATE = "late"
    SLOW = "slow"
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
    """`coil`, `discrete`, `holding` or `input`; `tag` where `pattern` says which; empty for every request."""
    first: int = 0
    """Lowest address that it touches."""
    last: int = 65535
    """Highest one."""
    pattern: str = ""
    """Names of the tags that it touches."""
    code: int = 4
    """Exception code, CIP status or StatusCode of a refusal (4: server device failure)."""
    seconds: float = 1.0
    """Delay of a late reply, or length of a slow one [s]."""
    times: int = 0
    """Requests it spoils before it is gone; 0 means until it is removed."""
    share: float = 1.0
    """Part of the fitting requests that it spoils, 0 to 1."""

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `WORD [NUMBER|SECONDSs] [at TABLE:FIRST[-LAST]|at tag:PATTERN] [xTIMES] [SHARE%]`.

        Raises:
            ConfigError: not of that form.
        """
        match = _FORM.fullmatch(text.strip())
        if not match or match["word"] not in list(Act):
            raise ConfigError(f"fault `{text}`: not understood", hint='such as "hang at holding:0-9 x3" or "late 0.5s"')
        act = Act(match["word"])
        first = int(match["first"] or 0)
        last = int(match["last"] or match["first"] or 65535)
        return cls(
            act=act,
            table=match["table"] or ("tag" if match["pattern"] else ""),
            first=first,
            last=last,
            pattern=match["pattern"] or "",
            code=int(match["code"] or "4", 0),
            seconds=float(match["seconds"] or 1.0),
            times=int(match["times"] or 0),
            share=float(match["share"] or 100) / 100,
        )

    def __str__(self) -> str:
        """The text that `parse` reads back."""
        words: list[str] = [self.act]
        if self.act in (Act.LATE, Act.SLOW):
            words.append(f"{self.seconds:g}s")
        elif self.act is Act.REFUSE:
            words.append(str(self.code) if self.code < 256 else f"0x{self.code:08X}")
        if self.pattern:
            words.append(f"at tag:{self.pattern}")
        elif self.table:
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
    r"(?: (?:(?P<seconds>[0-9]+(?:\.[0-9]+)?)s|(?P<code>0x[0-9A-Fa-f]{1,8}|0|[1-9][0-9]*)))?"
    r"(?: at (?:(?P<table>coil|discrete|holding|input):(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?|tag:(?P<pattern>\S+)))?"
    r"(?: x(?P<times>[0-9]+))?"
    r"(?: (?P<share>[0-9.]+)%)?"
)


Action = Callable[[list[str]], None]
"""Carries out a command with the words behind it; raises ConfigError where they make no sense."""


class DeviceFaults:
    """The faults of one device, in the order they were added; the first that fits a request is the one it meets."""

    def __init__(self, seed: int = 1) -> None:
        self.met = 0
        """Requests that were spoiled."""
        self.random = random.Random(seed)
        self.troubles = Troubles()
        """What is wrong inside."""
        self.actions: dict[str, Action] = {}
        """Commands that the device knows; its server puts them here."""
        self.changed: Callable[[], None] = lambda: None
        """Called after each change of how it answers; the server that can be absent sets it."""
        self.away = 0
        """Restarts that are going on."""
        self._faults: list[tuple[Fault, int]] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, fault: Fault | str) -> object:
        """Put a fault at the end of the list, or obey the text of one, of a trouble or of a command.

        Returns:
            The fault, where it was one.

        Raises:
            ConfigError: a text that is none of them.
        """
        if isinstance(fault, str):
            word, *rest = fault.split() or [""]
            if word in troubles.WORDS:
                self.troubles.add(fault)
                return fault
            if word in self.actions:
                self.actions[word](rest)
                return fault
            fault = Fault.parse(fault)
        self._faults.append((fault, fault.times))
        self.changed()
        return fault

    def check(self, text: str) -> None:
        """Raise ConfigError where `add` would, without doing anything."""
        word = text.partition(" ")[0]
        if word in troubles.WORDS:
            Troubles().add(text)
        elif word not in self.actions:
            Fault.parse(text)

    def remove(self, fault: object) -> None:
        """Take away every fault equal to this one, or what `add` was given as a text; none is no mistake."""
        if isinstance(fault, str):
            word = fault.partition(" ")[0]
            if word in troubles.WORDS:
                self.troubles.drop(fault)
                return
            if word in self.actions:
                return
            fault = Fault.parse(fault)
        self._faults = [(other, left) for other, left in self._faults if other != fault]
        self.changed()

    def clear(self) -> None:
        """Take every fault away: the device is well again."""
        self._faults = []
        self.troubles.clear()
        self.changed()

    def texts(self) -> list[str]:
        """Those there are, as `add` takes them."""
        return [str(fault) for fault, _ in self._faults] + self.troubles.texts()

    @property
    def absent(self) -> bool:
        """Whether nobody listens."""
        return self.away > 0 or any(fault.act is Act.ABSENT for fault, _ in self._faults)

    def meet_tag(self, name: str) -> Fault | None:
        """The fault that the reading of this tag meets, among those that are about names; counted as by `meet`."""
        return self._met(lambda fault: bool(fault.pattern) and fits(fault.pattern, name))

    def meet(self, table: str, start: int, count: int) -> Fault | None:
        """The fault that this request meets, counted; None where it is answered well."""
        return self._met(lambda fault: fault.fits(table, start, count))

    def _met(self, fits: Callable[[Fault], bool]) -> Fault | None:
        for at, (fault, left) in enumerate(self._faults):
            if fits(fault) and (fault.share >= 1.0 or self.random.random() < fault.share):
                self.met += 1
                if left == 1:
                    del self._faults[at]
                elif left:
                    self._faults[at] = (fault, left - 1)
                return fault
        return None
