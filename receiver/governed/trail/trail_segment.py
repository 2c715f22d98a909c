"""A segment: a stretch of the trail in a file of its own, which proves itself without the server.

    {"segment":{"number":3,"trail":"checkvalve/trail/3f2a9c0d11223344","first":10001,"last":15000,"count":5000,"before":HEX}}
    {"hash":HEX,"entry":{..}}         an entry a line, its body as it was hashed (form.py)
    {"signed":NOTE}                   over all bytes before this line

Lines of a `.jsonl` file are these; in a `.log` file each is the MSG of a line of syslog (rfc5424.py). The note is
signed as a checkpoint is:

    checkvalve/trail/3f2a9c0d11223344
    segment 3
    entries 10001 15000
    before HEX                        hash of entry 10000
    after HEX                         hash of entry 15000
    sha256 HEX                        of the bytes

Numbers of segments count from 1 without holes, each begins where the one before ended: who has them all has all, and
who lacks one knows which. A name is `trail-SEGMENT-FIRST-LAST.jsonl`, so that they sort.

Pure: lines in, lines out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import orjson

from protocol.evidence import sign_note
from protocol.keys import PrivateKey, PublicKey
from receiver.governed.trail import rfc5424
from receiver.governed.trail.checkpoint import signed_by
from receiver.governed.trail.entry import TrailRecord
from receiver.governed.trail.form import LARGEST, hash_of, read_body
from receiver.governed.trail.trail_error import TrailError

FORMS = ("jsonl", "log")
"""Endings of names: JSON lines, and syslog."""
LINE_MOST = LARGEST + 65_536
"""Longest line of a segment [bytes]: an entry, and what stands around it."""
NAME = re.compile(r"trail-([0-9]{7})-([0-9]{12})-([0-9]{12})\.(jsonl|log)")

_NOTE = re.compile(
    r"(checkvalve/trail/[0-9a-f]{16})\nsegment ([0-9]{1,7})\nentries ([0-9]{1,12}) ([0-9]{1,12})\n"
    r"before ([0-9a-f]{64})\nafter ([0-9a-f]{64})\nsha256 ([0-9a-f]{64})\n"
)
_BODY = re.compile(rb"{[ -~]*}")
_ENTRY = re.compile(rb'{"hash":"([0-9a-f]{64})","entry":({.*})}')


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailSegment:
    """What a segment is a stretch of."""

    trail: str
    """Names the trail (checkpoint.py)."""
    number: int
    """Of the segment, from 1."""
    first: int
    """Number of its first entry."""
    last: int
    """Number of its last entry."""
    before: bytes
    """Hash of the entry before the first [32 bytes]."""
    after: bytes = b""
    """Hash of the last entry [32 bytes]."""

    def name(self, form: str) -> str:
        """Of its file."""
        return f"trail-{self.number:07}-{self.first:012}-{self.last:012}.{form}"

    def text(self, digest: str) -> str:
        """As it is signed."""
        return (
            f"{self.trail}\nsegment {self.number}\nentries {self.first} {self.last}\n"
            f"before {self.before.hex()}\nafter {self.after.hex()}\nsha256 {digest}\n"
        )


def lines(
    segment: TrailSegment,
    rows: Iterable[tuple[TrailRecord, bytes]],
    key: PrivateKey,
    *,
    form: str,
    host: str,
    at_ns: int,
) -> Iterator[bytes]:
    """The lines of a segment, each with its end.

    Args:
        segment: `after` is told by the rows.
        rows: Its records in order, and their bodies.
        form: One of `FORMS`.
        host: Name of this machine, for syslog.
        at_ns: When it is made [ns since 1970 UTC].

    Raises:
        TrailError: a body that Checkvalve did not write, though its hash fits: it is not one line of ASCII.
    """
    digest, held = sha256(), segment.before

    def own(kind: str, told: dict[str, object]) -> bytes:
        message = json.dumps(told, separators=(",", ":")).encode("ascii")
        if form == "log":
            message = rfc5424.framed("segment", [], message, kind=kind, at_ns=at_ns, host=host, severity=6)
        return message + b"\n"

    head = {"number": segment.number, "trail": segment.trail, "first": segment.first, "last": segment.last}
    head |= {"count": segment.last - segment.first + 1, "before": segment.before.hex()}
    line = own("segment.begun", {"segment": head})
    digest.update(line)
    yield line
    for record, body in rows:
        held = record.hash
        if not _BODY.fullmatch(body):
            raise TrailError(f"entry {record.number} is not in the form in which entries are written")
        line = b'{"hash":"%s","entry":%s}' % (held.hex().encode(), body)
        line = (rfc5424.line(record, line, host) if form == "log" else line) + b"\n"
        digest.update(line)
        yield line
    whole = TrailSegment(
        trail=segment.trail,
        number=segment.number,
        first=segment.first,
        last=segment.last,
        before=segment.before,
        after=held,
    )
    yield own("segment.signed", {"signed": sign_note(whole.text(digest.hexdigest()), segment.trail, key)})


def check(said: Iterable[bytes], keys: Sequence[PublicKey], *, form: str) -> TrailSegment:
    """What a segment proves, every line of it read.

    Args:
        said: Its lines, each with its end.
        keys: One of them signed it.
        form: One of `FORMS`.

    Raises:
        TrailError: it is not what was signed, or does not fit itself.
    """
    digest, number, held, segment = sha256(), 0, b"", None
    for line in said:
        if not line.endswith(b"\n"):
            raise TrailError("its last line is cut short" if len(line) <= LINE_MOST else "a line is too long")
        message = _message(line, form)
        if segment is None:
            segment = _head(message)
            number, held = segment.first - 1, segment.before
        elif found := _ENTRY.fullmatch(message):
            number += 1
            held = _next(found[2], found[1].decode(), number, held)
        else:
            signed = _signed(message, keys)
            if digest.hexdigest() != signed[1]:
                raise TrailError("lines of it are not those that were signed")
            if (one := signed[0]) != TrailSegment(
                trail=segment.trail,
                number=segment.number,
                first=segment.first,
                last=number,
                before=segment.before,
                after=held,
            ):
                raise TrailError("its lines and what was signed of them do not agree")
            if any(True for _ in said):
                raise TrailError("lines stand behind its signature")
            return one
        digest.update(line)
    raise TrailError("its end is missing: nothing of it is signed")


def signed(last: bytes, keys: Sequence[PublicKey], *, form: str) -> TrailSegment:
    """What the last line of a segment says, whose other lines were not read.

    Raises:
        TrailError: none of the keys signed it.
    """
    return _signed(_message(last, form), keys)[0]


def _message(line: bytes, form: str) -> bytes:
    try:
        return rfc5424.message_of(line[:-1]) if form == "log" else line[:-1]
    except ValueError as error:
        raise TrailError(str(error)) from None


def _head(message: bytes) -> TrailSegment:
    try:
        told = orjson.loads(message)["segment"]
        name, number, first, last, count = (told[key] for key in ("trail", "number", "first", "last", "count"))
        before = bytes.fromhex(told["before"])
    except (ValueError, KeyError, TypeError):
        raise TrailError("it does not begin as a segment of a trail") from None
    numbers = (number, first, last, count)
    if type(name) is not str or not all(type(one) is int and 0 < one < 10**12 for one in numbers) or len(before) != 32:
        raise TrailError("it does not begin as a segment of a trail")
    return TrailSegment(trail=name, number=number, first=first, last=last, before=before)


def _next(body: bytes, digits: str, number: int, before: bytes) -> bytes:
    held = hash_of(before, body)
    if held.hex() != digits:
        raise TrailError(f"entry {number} does not fit the hash before it")
    read_body(body, number)
    return held


def _signed(message: bytes, keys: Sequence[PublicKey]) -> tuple[TrailSegment, str]:
    try:
        note = orjson.loads(message)["signed"]
        found = _NOTE.fullmatch(note.rpartition("\n\n")[0] + "\n")
        if found is None:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TrailError("a line of it is none of a segment") from None
    if not signed_by(note, found[1], keys):
        raise TrailError("this key did not sign it")
    name, number, first, last, before, after, digest = found.groups()
    segment = TrailSegment(
        trail=name,
        number=int(number),
        first=int(first),
        last=int(last),
        before=bytes.fromhex(before),
        after=bytes.fromhex(after),
    )
    return segment, digest
