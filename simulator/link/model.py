"""The bad link: what a one-way path does to datagrams, as a seeded model on virtual time.

    converter  passes `rate` bytes a second, all headers counted, and keeps `buffer` bytes that wait; a frame for which
               there is no room is dropped (that is how a cheap media converter punishes a sender that does not pace)
    cable      cut in the given intervals: everything in them is lost
    state      good or bad, each for an exponential time (Gilbert-Elliott in continuous time, so that a burst has a
               length in seconds whatever the traffic): loss `loss` while good, `burst.loss` while bad
    frame      lost, else delayed by delay + jitter; now and then held back (reordered), carried twice, cut short or
               with one bit turned over

Each cause draws from a random stream of its own, and each frame draws once from every stream that is on: the frames
that are lost under a seed are the same whatever else is switched on, and bursts begin when they begin, traffic or not.
Nothing is invented, and nothing altered but by `truncate` and `flip`.

What became of each frame is a letter of `FrameFate`, so that a run can be printed (`FateTrace`) and its fate given
again to the first frames of another (`script`). No socket here and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from random import Random

from protocol import text
from protocol.errors import ConfigError
from protocol.limits import WIRE_OVERHEAD

REORDER_S = 0.005
"""How long a frame is held back so that others overtake it [s]."""

BUFFER_BYTES = 64 * 1024
"""What a rate limit keeps waiting where nothing else is asked for [bytes]: a converter's buffer of some 40 frames."""

TRACE_WIDTH = 64
"""Frames on one line of a printed trace."""


class FrameFate(StrEnum):
    """What became of a frame, as it is printed."""

    CARRIED = "."
    LOST = "x"
    """By chance, in good times."""
    BURST = "b"
    """By chance, in a burst."""
    CUT = "c"
    FULL = "q"
    """The converter's buffer was full."""
    DOUBLE = "d"
    LATE = "~"
    SHORT = "t"
    """Its tail is missing."""
    FLIPPED = "f"
    """One bit is another."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Bad times: mean length and mean distance, both exponential."""

    length_s: float
    every_s: float
    """Mean good time between two bursts [s]."""
    loss: float = 1.0
    """Share of frames lost in a burst, 0 to 1."""

    @classmethod
    def parse(cls, given: str) -> Burst:
        """Read `LENGTH/EVERY[/LOSS]`, such as `50ms/5s` or `50ms/5s/80%`. Raises ConfigError."""
        parts = given.split("/")
        try:
            length_s, every_s, *rest = text.seconds(parts[0]), text.seconds(parts[1]), *parts[2:]
            loss = text.share(rest[0]) if rest else 1.0
        except (ValueError, IndexError) as error:
            raise ConfigError(f"burst `{given}`: {error}", hint='write length/distance, such as "50ms/5s"') from error
        if not (length_s > 0 and every_s > 0 and 0 <= loss <= 1 and len(rest) < 2):
            raise ConfigError(f"burst `{given}`: both times above 0, loss up to 100%", hint='such as "50ms/5s/80%"')
        return cls(length_s, every_s, loss)


@dataclass(frozen=True, slots=True)
class Cut:
    """The cable is out from `start_s` to `end_s` of the model's time."""

    start_s: float
    end_s: float

    @classmethod
    def parse(cls, given: str) -> Cut:
        """Read `START+LENGTH`, such as `20s+10s`. Raises ConfigError."""
        start, plus, length = given.partition("+")
        try:
            start_s = text.seconds(start)
            return cls(start_s, start_s + text.seconds(length if plus else ""))
        except ValueError as error:
            raise ConfigError(f"cut `{given}`: {error}", hint='write start+length, such as "20s+10s"') from error


@dataclass(slots=True)
class LinkCounts:
    """What became of the frames; offered = carried + dropped + cut + choked."""

    offered: int = 0
    carried: int = 0
    """Passed on, each once."""
    dropped: int = 0
    """Lost by chance, in good or bad times."""
    cut: int = 0
    """Lost because the cable was out."""
    choked: int = 0
    """Lost because the converter's buffer was full."""
    doubled: int = 0
    """Second copies, beyond `carried`."""
    reordered: int = 0
    """Held back."""
    truncated: int = 0
    """Carried without their tail."""
    flipped: int = 0
    """Carried with one bit turned over."""


class FateTrace:
    """Prints what became of frames: a line for TRACE_WIDTH of them, headed by the time of its first."""

    def __init__(self) -> None:
        self._letters: list[str] = []
        self._began = 0.0

    def add(self, now: float, fate: FrameFate) -> str | None:
        """Take one frame's fate; gives back a line when one is full."""
        if not self._letters:
            self._began = now
        self._letters.append(fate)
        return self.rest() if len(self._letters) == TRACE_WIDTH else None

    def rest(self) -> str | None:
        """The line that is not full yet, if there is one."""
        if not self._letters:
            return None
        line = f"{self._began:10.3f} {''.join(self._letters)}"
        self._letters.clear()
        return line


class Converter:
    """The rate limit: a queue with a shallow buffer, kept as the instant at which it will be empty."""

    def __init__(self, rate_mbit: float, buffer_bytes: int) -> None:
        self._rate = rate_mbit * 1e6 / 8
        self._buffer = buffer_bytes
        self._empty_at = float("-inf")

    def leaves(self, now: float, size: int) -> float | None:
        """When a datagram of `size` bytes has gone through [s]; None where the buffer has no room for it."""
        length = size + WIRE_OVERHEAD
        waiting = max(0.0, self._empty_at - now) * self._rate
        if waiting and waiting + length > self._buffer + 0.5:  # half a byte for the rounding of times
            return None
        self._empty_at = max(self._empty_at, now) + length / self._rate
        return self._empty_at


class LinkModel:
    """The link. `carry` must be called with times that never go back."""

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.0,
        burst: Burst | None = None,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        truncate: float = 0.0,
        flip: float = 0.0,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        rate_mbit: float = 0.0,
        buffer_bytes: int = BUFFER_BYTES,
        cuts: tuple[Cut, ...] = (),
        script: str = "",
    ) -> None:
        """
        Args:
            seed: Fixes everything below, together with the times of the frames.
            loss: Share of frames lost in good times, 0 to 1.
            burst: Bad times, or None for none.
            duplicate: Share of carried frames that arrive twice.
            reorder: Share of carried frames that are held back by REORDER_S.
            truncate: Share of carried frames that lose their tail, at least one byte of it.
            flip: Share of carried frames in which one bit is turned over.
            delay_s: Every frame's delay [s].
            jitter_s: Most that is added to it, evenly distributed [s]; it alone can reorder too.
            rate_mbit: Most that gets through, headers counted [Mbit/s]; 0 for no limit.
            buffer_bytes: Most that waits for it [bytes].
            cuts: When the cable is out, in any order.
            script: Fates of the first frames, letters of `FrameFate` as a trace prints them; then chance decides.

        Raises:
            ConfigError: a share outside 0 to 1, a negative time, a letter that is no fate.
        """
        shares = {"loss": loss, "duplicate": duplicate, "reorder": reorder, "truncate": truncate, "flip": flip}
        least = {"delay": delay_s, "jitter": jitter_s, "rate": rate_mbit, "buffer": buffer_bytes}
        wrong = [f"{name} {value}" for name, value in shares.items() if not 0 <= value <= 1]
        wrong += [f"{name} {value}" for name, value in least.items() if not value >= 0]
        wrong += [f"fate {letter}" for letter in sorted(set(script) - set(FrameFate))]
        if wrong:
            raise ConfigError(f"link: {', '.join(wrong)}", hint="shares are 0 to 100%, times and rates not negative")
        self.seed = seed
        self.loss, self.burst, self.duplicate, self.reorder = loss, burst, duplicate, reorder
        self.truncate, self.flip = truncate, flip
        self.delay_s, self.jitter_s = delay_s, jitter_s
        self.rate_mbit, self.buffer_bytes = rate_mbit, buffer_bytes
        self.cuts = tuple(sorted(cuts, key=lambda cut: cut.start_s))
        self.counts = LinkCounts()
        self.bad = False
        """Whether a burst is on."""
        self.fate = FrameFate.CARRIED
        """What became of the last frame."""
        self._script: Iterator[str] = iter(script)
        self._converter = Converter(rate_mbit, buffer_bytes) if rate_mbit else None
        names = ("loss", "burst", "duplicate", "reorder", "jitter", "truncate", "flip")
        self._dice = {name: Random(f"{seed}/{name}") for name in names}
        self._turn_s = self._stay() if burst else float("inf")

    def settings(self) -> dict[str, object]:
        """What was asked for, as plain values (for a status file and a first line)."""
        return {
            "seed": self.seed,
            "loss": self.loss,
            "burst": asdict(self.burst) if self.burst else None,
            "duplicate": self.duplicate,
            "reorder": self.reorder,
            "truncate": self.truncate,
            "flip": self.flip,
            "delay_s": self.delay_s,
            "jitter_s": self.jitter_s,
            "rate_mbit": self.rate_mbit,
            "buffer_bytes": self.buffer_bytes,
            "cuts": [asdict(cut) for cut in self.cuts],
        }

    def carry(self, now: float, datagram: bytes) -> list[tuple[float, bytes]]:
        """When and how often the datagram arrives: `(time [s], datagram)`, empty where it is lost."""
        counts, dice = self.counts, self._dice
        counts.offered += 1
        if now >= self._turn_s:
            self._turn(now)
        loss = self.burst.loss if self.bad and self.burst else self.loss
        lost = dice["loss"].random() < loss
        twice = bool(self.duplicate) and dice["duplicate"].random() < self.duplicate
        late = bool(self.reorder) and dice["reorder"].random() < self.reorder
        short = self._place("truncate", self.truncate)
        turned = self._place("flip", self.flip)
        delay_s = self.delay_s + (dice["jitter"].random() * self.jitter_s if self.jitter_s else 0.0)
        through = self._converter.leaves(now, len(datagram)) if self._converter else now
        cut = bool(self.cuts) and any(one.start_s <= now < one.end_s for one in self.cuts)
        if letter := next(self._script, ""):
            lost, cut, twice, late = letter in "xb", letter == "c", letter == "d", letter == "~"
            short, turned = 0.5 if letter == "t" else None, 0.5 if letter == "f" else None
            through = None if letter == "q" else now
        if through is None:
            return self._gone("choked", FrameFate.FULL)
        if cut:
            return self._gone("cut", FrameFate.CUT)
        if lost:
            return self._gone("dropped", FrameFate.BURST if self.bad else FrameFate.LOST)
        return self._arrivals(through + delay_s, self._altered(datagram, short, turned), twice=twice, late=late)

    def _gone(self, count: str, fate: FrameFate) -> list[tuple[float, bytes]]:
        setattr(self.counts, count, getattr(self.counts, count) + 1)
        self.fate = fate
        return []

    def _place(self, name: str, share: float) -> float | None:
        """Where in the frame this cause strikes, 0 to 1; None where it does not. One draw a frame."""
        if not share:
            return None
        drawn = self._dice[name].random()
        return drawn / share if drawn < share else None

    def _altered(self, datagram: bytes, short: float | None, turned: float | None) -> bytes:
        self.fate = FrameFate.CARRIED
        if turned is not None and datagram:
            at = int(turned * len(datagram) * 8)
            raw = bytearray(datagram)
            raw[at // 8] ^= 1 << at % 8
            datagram = bytes(raw)
            self.counts.flipped += 1
            self.fate = FrameFate.FLIPPED
        if short is not None and datagram:
            datagram = datagram[: int(short * len(datagram))]
            self.counts.truncated += 1
            self.fate = FrameFate.SHORT
        return datagram

    def _arrivals(self, at: float, datagram: bytes, *, twice: bool, late: bool) -> list[tuple[float, bytes]]:
        counts = self.counts
        counts.carried += 1
        if late:
            counts.reordered += 1
            at += REORDER_S
            self.fate = FrameFate.LATE
        if not twice:
            return [(at, datagram)]
        counts.doubled += 1
        self.fate = FrameFate.DOUBLE
        return [(at, datagram), (at, datagram)]

    def _turn(self, now: float) -> None:
        """Change between good and bad until the state of `now`."""
        while now >= self._turn_s:
            self.bad = not self.bad
            self._turn_s += self._stay()

    def _stay(self) -> float:
        """How long the state that begins now lasts [s]."""
        assert self.burst is not None
        return self._dice["burst"].expovariate(1.0 / (self.burst.length_s if self.bad else self.burst.every_s))
