"""The stand that an output is tested on: how it is built, stepped in virtual time, killed, and given a full disk.

It belongs to `contract`, and like it is imported by nothing of the product.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from protocol.errors import HeldError
from protocol.settings.findings import Findings, read_table
from receiver.outputs import disk
from receiver.outputs.base import OpenedBlock, Output
from receiver.outputs.settings import OutputTable
from receiver.outputs.testing.feed import Fact, facts, samples

STEPS = 5000
"""Most steps of virtual time until something must hold."""
SLICE_S = 0.001
"""Least time that passes between two steps [s]."""


class Waited(Exception):
    """An output waited for its disk, and the test gives up for it."""


class OutputStand:
    """What a subclass names, and what the laws are written with."""

    output: ClassVar[type[Output]]
    """The class under test."""
    wrong: ClassVar[Mapping[str, Any]] = {}
    """For each key of its own, a value that cannot be right."""

    # -- what a subclass gives

    def settings(self) -> Mapping[str, Any]:
        """Its own keys, right, as they stand in the file; asked for inside of `destination`."""
        return {}

    def destination(self) -> AbstractContextManager[None]:
        """What it feeds, for the length of a test: a server on 127.0.0.1, or nothing where it keeps files."""
        return nullcontext()

    def held(self, state: Path) -> Counter[Fact]:
        """Every sample that the destination has now, read without the output's own code where that can be."""
        raise NotImplementedError

    def away(self) -> AbstractContextManager[None] | None:
        """Make the destination unreachable for as long as the context lasts; None where there is none to reach."""
        return None

    def full(self) -> AbstractContextManager[None]:
        """Make its own disk full for as long as the context lasts; as it stands, for outputs that use `disk`."""
        return _full_database()

    # -- what the laws use

    _now = 1000.0
    """Monotonic time of the test [s]."""

    def _table(self, **given: Any) -> OutputTable:
        """Its section of the file, read by its own model; paths as they are."""
        found = Findings()
        read = read_table(self.output.table, self._section(**given), "output[0]", found)
        assert not found.mistakes, found.mistakes
        return read

    def _section(self, **given: Any) -> dict[str, Any]:
        common = {"kind": self.output.kind, "name": "under-test", "scope": "all"}
        fields = self.output.table.model_fields
        return {key: value for key, value in common.items() if fields[key].is_required()} | {**self.settings(), **given}

    def _built(self, state: Path, wait: Callable[[float], None] | None = None) -> Output:
        return self.output.build(self._table().beside(state), state, wait=wait or _never)

    @contextmanager
    def _opened(self, state: Path, wait: Callable[[float], None] | None = None) -> Iterator[Output]:
        one = self._built(state, wait)
        try:
            yield one
        finally:
            one.close()

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """The state folder of one test, with the destination there."""
        with tempfile.TemporaryDirectory(prefix="checkvalve-output-") as name, self.destination():
            yield Path(name)

    def _take(self, one: Output, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        """Hand over, once it wants to be handed something."""
        self._until(one, one.wants)
        one.take(blocks, place)

    def _until(self, one: Output, holds: Callable[[], object]) -> None:
        """Step in virtual time until something holds."""
        for _ in range(STEPS):
            if holds():
                return
            self._now += max(one.step(self._now), SLICE_S)
        raise AssertionError(f"never came: {one.status()}")

    def _arrived(self, one: Output, state: Path, blocks: Sequence[OpenedBlock]) -> None:
        """Each sample of the blocks stands in the destination, once, and nothing else does."""
        wanted = facts(blocks)
        try:
            self._until(one, lambda: self.held(state) == wanted)
        except AssertionError:
            held = self.held(state)
            raise AssertionError(f"lost {wanted - held}, too much {held - wanted}; {one.status()}") from None

    def _refused(self, state: Path) -> str:
        """Why a second one cannot open the store; empty where it can."""
        try:
            self._built(state).close()
        except HeldError as error:
            return str(error)
        return ""

    def _killed(self, state: Path, first: int, takes: int) -> int:
        """Take blocks from `first` on in a process of its own, which is killed once it has said so many.

        Returns:
            How many it had said were taken: each of them was durable.
        """
        read, write = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the destination's threads are none of the child's business
            child = os.fork()
        if not child:
            self._take_for_ever(state, first, write)
        os.close(write)
        said = 0
        while said < takes and (one := os.read(read, 1)):
            said += len(one)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while one := os.read(read, 4096):  # what it said before it was gone
            said += len(one)
        os.close(read)
        assert said >= takes, "the output failed by itself; run its other laws first"
        return said

    def _take_for_ever(self, state: Path, first: int, write: int) -> None:
        try:
            one = self._built(state)
            for number in range(first, first + STEPS):
                self._take(one, [samples(number)], b"%d" % (number + 1))
                os.write(write, b".")
                one.step(self._now + number)
        finally:
            os._exit(1)


def plain(status: Mapping[str, Any]) -> str:
    """A status as JSON; it is an error of the output where it is none."""
    return json.dumps(status, allow_nan=False)


def open_files() -> set[str]:
    """What this process has open below a folder of files."""
    out = set()
    for one in os.listdir("/proc/self/fd"):
        try:
            out.add(os.readlink(f"/proc/self/fd/{one}"))
        except OSError:
            continue  # the listing's own
    return out


def _never(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s for a disk that has room")


@contextmanager
def _full_database() -> Iterator[None]:
    """Every transaction says what SQLite says on a full disk."""

    def run(writes: disk.Writes, connection: disk.Connection) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with mock.patch.object(disk.Writes, "run", run):
        yield
