"""What is known of one stream: how its blocks open, and what the ids in them mean (pure).

    OPEN      site, and the packer's start counter
    EPOCH     the key that seals the blocks of its epoch; itself sealed for this side's `open` key
    CATALOG   what the ids mean

They come in any order, and any of them may come last. A block that needs more than is known raises `Lacking`, which
says what: whoever reads it lets it wait and tries again when `KnownStream.news` names that. A wrong key file is nothing
that a block is guilty of, so it makes blocks wait too. Only what no key and no description will ever mend is a
FrameError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from protocol import seal
from protocol.block import SIGNED, BlockKind, read_header
from protocol.content.catalog import Asset, Page, Tag
from protocol.errors import FrameError, Reason
from protocol.keys import PrivateKey, PublicKey
from protocol.limits import STREAM_TAGS
from protocol.seal import Seal
from protocol.store.record import Record
from receiver.outputs.base import BOOTS, BatchBody, OtherBody, StreamDescription
from receiver.publish.blocks import Body, content, opening

KEPT_KINDS = frozenset({BlockKind.OPEN, BlockKind.EPOCH, BlockKind.CATALOG})
"""Kinds that teach."""


class Lack(IntEnum):
    """What a waiting block waits for; where several are lacking, the one that must come first."""

    SIGNER = 1
    """A `sign` key that is not among the senders' of this side."""
    KEY = 2
    """The `open` key for which its EPOCH is sealed."""
    OPEN = 3
    EPOCH = 4
    CATALOG = 5
    """A page that describes its ids, or its asset."""


class Lacking(Exception):
    """The block cannot be opened yet."""

    def __init__(self, lack: Lack, detail: str = "") -> None:
        """
        Args:
            detail: Which key or epoch, for people.
        """
        super().__init__(lack, detail)
        self.lack = lack
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys of this side."""

    own: PrivateKey
    """The `open` key."""
    signers: Mapping[bytes, PublicKey]
    """The senders' `sign` keys, by id."""
    others: Sequence[PrivateKey] = ()
    """Further keys that data may be sealed for: `open` keys that were replaced, a `recovery` key."""


@dataclass(slots=True)
class KnownStream:
    """What is known of a stream; grows, and never forgets."""

    key: bytes
    """8 random bytes, drawn at each start of the packer."""
    boot: int | None = None
    """As outputs are told it (`outputs/base.py`); None before its OPEN."""
    site: str = ""
    assets: dict[str, Asset] = field(default_factory=dict)
    tags: dict[int, Tag] = field(default_factory=dict)
    seals: dict[int, Seal] = field(default_factory=dict)
    news: set[Lack] = field(default_factory=set)
    """What was learned; whoever lets blocks wait for it takes it out."""
    unread: int = -1
    """For the reader: how much of the journal was lost to it when the kept blocks were read."""
    _described: np.ndarray[Any, np.dtype[np.bool_]] = field(default_factory=lambda: np.zeros(0, bool))
    """Tag id -> whether `tags` has it."""

    def open_block(self, one: Record, ring: Ring) -> Body:
        """The content of a block of this stream; learns what it teaches.

        Raises:
            Lacking: more must be known first.
            FrameError: it will never open.
        """
        header = read_header(one.block)
        if (header.stream, header.number) != (one.stream, one.number):
            raise FrameError(Reason.BODY, size=len(one.block))
        if header.kind in SIGNED:
            return self._read_signed(BlockKind(header.kind), one, ring)
        opener = self.seals.get(header.epoch)
        if self.boot is None:
            raise Lacking(Lack.OPEN)
        if opener is None:
            raise Lacking(Lack.EPOCH, str(header.epoch))
        body = content(header.kind, opener.open(one.block))
        if isinstance(body, Page):
            self._describe(body)
        elif isinstance(body, BatchBody) and not self._all_described(body.columns.tag):
            raise Lacking(Lack.CATALOG)
        return body

    def learn(self, records: Iterable[Record], ring: Ring) -> list[Record]:
        """Learn from blocks in any order, again and again until they teach no more; returns those that still lack."""
        left, before = list(records), -1
        while left and len(left) != before:
            before, tried, left = len(left), left, []
            for one in tried:
                try:
                    self.open_block(one, ring)
                except Lacking:
                    left.append(one)
                except FrameError:
                    continue  # it is met in the journal, and counted there
        return left

    def stream(self) -> StreamDescription:
        """As an output is told it."""
        return StreamDescription(key=self.key, boot=self.boot or 0, site=self.site, assets=self.assets, tags=self.tags)

    def _read_signed(self, kind: BlockKind, one: Record, ring: Ring) -> OtherBody:
        try:
            body = seal.verify(one.block, ring.signers)
        except FrameError as error:
            if error.reason != Reason.KEY:
                raise
            raise Lacking(Lack.SIGNER, _grouped(seal.signer_id(one.block))) from None
        if kind == BlockKind.OPEN:
            boot, site = opening(body)
            if self.boot is None:
                self.boot, self.site = one.order * BOOTS + boot, site
                self.news.add(Lack.OPEN)
        elif kind == BlockKind.EPOCH:
            self._read_epoch(body, ring)
        if self.boot is None:
            raise Lacking(Lack.OPEN)
        return OtherBody(kind=kind, body=body)

    def _read_epoch(self, body: Mapping[str, Any], ring: Ring) -> None:
        try:
            epoch, key = seal.open_epoch(body, self.key, ring.own, *ring.others)
        except FrameError as error:
            if error.reason != Reason.KEY:
                raise
            raise Lacking(Lack.KEY, ", ".join(map(_grouped, seal.epoch_receivers(body)))) from None
        if epoch not in self.seals:
            self.seals[epoch] = Seal(key, self.key, epoch)
            self.news.add(Lack.EPOCH)

    def _describe(self, page: Page) -> None:
        if any(tag.id >= STREAM_TAGS for tag in page.tags):
            raise FrameError(Reason.BODY, size=0)
        before = len(self.tags), len(self.assets)
        self.assets.update({asset.name: asset for asset in page.assets})
        self.tags.update({tag.id: tag for tag in page.tags})
        if (len(self.tags), len(self.assets)) != before:
            self.news.add(Lack.CATALOG)
        if page.tags:
            top = max(tag.id for tag in page.tags) + 1
            if top > len(self._described):
                grown = np.zeros(max(top, 2 * len(self._described)), bool)
                grown[: len(self._described)] = self._described
                self._described = grown
            self._described[[tag.id for tag in page.tags]] = True

    def _all_described(self, tags: np.ndarray[Any, np.dtype[np.uint32]]) -> bool:
        if not len(tags):
            return True
        return int(tags.max()) < len(self._described) and bool(self._described[tags].all())


def _grouped(ident: bytes) -> str:
    """A key's id as its fingerprint begins."""
    text = ident.hex()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))
