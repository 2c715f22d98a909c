"""From the journal to an output: reads records, opens blocks, hands on what the output may see.

    record -> signed?  OPEN: site and boot. EPOCH: a data key. HEAD: passed on.
           -> sealed?  with the key of its epoch; CATALOG: what the ids mean; all else: content for the output.

A block that cannot be opened yet (its EPOCH or OPEN has not come, an id is not described) waits in the journal: its
place is remembered, and it is tried again when its stream has learned something. `place()` says how far the journal was
read and what waits; the output stores it together with the content, so a restart goes on exactly there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from protocol import seal
from protocol.block import SIGNED, Kind, read_header
from protocol.catalog import Asset, Page, Tag
from protocol.errors import FrameError, Reason, StoreError
from protocol.keys import PrivateKey, PublicKey
from protocol.limits import STREAM_TAGS
from protocol.record import How, Record
from protocol.seal import Seal
from protocol.segments import START, Place, Reader, read_kept
from receiver.blocks import content
from receiver.outputs.base import Opened, Other, Stream
from receiver.scope import Scope

GROUP_BYTES = 1 << 20
"""Most journal bytes opened in one step [bytes]: bounds memory, and what a crash makes be opened again."""


class _Wait(Exception):
    """The block cannot be opened yet."""


@dataclass(slots=True)
class _Known:
    """What is known of a stream."""

    boot: int | None = None
    site: str = ""
    assets: dict[str, Asset] = field(default_factory=dict)
    tags: dict[int, Tag] = field(default_factory=dict)
    described: np.ndarray[Any, np.dtype[np.bool_]] = field(default_factory=lambda: np.zeros(0, bool))
    """Tag id -> whether `tags` has it."""
    seals: dict[int, Seal] = field(default_factory=dict)


class Follower:
    """Opens what `catch` journaled, for one output."""

    def __init__(
        self,
        journal: Path,
        place: bytes | None,
        *,
        own: PrivateKey,
        signers: Mapping[bytes, PublicKey],
        scope: Scope,
    ) -> None:
        """
        Args:
            journal: The journal's folder.
            place: What the output stored last; None: from the beginning.
            own: The `open` (or `recovery`) key.
            signers: The senders' `sign` keys, by id.
            scope: What the output may see.
        """
        held: dict[str, Any] = json.loads(place) if place else {"at": list(START), "waiting": []}
        self.reader = Reader(journal, Place(*held["at"]))
        self.refused: Counter[str] = Counter()
        """Blocks that will never open, by reason."""
        self.later: Counter[int] = Counter()
        """Blocks of kinds that this build does not know, by number; they stay in the journal."""
        self._journal, self._own, self._signers, self._scope = journal, own, signers, scope
        self._streams: dict[bytes, _Known] = {}
        self._waiting: dict[bytes, list[tuple[int, Place]]] = {}
        for stream, number, segment, offset in held["waiting"]:
            self._waiting.setdefault(bytes.fromhex(stream), []).append((number, Place(segment, offset)))
        for stream in list(self._waiting):
            self._known(stream)

    @property
    def waiting(self) -> int:
        """Blocks that cannot be opened yet."""
        return sum(map(len, self._waiting.values()))

    def place(self) -> bytes:
        """For the output to store with what `step` gave."""
        waiting = [[stream.hex(), number, *at] for stream, blocks in self._waiting.items() for number, at in blocks]
        return json.dumps({"at": list(self.reader.place), "waiting": waiting}).encode()

    def step(self, most: int = 256) -> tuple[list[Opened], bool]:
        """Open the next records.

        Returns:
            (blocks, moved): `moved` is whether the place changed, also where nothing of it is in scope.

        Raises:
            StoreError: a journaled record does not match its hash.
        """
        records = self.reader.read(most, most_bytes=GROUP_BYTES)
        out: list[Opened] = []
        at = self.reader.began
        for one in records:
            learned = self._take(one, at, out)
            at = Place(at.segment, at.offset + one.length)
            if learned and one.stream in self._waiting:
                self._retry(one.stream, out)
        return out, bool(records)

    def _take(self, one: Record, at: Place, out: list[Opened]) -> bool:
        """Open one record into `out`; True when its stream learned something that others may wait for."""
        known = self._known(one.stream)
        before = (known.boot, len(known.seals), len(known.tags))
        try:
            opened = self._open(one, known)
        except _Wait:
            self._waiting.setdefault(one.stream, []).append((one.number, at))
            return False
        except FrameError as error:
            self.refused[error.reason.value] += 1
            return False
        if opened is not None:
            out.append(opened)
        return (known.boot, len(known.seals), len(known.tags)) != before

    def _retry(self, stream: bytes, out: list[Opened]) -> None:
        """Try the waiting blocks of a stream again, oldest number first, until nothing more is learned."""
        learned = True
        while learned and (waiting := self._waiting.pop(stream, [])):
            learned = False
            for number, at in sorted(waiting):
                try:
                    one = self.reader.at(at)
                except StoreError:
                    self.refused["expired"] += 1  # retention took it while it waited
                    continue
                if (one.stream, one.number) == (stream, number):
                    learned |= self._take(one, at, out)

    def _known(self, stream: bytes) -> _Known:
        known = self._streams.get(stream)
        if known is None:
            known = self._streams[stream] = _Known()
            for one in read_kept(self._journal, stream):
                try:
                    self._open(one, known)
                except (FrameError, _Wait):
                    continue  # it is met again in the journal, and counted there
        return known

    def _open(self, one: Record, known: _Known) -> Opened | None:
        header = read_header(one.block)
        if (header.stream, header.number) != (one.stream, one.number):
            raise FrameError(Reason.BODY, size=len(one.block))
        if header.kind in SIGNED:
            body = seal.verify(one.block, self._signers)
            self._learn(header.kind, body, one.stream, known)
            return self._handed(one, known, Other(kind=header.kind, body=body)) if known.boot is not None else None
        opener = known.seals.get(header.epoch)
        if opener is None or known.boot is None:
            raise _Wait
        if header.kind not in Kind._value2member_map_:
            self.later[header.kind] += 1
        body_of = content(header.kind, opener.open(one.block))
        if isinstance(body_of, Page):
            _describe(body_of, known)
        elif header.kind == Kind.BATCH and not _all_described(body_of.columns.tag, known):  # type: ignore[union-attr]
            raise _Wait
        inside = body_of if isinstance(body_of, Other) else self._scope.cut(body_of, known.assets, known.tags)
        return None if inside is None else self._handed(one, known, inside)

    def _learn(self, kind: int, body: Mapping[str, Any], stream: bytes, known: _Known) -> None:
        try:
            if kind == Kind.OPEN:
                known.boot, known.site = int(body["boot"]), str(body["site"])
            elif kind == Kind.EPOCH:
                epoch, key = seal.open_epoch(body, stream, self._own)
                known.seals[epoch] = Seal(key, stream, epoch)
        except (KeyError, TypeError, ValueError) as error:
            raise FrameError(Reason.BODY, size=0) from error

    def _handed(self, one: Record, known: _Known, body: Any) -> Opened:
        stream = Stream(key=one.stream, boot=known.boot or 0, site=known.site, assets=known.assets, tags=known.tags)
        return Opened(
            stream=stream,
            number=one.number,
            healed=one.how == How.HEALED,
            received_ns=one.time_ns,
            body=body,
        )


def _describe(page: Page, known: _Known) -> None:
    if any(tag.id >= STREAM_TAGS for tag in page.tags):
        raise FrameError(Reason.BODY, size=0)
    for asset in page.assets:
        known.assets[asset.name] = asset
    for tag in page.tags:
        known.tags[tag.id] = tag
    if page.tags:
        top = max(tag.id for tag in page.tags) + 1
        if top > len(known.described):
            grown = np.zeros(max(top, 2 * len(known.described)), bool)
            grown[: len(known.described)] = known.described
            known.described = grown
        known.described[[tag.id for tag in page.tags]] = True


def _all_described(tags: np.ndarray[Any, np.dtype[np.uint32]], known: _Known) -> bool:
    if not len(tags):
        return True
    return int(tags.max()) < len(known.described) and bool(known.described[tags].all())
