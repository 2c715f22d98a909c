"""Appends a line of JSON a sample to one file; what counts of the file is as long as `NAME.json` says.

Content goes first and is made durable; then place, length and the block numbers that came are replaced in one small
file, in one step. After a kill between the two the lines are longer than it says: what stands beyond was never taken.
"""

import errno
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from protocol.content.sample import Flag
from protocol.errors import ConfigError, StoreError
from protocol.ranges import Ranges
from protocol.settings.table import File
from protocol.store import statefile
from receiver.outputs.base import BatchBody, OpenedBlock, Output
from receiver.outputs.disk import lock
from receiver.outputs.settings import OutputTable


class JsonLinesTable(OutputTable):
    """Its keys in `receiver.toml`, besides kind, name and scope."""

    EXAMPLES: ClassVar[dict[str, Any]] = {**OutputTable.EXAMPLES, "kind": "jsonl", "file": "samples.jsonl"}

    file: File
    """Where the lines go."""

    def files(self) -> list[Path]:
        """None that must be there before the start: the output makes its own."""
        return []


class JsonLinesOutput(Output):
    """One file."""

    kind = "jsonl"
    table = JsonLinesTable

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> "JsonLinesOutput":
        assert isinstance(table, JsonLinesTable)
        return cls(state / f"{table.name}.json", table.file, wait)

    def __init__(self, note: Path, file: Path, wait: Callable[[float], None]) -> None:
        self._note, self._wait, self._trouble = note, wait, ""
        self._said: list[str] = []
        self._lock = lock(note.with_suffix(".lock"))  # raises where another process writes it
        self._place, self._length, self._came = self._begun(file)
        try:
            self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            os.close(self._lock)
            raise ConfigError(f"{file}: {error.strerror}", hint="name a file that this user may write") from error
        os.ftruncate(self._file, self._length)

    def place(self) -> bytes | None:
        return self._place

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        came = {key: Ranges(numbers) for key, numbers in self._came.items()}
        new = [one for one in blocks if came.setdefault(one.stream.key.hex(), Ranges()).add(one.number)]
        data = "".join(line for one in new for line in _lines(one)).encode()
        while True:
            try:
                self._store(data, came, place)
                break
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise StoreError(f"{self._note}: {error.strerror}") from error
                self._trouble = f"{error.strerror}: waiting for space"
                self._wait(1.0)  # may raise to give up: then nothing of this was taken
        self._place, self._length, self._came, self._trouble = place, self._length + len(data), came, ""

    def status(self) -> Mapping[str, Any]:
        blocks = sum(numbers.count for numbers in self._came.values())
        return {"trouble": self._trouble, "warnings": self._said, "blocks": blocks, "bytes": self._length}

    def close(self) -> None:
        for file in (self._file, self._lock):
            if file >= 0:
                os.close(file)
        self._file = self._lock = -1

    def _begun(self, file: Path) -> tuple[bytes | None, int, dict[str, Ranges]]:
        """Place, length and numbers as they were noted; nothing where that cannot be: the journal has all once more."""
        noted = statefile.load(self._note, _noted, self._said.append, wall_ns=time.time_ns())
        size = file.stat().st_size if file.exists() else 0
        if noted is not None and size >= noted[1]:
            return noted
        if size:  # nobody knows what of it was taken: it is kept, under another name
            aside = file.with_name(f"{file.name}.before-{time.time_ns()}")
            self._said.append(f"{file.name} stands as {file.rename(aside).name}; it is begun anew from the journal")
        return None, 0, {}

    def _store(self, data: bytes, came: Mapping[str, Ranges], place: bytes) -> None:
        at = self._length
        while at < self._length + len(data):
            at += os.pwrite(self._file, data[at - self._length :], at)
        os.fsync(self._file)
        told = {"place": place.hex(), "length": at, "came": {key: list(numbers) for key, numbers in came.items()}}
        statefile.write(self._note, statefile.pack(told))


def _lines(block: OpenedBlock) -> list[str]:
    """A line a sample; pages, states, events, and what a later sender may send, have none."""
    out = []
    for row in block.body.columns.rows() if isinstance(block.body, BatchBody) else ():
        tag, value = block.stream.tags[row.tag], row.value
        if tag.type == "uint64" and isinstance(value, int) and value < 0:
            value += 2**64  # columns carry it in two's complement
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)  # JSON has no such number
        told = {"time_ns": row.time_ns, "asset": tag.asset, "tag": tag.name, "unit": tag.unit}
        if not row.flags & Flag.REFRESH:  # that one is no new sample
            out.append(json.dumps({**told, "value": value, "quality": row.quality}) + "\n")
    return out


def _noted(held: Mapping[str, Any]) -> tuple[bytes, int, dict[str, Ranges]]:
    """What the small file says; where it is not what was written, this raises and nothing of it is believed."""
    came = {str(key): Ranges((int(a), int(b)) for a, b in numbers) for key, numbers in held["came"].items()}
    return bytes.fromhex(held["place"]), int(held["length"]), came
