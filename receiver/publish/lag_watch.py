"""How publish watches its outputs: is what is journaled published, even where an output's process is dead or stuck?

An output says in its status how far it has read the journal. publish, its parent, compares that with the journal's end
once a second, by running time; so a process that ended, one that hangs and one that only waits are seen alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from protocol.process.document import from_json
from protocol.process.status_header import StatusHeader
from protocol.process.statusfile import read_status
from protocol.store.reader import Reader
from receiver.config import ReceiverConfig
from receiver.publish.alarm import JournalEnds, lag_alarm, loss_ahead
from receiver.publish.journal_room import JournalRoom
from receiver.publish.portal_note import moved, read_note
from receiver.status.publish import OutputCounters, OutputStatus

ROOM_S = 60.0
"""Between two looks at what the journal keeps [s]: a list of some thousand files."""


class LagWatch:
    """How far each output of one publish has read, seen from outside its process."""

    def __init__(self, config: ReceiverConfig, outputs: Sequence[str]) -> None:
        """
        Args:
            config: The low side's.
            outputs: Names of those that follow the journal.
        """
        self._state, self._outputs = config.state, outputs
        self._reader = Reader(config.journal)
        self._ends = JournalEnds()
        self._retention, self._port = config.retention, config.portal.listen[1]
        self._room: JournalRoom | None = None
        self._looked = -ROOM_S
        self._said: dict[str, tuple[int | None, float]] = {}
        """By output: the time in its last status, and when that was seen first [s]."""

    def alarms(self, now: float, running: Collection[str]) -> list[str]:
        """Lines for people, one for each output that is behind for longer than it may be.

        Args:
            now: Running time [s].
            running: Names of the outputs whose process is there.
        """
        self._ends.note(self._reader.end(), now)
        self._look(now)
        out = []
        for name in self._outputs:
            body = read_status(self._state, name)
            said, trouble = from_json(OutputStatus, body), from_json(OutputCounters, body).trouble
            stamp, since = from_json(StatusHeader, body).time_ns, self._said.get(name)
            if since is None or since[0] != stamp:
                since = self._said[name] = (stamp, now)
            seconds = self._ends.lag_s(said.journal_place, now)
            line = lag_alarm(name, seconds, trouble, runs=name in running, silent_s=now - since[1])
            if line is not None and self._room is not None:
                line += loss_ahead(self._room.used(said.journal_place, self._retention))
            out += [] if line is None else [line]
        return out

    def warnings(self) -> list[str]:
        """Lines for people about the journal itself, as of the last `alarms`, and about pages that are elsewhere."""
        line = None if self._room is None else self._room.warning(self._retention)
        return [one for one in (line, moved(read_note(self._state), self._port)) if one]

    def _look(self, now: float) -> None:
        if now >= self._looked + ROOM_S:
            self._looked, self._room = now, JournalRoom.look(self._reader.folder, self._room)
