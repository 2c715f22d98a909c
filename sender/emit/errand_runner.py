"""What the running emitter does of what people ask: one errand at a time, begun, told about, finished.

    replay     the blocks that a gap code named (resend.py); a restart goes on where it stopped
    linktest   probes in steps (probing.py); a restart breaks it off, since half of a test says nothing

ErrandFolder are looked for once a second. What cannot be done is refused with words for the command that left it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from protocol.store import statefile
from sender.emit.emitter import Emitter
from sender.emit.errands import Errand, ErrandFolder
from sender.emit.interleave import Parcel
from sender.emit.probing import Probing, steps_from
from sender.emit.resend import Resend, StreamBlocks

LINKTEST_ROOM = 60.0
"""A session ends no sooner than this after the planned end of a test [s]: data may slow it."""


class ErrandRunner:
    """Of one emitter."""

    def __init__(
        self, state: Path, emitter: Emitter, *, largest: int, largest_frame: int, begun: dict[str, Any]
    ) -> None:
        """
        Args:
            state: The state folder.
            largest: UDP payload of the largest frame that the interface takes [bytes].
            largest_frame: Wire bytes of the largest frame of data [bytes].
            begun: What `note` gave before a restart; empty where nothing was under way.
        """
        self.probing: Probing | None = None
        """The test under way."""
        self.done: str = ""
        """Name of the errand that was finished last."""
        self._errands = ErrandFolder(state)
        self._spool = state / "spool"
        self._emitter = emitter
        self._largest, self._largest_frame = largest, largest_frame
        self._begun = begun
        self._errand: Errand | None = None

    def look(self, now: float) -> None:
        """Go on: finish what is done, take up what waits. Call it once a second."""
        if self._errand is not None:
            self._finish_done()
        if self._errand is None:
            self._errand = self._errands.next()
            if self._errand is not None:
                self._begin(self._errand, now)
                self._begun = {}

    def next(self, now: float) -> Parcel | None:
        """The next probes."""
        if self.probing is None:
            return None
        if self.probing.session is not self._emitter.session:
            return None  # `look` breaks it off
        return self.probing.next(now)

    def deadline(self, now: float) -> float:
        """When `next` may have something [s, monotonic]."""
        return float("inf") if self.probing is None else self.probing.deadline(now)

    def note(self) -> dict[str, Any]:
        """For `emit.json`: what a restart must know."""
        if self._errand is None:
            return self._begun
        resend = self._emitter.resend
        if resend is None:
            return {"name": self._errand.name}
        return {"name": self._errand.name, "position": list(resend.position), "sent": resend.sent}

    def status(self) -> dict[str, Any]:
        """For the status file."""
        if self._errand is None:
            return {}
        told: dict[str, Any] = {"name": self._errand.name, "kind": self._errand.kind}
        if self.probing is not None:
            told |= {"step": min(self.probing.at + 1, len(self.probing.steps)), "steps": len(self.probing.steps)}
        if self._emitter.resend is not None:
            told |= {"sent": self._emitter.resend.sent, "blocks": self._errand.body.get("blocks")}
        return told

    def _begin(self, errand: Errand, now: float) -> None:
        again = self._begun.get("name") == errand.name
        try:
            if errand.kind == "replay":
                self._replay(errand, self._begun if again else {})
            elif errand.kind == "linktest":
                if again:
                    raise ValueError("the emitter was restarted in the middle of the test; begin it again")
                self._linktest(errand, now)
            else:
                raise ValueError(f"this emitter knows no errand {errand.kind!r}")
        except statefile.UNBELIEVED as error:
            self._finish({"state": "refused", "text": str(error)})

    def _replay(self, errand: Errand, begun: dict[str, Any]) -> None:
        parts = [StreamBlocks.from_json(one) for one in errand.body["parts"]]
        stretch, number = begun.get("position", (0, 0))
        self._emitter.resend = Resend(
            self._spool, parts, position=(int(stretch), int(number)), sent=int(begun.get("sent", 0))
        )

    def _linktest(self, errand: Errand, now: float) -> None:
        steps = steps_from(errand.body["steps"], self._largest)
        seconds = 2 * sum(one.seconds for one in steps) + LINKTEST_ROOM
        self._emitter.outlast(seconds, len(steps), now)
        self.probing = Probing(steps, self._emitter.session, self._largest_frame, now)

    def _finish_done(self) -> None:
        probing, resend = self.probing, self._emitter.resend
        if probing is not None:
            if probing.done:
                self._finish({"state": "done", "sent": probing.sent})
            elif probing.session is not self._emitter.session:
                self._finish({"state": "refused", "text": "the link key was renewed in the middle; begin it again"})
        elif resend is None:
            self._finish({"state": "refused", "text": "nothing to do"})
        elif self._emitter.resent():
            gone = [[stream.hex(), first, after] for stream, first, after in resend.gone]
            self._finish({"state": "done", "sent": resend.sent, "gone": gone})

    def _finish(self, told: dict[str, Any]) -> None:
        assert self._errand is not None
        self._errands.finish(self._errand.name, told)
        self.done = self._errand.name
        self._errand = self.probing = self._emitter.resend = None
