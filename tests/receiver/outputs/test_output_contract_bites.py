"""The contract of outputs finds what it is for: each fault planted in the example breaks the law that names it."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import json_lines_output as lines
import numpy as np
import pytest
from json_lines_output import JsonLinesOutput as Good
from pydantic import ConfigDict

from protocol.ranges import Ranges
from receiver.outputs.base import BatchBody, OpenedBlock, Output
from receiver.outputs.testing.contract import OutputContract
from receiver.outputs.testing.feed import Fact


class Contract(OutputContract):
    """The laws, on an output that is given; not collected by itself."""

    def settings(self) -> Mapping[str, Any]:
        return {"file": "samples.jsonl"}

    def held(self, state: Path) -> Counter[Fact]:
        told = [json.loads(line) for line in (state / "samples.jsonl").read_bytes().splitlines()]
        return Counter(Fact(one["asset"], one["tag"], one["time_ns"], one["value"]) for one in told)

    def full(self) -> AbstractContextManager[Any]:
        return mock.patch.object(os, "pwrite", side_effect=OSError(errno.ENOSPC, "full"))


class LaxTable(lines.JsonLinesTable):
    """Takes every key."""

    model_config = ConfigDict(extra="allow")


class Lax(Good):
    """Whose model takes a key that nobody knows."""

    table = LaxTable


class PlaceLater(Good):
    """Which notes the place with the hand-over that follows."""

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        super().take(blocks, self._place or b"none")
        self._place = place


class Forgetful(Good):
    """Which knows no block again."""

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        self._came: dict[str, Ranges] = {}
        super().take(blocks, place)


class Monotone(Good):
    """Which believes that numbers only rise."""

    _last: ClassVar[dict[bytes, int]] = {}

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        rising = []
        for one in blocks:
            if one.number > self._last.get(one.stream.key, -1):
                self._last[one.stream.key] = one.number
                rising.append(one)
        super().take(rising, place)


class ByTime(Good):
    """Which takes a sample for the one that has its tag and time."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._seen: set[tuple[int, int]] = set()

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        super().take([self._fresh(one) for one in blocks], place)

    def _fresh(self, one: OpenedBlock) -> OpenedBlock:
        if not isinstance(one.body, BatchBody):
            return one
        columns = one.body.columns
        keys = list(zip(columns.tag.tolist(), columns.time_ns.tolist(), strict=True))
        kept = np.array([at for at, key in enumerate(keys) if key not in self._seen], np.int64)
        self._seen.update(keys)
        return replace(one, body=replace(one.body, columns=columns.select(kept)))


class Strict(Good):
    """Which knows samples and nothing else."""

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        for one in blocks:
            if not isinstance(one.body, BatchBody):
                raise TypeError(f"no samples: {one.body}")
        super().take(blocks, place)


class Appending(Good):
    """Which goes on behind whatever the file holds: what a kill left there stands twice."""

    def _store(self, data: bytes, came: Mapping[str, Ranges], place: bytes) -> None:
        os.lseek(self._file, 0, os.SEEK_END)
        os.write(self._file, data)
        if self._length % 3 == 0:
            os.write(self._file, data)
        super()._store(b"", came, place)


class Lazy(Good):
    """Which stores every third hand-over only."""

    _waiting: ClassVar[list[OpenedBlock]] = []

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        self._waiting.extend(blocks)
        self._place = place
        if len(self._waiting) > 2:
            super().take(self._waiting, place)
            self._waiting.clear()


class Dropping(Good):
    """Which drops what a full disk does not take."""

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        try:
            super().take(blocks, place)
        except OSError:
            self._place = place

    def _store(self, data: bytes, came: Mapping[str, Ranges], place: bytes) -> None:
        try:
            super()._store(data, came, place)
        except OSError:
            self._length -= len(data)


class Mute(Good):
    """Which waits without a word."""

    def status(self) -> Mapping[str, Any]:
        return {**super().status(), "trouble": ""}


class HalfGivenUp(Good):
    """Which has noted the place before it waits for space."""

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        if blocks:
            super().take([], place)
        super().take(blocks, place)


class Telling(Good):
    """Which tells every asset of the stream."""

    def status(self) -> Mapping[str, Any]:
        return {**super().status(), "assets": self._assets}

    _assets: ClassVar[list[str]] = []

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        self._assets[:] = [name for one in blocks for name in one.stream.assets]
        super().take(blocks, place)


def _no_lock(path: Path) -> int:
    return os.open("/dev/null", os.O_RDONLY)


class Unlocked(Good):
    """Which lets two write."""

    def __init__(self, *given: Any) -> None:
        with mock.patch.object(lines, "lock", _no_lock):
            super().__init__(*given)


class Clinging(Good):
    """Which keeps its file when it is closed."""

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


LAWS: Mapping[type[Output], Callable[[Contract], None]] = {
    Lax: Contract.test_a_wrong_setting_is_told_with_key_and_next_step,
    PlaceLater: Contract.test_what_was_taken_arrives_once_and_the_place_with_it,
    Forgetful: Contract.test_a_block_taken_twice_changes_nothing,
    Monotone: Contract.test_blocks_arrive_in_whatever_order_they_come,
    ByTime: Contract.test_samples_with_equal_times_all_arrive,
    Strict: Contract.test_content_of_every_kind_holds_nothing_up,
    Appending: Contract.test_what_was_taken_arrives_once_and_the_place_with_it,
    Lazy: Contract.test_a_kill_at_any_moment_loses_and_doubles_nothing,
    Dropping: Contract.test_a_full_disk_is_told_waited_for_and_resumes,
    Mute: Contract.test_a_full_disk_is_told_waited_for_and_resumes,
    HalfGivenUp: Contract.test_a_wait_that_is_given_up_stores_nothing_of_the_hand_over,
    Telling: Contract.test_nothing_outside_the_scope_is_stored,
    Unlocked: Contract.test_one_process_has_a_store_open,
    Clinging: Contract.test_close_lets_go_of_everything,
}


@pytest.mark.parametrize("faulty", LAWS, ids=lambda one: one.__name__)
def test_a_planted_fault_breaks_its_law(faulty: type[Output], monkeypatch: pytest.MonkeyPatch) -> None:
    """The law holds of the example as it is, and not of the faulty one."""
    law = LAWS[faulty]
    monkeypatch.setattr("receiver.outputs.testing.stand.STEPS", 50)
    sound, spoilt = Contract(), Contract()
    sound.output, spoilt.output = Good, faulty  # type: ignore[misc]
    law(sound)
    with pytest.raises((AssertionError, TypeError)):
        law(spoilt)


class Away(Contract):
    """With a destination that can be gone: the file's own disk, which then refuses."""

    output = Good

    def away(self) -> AbstractContextManager[Any]:
        return mock.patch.object(os, "pwrite", side_effect=OSError(errno.EIO, "no answer"))


def test_an_output_that_fails_with_its_destination_breaks_the_law() -> None:
    """`take` stores what it is handed whether the destination is there or not."""
    with pytest.raises(Exception, match="no answer"):
        Away().test_a_destination_that_is_away_is_told_and_resumes()
