"""An output that begins with the history: live data first, and where the journal has nothing new, the history.

So the journal is never outrun by its own retention, and what the plant says now is not held up by last year. The plan
is made before the first hand-over (`feed_plan.py`), the feed reads (`history_feed.py`), and the place that the output
stores says how far both are. A history that cannot be read at the moment is tried again; the journal goes on meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError, StoreError
from receiver.outputs.base import OpenedBlock
from receiver.outputs.historian.whole.whole_history import WholeHistory
from receiver.outputs.scope import Scope
from receiver.publish import feed_plan
from receiver.publish.feed_plan import FeedPlace
from receiver.publish.history_feed import HistoryFeed, came
from receiver.publish.known import KnownStream

AGAIN_S = 30.0
"""Pause before a history that could not be read is tried again [s]."""


class HistoryFirst:
    """The feed of one output, whatever becomes of the history."""

    def __init__(
        self,
        state: Path,
        name: str,
        scope: Scope,
        stored: object,
        *,
        known: Callable[[bytes], KnownStream],
        wall_ns: int,
    ) -> None:
        """
        Args:
            state: The receiver's folder.
            name: Of the output.
            scope: What it may see.
            stored: The place that it stored last, None for a new one.
            known: What is known of a stream beside the history.
            wall_ns: Wall time [ns since 1970 UTC].
        """
        self.place = FeedPlace.stored(stored)
        self.trouble = ""
        """Why it does not get on; empty where it does."""
        self._state, self._scope, self._known = state, scope, known
        self._file = state / f"feed-{name}.json"
        self._wall_ns = wall_ns
        self._again_at = 0.0
        self._feed: HistoryFeed | None = None
        self._samples = self._unreadable = 0
        if not self.place.planned:
            with contextlib.suppress(OSError):
                self._file.unlink()  # of an output of the same name that was

    def begin(self) -> None:
        """Make the plan, before anything is handed over of the journal; one that cannot be made yet is made later."""
        with contextlib.suppress(StoreError):
            if not self.place.done:
                self._open()

    def again(self) -> None:
        """Retention took of the journal what the output had not read: hand over what the history has of it.

        The whole plan is made anew: what the output has already it knows by stream and number.
        """
        self.close()
        self.place = FeedPlace()
        with contextlib.suppress(OSError):
            self._file.unlink()
        self.begin()

    def step(self, now: float) -> tuple[list[OpenedBlock], bool]:
        """The next blocks, or nothing; `place` moves with them.

        Args:
            now: Running time [s].
        """
        if self.place.done or now < self._again_at:
            return [], False
        try:
            if self._feed is None:
                self._open()
            if self._feed is None:
                self._again_at = now + AGAIN_S
                return [], False
            blocks, moved = self._feed.step()
        except StoreError as error:
            self._again_at, self.trouble = now + AGAIN_S, f"the history cannot be read and is tried again: {error}"
            self.close()
            return [], False
        self.place, self.trouble = self._feed.place, ""
        if self.place.done:
            self.close()
        return blocks, moved

    def status(self) -> dict[str, Any]:
        """For `status-OUTPUT.json`."""
        feed = self._feed
        return {
            "done": self.place.done,
            "blocks_left": 0 if feed is None else feed.blocks_left,
            "samples": self._samples + (0 if feed is None else feed.samples),
            "unreadable": self._unreadable + (0 if feed is None else feed.unreadable),
        }

    def warnings(self) -> list[str]:
        """Lines for people."""
        told = self.status()
        out = [self.trouble] if self.trouble else []
        if told["unreadable"]:
            out.append(
                f"{told['unreadable']} chunks of the history could not be handed over: damaged, or taken by retention "
                "meanwhile; `checkvalve history check` tells which"
            )
        return out

    def close(self) -> None:
        """Let go of the files."""
        if self._feed is not None:
            self._samples += self._feed.samples
            self._unreadable += self._feed.unreadable
            self._feed.close()
            self._feed = None

    def _open(self) -> None:
        try:
            history = WholeHistory(self._state / "history", self._scope)
        except ConfigError:
            return  # there is none yet
        plan = feed_plan.load(self._file, wall_ns=self._wall_ns)
        if plan is None:
            plan = feed_plan.planned(came(history), feed_plan.in_journal(self._state / "journal"))
            with contextlib.suppress(OSError):
                feed_plan.keep(self._file, plan)
        self._feed = HistoryFeed(history, plan, self.place, known=self._known, scope=self._scope)
