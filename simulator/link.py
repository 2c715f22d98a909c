"""The bad link: what a one-way path does to datagrams, as a seeded model on virtual time.

    cable      cut in the given intervals: everything in them is lost
    state      good or bad, each for an exponential time (Gilbert-Elliott in continuous time, so that a burst has a
               length in seconds whatever the traffic): loss `loss` while good, `burst.loss` while bad
    frame      lost, else delayed by delay + jitter; now and then held back (reordered) or carried twice

Each cause draws from a random stream of its own, and each frame draws once from every stream that is on: the frames
that are lost under a seed are the same whatever else is switched on, and bursts begin when they begin, traffic or not.
Frames are lost, delayed, doubled and overtaken, never altered or invented. No socket here and no clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random

from protocol import text
from protocol.errors import ConfigError

REORDER_S = 0.005
"""How long a frame is held back so that others overtake it [s]."""


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
class Counts:
    """What became of the frames; offered = carried + dropped + cut."""

    offered: int = 0
    carried: int = 0
    """Passed on, each once."""
    dropped: int = 0
    """Lost by chance, in good or bad times."""
    cut: int = 0
    """Lost because the cable was out."""
    doubled: int = 0
    """Second copies, beyond `carried`."""
    reordered: int = 0
    """Held back."""


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
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        cuts: tuple[Cut, ...] = (),
    ) -> None:
        """
        Args:
            seed: Fixes everything below, together with the times of the frames.
            loss: Share of frames lost in good times, 0 to 1.
            burst: Bad times, or None for none.
            duplicate: Share of carried frames that arrive twice.
            reorder: Share of carried frames that are held back by REORDER_S.
            delay_s: Every frame's delay [s].
            jitter_s: Most that is added to it, evenly distributed [s]; it alone can reorder too.
            cuts: When the cable is out, in any order.

        Raises:
            ConfigError: a share outside 0 to 1, or a negative time.
        """
        shares = {"loss": loss, "duplicate": duplicate, "reorder": reorder}
        wrong = [f"{name} {value}" for name, value in shares.items() if not 0 <= value <= 1]
        wrong += [f"{name} {value}" for name, value in (("delay", delay_s), ("jitter", jitter_s)) if not value >= 0]
        if wrong:
            raise ConfigError(f"link: {', '.join(wrong)}", hint="shares are 0 to 100%, times not negative")
        self.seed = seed
        self.loss, self.burst, self.duplicate, self.reorder = loss, burst, duplicate, reorder
        self.delay_s, self.jitter_s = delay_s, jitter_s
        self.cuts = tuple(sorted(cuts, key=lambda cut: cut.start_s))
        self.counts = Counts()
        self.bad = False
        """Whether a burst is on."""
        self._dice = {name: Random(f"{seed}/{name}") for name in ("loss", "burst", "duplicate", "reorder", "jitter")}
        self._turn_s = self._stay() if burst else float("inf")

    def settings(self) -> dict[str, object]:
        """What was asked for, as plain values (for a status file and a first line)."""
        return {
            "seed": self.seed,
            "loss": self.loss,
            "burst": asdict(self.burst) if self.burst else None,
            "duplicate": self.duplicate,
            "reorder": self.reorder,
            "delay_s": self.delay_s,
            "jitter_s": self.jitter_s,
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
        at = now + self.delay_s + (dice["jitter"].random() * self.jitter_s if self.jitter_s else 0.0)
        if self.cuts and any(cut.start_s <= now < cut.end_s for cut in self.cuts):
            counts.cut += 1
            return []
        if lost:
            counts.dropped += 1
            return []
        counts.carried += 1
        if late:
            counts.reordered += 1
            at += REORDER_S
        if not twice:
            return [(at, datagram)]
        counts.doubled += 1
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
