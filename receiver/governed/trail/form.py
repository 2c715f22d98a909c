"""An entry as the bytes that are hashed, and back.

    body   {"at": ns, "facts": {..}, "from": ADDRESS, "governing": 17, "governs": false, "kind": "read.trend",
            "number": 52, "who": KEY}
    hash   SHA-256(hash before || body)      before the first entry: 32 zero bytes

The body is JSON in ASCII, keys sorted, without blanks (as RFC 8785 but for its numbers, which stay as Python writes
them): the same entry has the same bytes for ever. It is kept as these bytes, so nobody needs to make them again to
verify. Its number stands in it: an entry that was moved to another place says so itself. `governs` tells whether it
decides what is allowed, for the build that wrote it, and `governing` is the number of the last such entry before it, 0
for none: who folds only those sees when one is kept back.

Reading believes nothing. It asks for the eight members and their types, and for nothing of kinds: those of a later
build, and members that it adds, are read by this one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import orjson

from receiver.governed.trail.entry import GOVERNING, TrailEntry
from receiver.governed.trail.trail_error import TrailError

BEGINNING = bytes(32)
"""The hash before the first entry."""

LARGEST = 1 << 20
"""Largest body [bytes]: a look at 20,000 tags by name takes half of it."""

INDEXED = {"person": "person", "request": "request", "grant": "grant", "asset": "asset", "vendor": "vendor"}
INDEXED |= {"grants": "grant", "assets": "asset"}
"""Facts by which entries are found, a text or a list of texts: their names, and what they are asked as. A change
makes the index anew: raise `trail_file.VERSION`."""

_KIND = re.compile(r"[a-z]+(?:-[a-z]+)*\.[a-z]+(?:-[a-z]+)*")
_FARTHEST = 1 << 63
"""Numbers and times stay below [SQLite keeps 64 bits]."""


def body_of(entry: TrailEntry, number: int, governing: int) -> bytes:
    """The bytes that are hashed and kept; half a surrogate pair in a text becomes a question mark.

    Args:
        number: Its place, from 1.
        governing: That of the last governing entry before it, 0 for none.

    Raises:
        ValueError: a kind that is none, a fact that JSON does not have, or more than `LARGEST` bytes.
    """
    if not _KIND.fullmatch(entry.kind):
        raise ValueError(f"{entry.kind!r} is no kind: SUBJECT.VERB in lower case letters and hyphens")
    if not -_FARTHEST <= entry.at_ns < _FARTHEST:
        raise ValueError(f"at_ns {entry.at_ns}: beyond 64 bits")
    told = {
        "at": entry.at_ns,
        "facts": dict(entry.facts),
        "from": entry.origin,
        "governing": governing,
        "governs": governs(entry),
        "kind": entry.kind,
        "number": number,
        "who": entry.who,
    }
    try:
        body = _json(told)
        if b"\\ud" in body:  # a typed text in another alphabet, say: no reader of JSON would take it
            body = _json(json.loads(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"{entry.kind}: facts that JSON does not have: {error}") from None
    if len(body) > LARGEST:
        raise ValueError(f"{entry.kind}: {len(body):,} bytes; {LARGEST:,} is the most of one entry")
    return body


def hash_of(before: bytes, body: bytes) -> bytes:
    """The hash of an entry [32 bytes].

    Args:
        before: Hash of the entry before, `BEGINNING` for none.
        body: As `body_of` made it.
    """
    return sha256(before + body).digest()


@dataclass(frozen=True, slots=True)
class Body:
    """What stands in these bytes."""

    entry: TrailEntry
    governing: int
    """Number of the last governing entry before it, 0 for none."""
    governs: bool
    """It decides what is allowed itself."""


def read_body(body: bytes, number: int) -> Body:
    """The entry in these bytes.

    Args:
        number: Where they were found.

    Raises:
        TrailError: they are no entry, or that of another place.
    """
    try:
        told = orjson.loads(body)
        entry = TrailEntry(
            kind=told["kind"], at_ns=told["at"], who=told["who"], origin=told["from"], facts=told["facts"]
        )
        place, found = told["number"], Body(entry, told["governing"], told["governs"])
    except (ValueError, KeyError, TypeError) as error:
        why = "not what was written" if isinstance(error, ValueError) else "without what every entry has"
        raise TrailError(f"entry {number} of the trail cannot be read: {why}") from None
    if not (
        type(entry.kind) is type(entry.who) is type(entry.origin) is str
        and type(entry.at_ns) is type(place) is type(found.governing) is int
        and type(entry.facts) is dict
        and type(found.governs) is bool
    ):
        raise TrailError(f"entry {number} of the trail cannot be read: members of other types")
    if place != number:
        raise TrailError(f"in the place of entry {number} of the trail stands entry {place}")
    return found


def governs(entry: TrailEntry) -> bool:
    """Whether it decides what is allowed, for this build."""
    return entry.subject in GOVERNING


def marks_of(entry: TrailEntry, *, governs: bool) -> set[str]:
    """By what it is found, each `NAME=VALUE`: who, kind and its subject, the facts of `INDEXED`, and `governing=`."""
    found = {f"who={entry.who}", f"kind={entry.kind}", f"kind={entry.subject}"}
    if governs:
        found.add("governing=")
    for name, fact in entry.facts.items():
        if asked := INDEXED.get(name):
            texts = fact if isinstance(fact, list) else [fact]
            found.update(f"{asked}={text}" for text in texts if isinstance(text, str))
    return found


@lru_cache(maxsize=65_536)
def mark_key(mark: str) -> int:
    """A mark as the index keeps it: 63 bits of its SHA-256. Two of one number would be found together, never missed."""
    return int.from_bytes(sha256(mark.encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 1


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
