"""Signed heads put in a row: which stretch of a stream each one vouches for, and whether they chain.

A HEAD carries the tree before it, the hashes since, and a signed note over the tree after. So one that verifies makes
its stretch's hashes true for ever, whoever kept it; and a row of them without a hole makes the whole stream true. Where
one is missing, the leaves of either side may bridge it: the tree over them must be the next head's tree before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from protocol import seal
from protocol.block import BlockKind
from protocol.errors import FrameError
from protocol.evidence import Head, Tree, check_head, origin, read_head
from protocol.keys import PublicKey

_SIGNER = slice(-72, -64)
"""Where a signed block names its signer's key (SPEC.md, section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedOpen:
    """What a verified OPEN says of its stream."""

    site: str
    boot: int
    previous: tuple[bytes, int, bytes] | None
    """The stream before this one: its name, last number and tree head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VouchedRange:
    """Numbers that one verified HEAD vouches for."""

    first: int
    leaves: tuple[bytes, ...]
    before: bytes
    """Tree head before it."""
    after: bytes
    number: int
    """Of the HEAD block itself."""
    frontier: tuple[bytes, ...] = ()

    @property
    def end(self) -> int:
        """One past its last number."""
        return self.first + len(self.leaves)


@dataclass(slots=True, kw_only=True)
class HeadChain:
    """All heads of a stream."""

    ranges: list[VouchedRange] = field(default_factory=list)
    """Verified ones, rising, none over another."""
    holes: list[tuple[int, int, bool]] = field(default_factory=list)
    """(first, after, bridged): numbers before a later HEAD that no HEAD vouches for; whether leaves bridge them."""
    faults: list[str] = field(default_factory=list)
    """What does not verify or does not chain, in words."""

    @property
    def end(self) -> int:
        """One past the last number vouched for."""
        return self.ranges[-1].end if self.ranges else 0


Kept: TypeAlias = tuple[str, bytes]
"""A signed block, and which side keeps it."""

LeafOf: TypeAlias = Callable[[int], bytes | None]
"""The leaf of a number on either side; None where neither holds it, or they differ."""


def read_open(blocks: Iterable[Kept], signers: Mapping[bytes, PublicKey]) -> tuple[VerifiedOpen | None, list[str]]:
    """The OPEN of a stream among its first blocks, and what is wrong with those that do not verify."""
    opened, faults = None, []
    for side, block in blocks:
        if block[3] != BlockKind.OPEN:
            faults.append(f"block 0 of the {side} side is of kind {block[3]}, not OPEN")
            continue
        try:
            body = seal.verify(block, signers)
            previous = body["previous"]
            if previous is not None:
                previous = (bytes(previous[0]), int(previous[1]), bytes(previous[2]))
            opened = VerifiedOpen(site=str(body["site"]), boot=int(body["boot"]), previous=previous)
        except FrameError as error:
            faults.append(f"its OPEN on the {side} side does not verify: {_why(error, block)}")
        except (KeyError, TypeError, ValueError, IndexError):
            faults.append(f"its OPEN on the {side} side verifies and cannot be read")
    return opened, faults


def read_chain(
    blocks: Mapping[int, Iterable[Kept]], stream: bytes, site: str, signers: Mapping[bytes, PublicKey], leaf: LeafOf
) -> HeadChain:
    """All HEADs of a stream, verified and in a row.

    Args:
        blocks: Signed blocks by number, of both sides.
        stream: The stream's name.
        site: As its OPEN says; part of what is signed.
        signers: Keys that are believed, by id.
        leaf: For bridging holes.
    """
    chain = HeadChain()
    ranges: list[VouchedRange] = []
    for number in sorted(blocks):
        for side, block in blocks[number]:
            if block[3] != BlockKind.HEAD:
                continue
            try:
                ranges.append(_vouched(block, number, origin(site, stream), signers))
            except FrameError as error:
                chain.faults.append(f"HEAD {number} of the {side} side does not verify: {_why(error, block)}")
    ranges.sort(key=lambda one: (one.first, one.number))
    for one in ranges:
        _link(chain, one, leaf)
    return chain


def tree_head(chain: HeadChain, size: int, leaf: LeafOf) -> bytes | None:
    """Head of the tree over the first `size` numbers, from the last HEAD before and leaves since; None: not known."""
    behind = [one for one in chain.ranges if one.end <= size]
    tree = _after(behind[-1]) if behind else Tree()
    return _grow(tree, size, leaf)


def _vouched(block: bytes, number: int, name: str, signers: Mapping[bytes, PublicKey]) -> VouchedRange:
    head: Head = read_head(seal.verify(block, signers))
    before, after = check_head(head, name, signers[block[_SIGNER]])
    return VouchedRange(
        first=head.previous, leaves=head.leaves, before=before, after=after, number=number, frontier=head.frontier
    )


def _link(chain: HeadChain, one: VouchedRange, leaf: LeafOf) -> None:
    end = chain.end
    if chain.ranges and one.first == chain.ranges[-1].first and one.after == chain.ranges[-1].after:
        return  # the same stretch, stated twice
    if one.first < end:
        chain.faults.append(f"HEAD {one.number} vouches from {one.first} on, over another head that ends at {end}")
        return
    tree = _after(chain.ranges[-1]) if chain.ranges else Tree()
    if one.first > end:
        root = _grow(tree, one.first, leaf)
        chain.holes.append((end, one.first, root == one.before))
        if root is not None and root != one.before:
            chain.faults.append(f"the leaves {end} to {one.first - 1} do not lead to HEAD {one.number}")
    elif tree.root() != one.before:
        chain.faults.append(f"HEAD {one.number} does not follow from the one before it")
        return
    chain.ranges.append(one)


def _after(one: VouchedRange) -> Tree:
    tree = Tree(one.first, one.frontier)
    for leaf in one.leaves:
        tree.add(leaf)
    return tree


def _grow(tree: Tree, size: int, leaf: LeafOf) -> bytes | None:
    for number in range(tree.size, size):
        one = leaf(number)
        if one is None:
            return None
        tree.add(one)
    return tree.root()


def _why(error: FrameError, block: bytes) -> str:
    if error.reason == "key":
        return f"signed by key {block[_SIGNER].hex()}, which is not among those given"
    return str(error.reason)
