"""What the running emitter does of what people ask: one errand at a time, begun, told about, finished.

    replay     the blocks that a gap code named (resend.py); a restart goes on where it stopped
    linktest   probes in steps (probing.py); a restart breaks it off, since half of a test says nothing

ErrandFolder are looked for once a second. What cannot be done is refused with words for the command that left it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.limits import WIRE_OVERHEAD
from protocol.store import statefile
from sender.emit.emitter import Emitter
from sender.emit.errands import Errand, ErrandFolder
from sender.emit.interleave import Parcel
from sender.emit.pace import Pace
from sender.emit.probing import Probing, steps_from
from sender.emit.resend import Resend, StreamBlocks

LINKTEST_ROOM = 60.0
"""A session ends no sooner than this after the planned end of a test [s]: data may slow it."""


class ErrandRunner:
    """Does the errands of one emitter, in the order in which they were left."""

    def __init__(self, state: Path, emitter: Emitter, *, largest: int, begun: Mapping[str, Any]) -> None:
        """
        Args:
            state: The state folder.
            emitter: Who sends what is asked for.
            largest: UDP payload of the largest frame that the interface takes [bytes].
            begun: What `note` gave before a restart; empty where nothing was under way.
        """
        self.done = ""
        """Name of the errand that was finished last."""
        self._errands = ErrandFolder(state)
        self._spool = state / "spool"
        self._emitter = emitter
        self._largest = largest
        self._begun = begun
        self._errand: Errand | None = None
        self._probing: Probing | None = None
        self._resend: Resend | None = None

    def look(self, now: float) -> None:
        """Go on: finish what is done, begin what waits. Call it once a second."""
        if self._errand is not None:
            self._finish_done()
        if self._errand is None:
            self._errand = self._errands.next()
            if self._errand is not None:
                self._begin(self._errand, now)
                self._begun = {}

    def next(self, now: float) -> Parcel | None:
        """The next probes."""
        if self._probing is None or self._probing.session is not self._emitter.session:
            return None  # `look` breaks off a test whose session is over
        return self._probing.next(now)

    def deadline(self, now: float) -> float:
        """When `next` may have something [s, monotonic]."""
        return float("inf") if self._probing is None else self._probing.deadline(now)

    def pace(self, now: float) -> Pace | None:
        """Of all that leaves while a step of a test runs; None at other times."""
        return self._probing.pace if self._probing is not None and self._probing.running(now) else None

    def note(self) -> Mapping[str, Any]:
        """For `emit.json`: what a restart must know."""
        if self._errand is None:
            return self._begun
        if self._resend is None:
            return {"name": self._errand.name}
        return {"name": self._errand.name, "position": list(self._resend.position), "sent": self._resend.sent}

    def status(self) -> dict[str, Any]:
        """For the status file."""
        if self._errand is None:
            return {}
        told: dict[str, Any] = {"name": self._errand.name, "kind": self._errand.kind}
        if self._probing is not None:
            told |= {"step": min(self._probing.at + 1, len(self._probing.steps)), "steps": len(self._probing.steps)}
        if self._resend is not None:
            told |= {"sent": self._resend.sent, "blocks": self._errand.body.get("blocks")}
        return told

    def _begin(self, errand: Errand, now: float) -> None:
        again = self._begun.get("name") == errand.name
        try:
            if errand.kind == "replay":
                self._begin_resend(errand, self._begun if again else {})
            elif errand.kind == "linktest":
                if again:
                    raise ValueError("the emitter was restarted in the middle of the test; begin it again")
                self._begin_probing(errand, now)
            else:
                raise ValueError(f"this emitter knows no errand {errand.kind!r}")
        except statefile.UNBELIEVED as error:
            self._finish({"state": "refused", "text": str(error)})

    def _begin_resend(self, errand: Errand, begun: Mapping[str, Any]) -> None:
        parts = [StreamBlocks.from_json(one) for one in errand.body["parts"]]
        index, number = begun.get("position", (0, 0))
        position = (int(index), int(number))
        self._resend = Resend(self._spool, parts, position=position, sent=int(begun.get("sent", 0)))
        self._emitter.send_again(self._resend)

    def _begin_probing(self, errand: Errand, now: float) -> None:
        steps = steps_from(errand.body["steps"], self._largest)
        seconds = 2 * sum(one.seconds for one in steps) + LINKTEST_ROOM
        session = self._emitter.outlast(seconds, len(steps), now)
        self._probing = Probing(steps, session, self._largest + WIRE_OVERHEAD, now)

    def _finish_done(self) -> None:
        probing, resend = self._probing, self._resend
        if probing is not None and probing.done:
            self._finish({"state": "done", "sent": probing.sent})
        elif probing is not None and probing.session is not self._emitter.session:
            self._finish({"state": "refused", "text": "the link key was renewed in the middle; begin it again"})
        elif resend is not None and self._emitter.resent():
            gone = [[stream.hex(), first, after] for stream, first, after in resend.gone]
            self._finish({"state": "done", "sent": resend.sent, "gone": gone})

    def _finish(self, told: Mapping[str, Any]) -> None:
        assert self._errand is not None
        self._errands.finish(self._errand.name, told)
        self.done = self._errand.name
        self._errand = self._probing = self._resend = None
