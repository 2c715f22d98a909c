"""The process of one output: follows the journal, hands on what was opened, lets the output do what is due.

One process an output, so that none can slow another; each has its own cursor in its own store. This is the shell: the
only clock and the only wait.

    status-OUTPUT.json    its counters; `place`: how far it read; `alarms`: what is journaled and waits too long
    damaged-OUTPUT.json   {"places": [[segment, start, end], ..]}: where it met damage in the journal, for catch, which
                          has those numbers asked for again; they come again at the journal's end
    feed-OUTPUT.json      of an output that begins with the history: which blocks it is given of it (feed_plan.py)
"""

from __future__ import annotations

import contextlib
import gc
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol import keys
from protocol.opening_keys import load_opening
from protocol.process.document import from_json, to_json
from protocol.process.doorbell import Doorbell
from protocol.process.statusfile import PERIOD, write_status
from protocol.store import statefile
from protocol.store.resync import Damage
from protocol.written import counted
from receiver.config import ReceiverConfig
from receiver.outputs.base import OpenedBlock, Output
from receiver.outputs.scope import Scope
from receiver.publish.alarm import StandingTrouble, skipped_line, waiting_alarms
from receiver.publish.behind import unread_blocks
from receiver.publish.known import KnownStream
from receiver.publish.losses import PLACES_KEPT
from receiver.publish.opener import Opener
from receiver.publish.patience import GivenUp, Patience
from receiver.status.publish import OutputCounters, OutputStatus

if TYPE_CHECKING:
    from receiver.publish.history_first import HistoryFirst

LOOK = 0.02
"""Longest wait for the journal's doorbell [s]."""
TIDY_PERIOD = 600.0
"""Period of retention [s]."""
STOP_S = 3.0
"""Longest time that is read on after a signal to end [s]."""
FINGERPRINT = 19
"""Characters of a fingerprint that are a key's id: four groups of four."""


class OutputProcess:
    """The journal to one output: opens what is new, hands it on, says once a second how that goes."""

    def __init__(
        self,
        config: ReceiverConfig,
        name: str,
        output: Output,
        scope: Scope,
        *,
        patience: Patience | None = None,
        tidy: Callable[[], None] = lambda: None,
        begin: str = "journal",
    ) -> None:
        """
        Args:
            config: The low side's.
            name: Of the output, for its status file.
            output: Where samples go.
            scope: What it may see.
            patience: The stop, and how the output waits while its disk is full.
            tidy: Called now and then: retention.
            begin: `history`: a new output is given what the history has kept, too.

        Raises:
            ConfigError: a key that is missing or wrong.
        """
        publics = [key for path in config.keys.senders for key in keys.load_public(path)]
        self._output, self._name, self._state, self._tidy = output, name, config.state, tidy
        self._own, *self._others = load_opening(config.keys.own)
        self._signers = {key.id: key for key in publics if key.kind == "sign"}
        self._journal, self._scope = config.journal, scope
        self._started = time.monotonic()
        self._begin = begin
        self._history: HistoryFirst | None = None
        self._standing = StandingTrouble()
        self._open_from_stored()
        self._damage = DamageFile(config.state / f"damaged-{name}.json", wall_ns=time.time_ns())
        self._patience = patience or Patience(self._say)
        self._patience.say = self._say
        self._bell = Doorbell(config.state / f"doorbell-{name}", wall_ns=time.time_ns())

    def run(self) -> int:
        """Until SIGTERM or SIGINT; returns the exit code.

        Raises:
            StoreError: a failing disk, of the journal or of the output.
        """
        self._patience.listen()
        gc.collect()
        gc.freeze()
        with contextlib.suppress(GivenUp):  # the journal has what was in hand
            self._run()
        self._say()
        self._output.close()
        return 0

    def _run(self) -> None:
        said, tidied = 0.0, time.monotonic()
        while not self._patience.stop:
            now = time.monotonic()
            moved = self._output.wants() and (self._hand_over() or self._feed(now))
            wait = self._output.step(now)
            if now >= said + PERIOD:
                said = now
                self._say()
            if now >= tidied + TIDY_PERIOD:
                tidied = now
                self._tidy()
            if not moved:
                self._bell.wait(min(wait, LOOK))
        ends = time.monotonic() + STOP_S
        while time.monotonic() < ends and self._output.wants() and self._hand_over():
            pass  # what was journaled before the stop

    def _open_from_stored(self) -> None:
        """From the place that the output stored last."""
        self._stored = self._output.place()
        self._opener = Opener(
            self._journal,
            self._stored,
            own=self._own,
            others=self._others,
            signers=self._signers,
            scope=self._scope,
            now=time.monotonic(),
            wall_ns=time.time_ns(),
        )

        self._fed_skipped = 0
        if self._begin == "history":
            from receiver.publish.history_first import HistoryFirst  # with the history's reader, which few need

            self._history = HistoryFirst(
                self._state, self._name, self._scope, self._stored, known=self._known, wall_ns=time.time_ns()
            )
            self._history.begin()

    def _known(self, stream: bytes) -> KnownStream:
        return self._opener.known(stream)

    def _hand_over(self) -> bool:
        if self._output.begun_again():
            self._opener.close()
            if self._history is not None:
                self._history.close()
            self._open_from_stored()
        blocks, moved = self._opener.step(time.monotonic())
        if self._history is not None and self._opener.reader.skipped > self._fed_skipped:
            self._fed_skipped = self._opener.reader.skipped
            self._history.again()
        if moved:
            self._take(blocks)
        return moved

    def _feed(self, now: float) -> bool:
        """What the history has for an output that begins; only where the journal has nothing new."""
        if self._history is None:
            return False
        blocks, moved = self._history.step(now)
        if moved:
            self._take(blocks)
        return moved

    def _take(self, blocks: list[OpenedBlock]) -> None:
        place = self._opener.place()
        if self._history is not None:
            place = self._history.place.beside(place)
        if blocks or place != self._stored:
            self._output.take(blocks, place)
            self._stored = place

    def _say(self) -> None:
        opener, now = self._opener, time.monotonic()
        own = self._own.public.fingerprint[:FINGERPRINT]
        alarms, unpublished = waiting_alarms(opener.waiting_streams(), now, since=self._started, own=own)
        self._damage.note(opener.losses.places)
        of_output = self._output.status()
        counters = from_json(OutputCounters, of_output)
        standing = self._standing.line(counters.trouble, counters.next_step, now)
        blocks, seconds = self._behind(of_output)
        status = OutputStatus(
            place=tuple(opener.reader.place),
            waiting=opener.waiting,
            unpublished=unpublished,
            scope=self._scope.text,
            behind_blocks=blocks,
            behind_s=seconds,
            alarm=bool(standing or of_output.get("alarm")),
            alarms=(*of_output.get("alarms", ()), *([standing] if standing else []), *alarms, *self._skipped_alarms()),
            warnings=(*of_output.get("warnings", ()), *self._warnings()),
            refused=dict(opener.refused),
            damaged=opener.losses.count,
            later_kinds={str(kind): count for kind, count in opener.later.items()},
            skipped_segments=opener.skipped,
        )
        fed = {} if self._history is None else {"history": self._history.status()}
        write_status(self._state, self._name, {**of_output, **to_json(status), **fed}, time_ns=time.time_ns())

    def _skipped_alarms(self) -> list[str]:
        """Aloud while this process runs; after a restart it is a warning."""
        skipped = self._opener.reader.skipped
        return [skipped_line(skipped)] if skipped and self._history is None else []

    def _behind(self, of_output: Mapping[str, Any]) -> tuple[int, float]:
        """Blocks and seconds: what is not read yet, and what the output says of what it has not delivered yet."""
        opener, own = self._opener, from_json(OutputStatus, of_output)
        end, place = opener.reader.end(), opener.reader.place
        blocks = unread_blocks(self._journal, place, end, records=opener.records, record_bytes=opener.record_bytes)
        seconds = 0.0
        if blocks and opener.read_ns is not None:
            seconds = max((time.time_ns() - opener.read_ns) / 1e9, 0.0)
        return blocks + own.behind_blocks, max(seconds, own.behind_s)

    def _warnings(self) -> list[str]:
        opener = self._opener
        out = list(opener.said)
        if opener.skipped > opener.reader.skipped and self._history is None:
            out.append(skipped_line(opener.skipped))
        if opener.trouble:
            out.append(opener.trouble)
        if opener.losses.count:
            lost = sum(numbers.count for numbers in opener.losses.numbers.values())
            out.append(
                f"the journal was found damaged in {opener.losses.count} places; of the blocks known to have "
                f"stood there {lost} have not come again. "
                "Look at the disk; `checkvalve gaps` names the code to type for them"
            )
        if self._history is not None:
            out += self._history.warnings()
        counts = dict(opener.refused)
        if expired := counts.pop("expired", 0):
            out.append(f"{counted(expired, 'block')} gone from the journal before what opens them came")
        if counts:
            told = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
            out.append(f"blocks that are journaled and will never open, by reason: {told}")
        return out


class DamageFile:
    """`damaged-OUTPUT.json`, across restarts: catch may not have read it yet."""

    def __init__(self, path: Path, *, wall_ns: int) -> None:
        self._path = path
        self._old: list[list[int]] = statefile.load(path, _places, lambda line: None, wall_ns=wall_ns) or []
        self._written: list[Damage] = []

    def note(self, damaged: list[Damage]) -> None:
        """Write the places where they changed; a full disk puts it off."""
        if damaged == self._written:
            return
        fresh = [[one.start.segment, one.start.offset, one.end.offset] for one in damaged]
        places = [*(one for one in self._old if one not in fresh), *fresh][-PLACES_KEPT:]
        with contextlib.suppress(OSError):
            statefile.write(self._path, json.dumps({"places": places}).encode())
            self._written = list(damaged)


def _places(held: Mapping[str, Any]) -> list[list[int]]:
    places = [list(one) for one in held["places"]][-PLACES_KEPT:]
    if not all(len(one) == 3 and all(type(part) is int for part in one) for one in places):
        raise ValueError("no places")
    return places
