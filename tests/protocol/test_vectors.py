"""Every vector of SPEC.md is read as it says: what comes out, or why it is refused, and nothing else is released."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from protocol import gapcode, gapread, keys, seal
from protocol.content import batch
from protocol.errors import ConfigError, FrameError, Reason
from protocol.plain import plain
from protocol.store.reader import CHECK_BYTES, SYNCED, walk
from protocol.store.record import Record, parse
from protocol.store.segment_store import Store
from protocol.wire import announce, frame
from protocol.wire.beat import BeatTag
from protocol.wire.erasure import Code
from protocol.wire.frame import FrameKind, ProbeTag, ShardTag
from protocol.wire.reference import spares

FOLDER = Path(__file__).parent.parent / "vectors"
FILES = sorted(FOLDER.glob("*.json"))
Outcome = tuple[Any, bytes]


def _hex(given: dict[str, Any], key: str) -> bytes:
    return bytes.fromhex(given[key])


def _shard_frames(given: dict[str, Any]) -> Outcome:
    rows = np.frombuffer(_hex(given, "rows"), np.uint8).reshape(given["need"] + given["spare"], -1)
    tag = ShardTag(_hex(given, "link_key"), given["session"], _hex(given, "stream"))
    fields = (given["number"], given["size"], given["need"], given["spare"], given["copy"])
    frames = bytes(tag.frames(*fields, rows))
    return frames.hex(), frames


def _datagram(given: dict[str, Any]) -> Outcome:
    data = _hex(given, "frame")
    frame.kind_of(data)
    session, stream, *_ = frame.shard_fields(data)
    if session != given["session"]:
        raise FrameError(Reason.SESSION, size=len(data))
    if not ShardTag(_hex(given, "link_key"), session, stream).fits(memoryview(data)):
        raise FrameError(Reason.TAG, size=len(data))
    return "ok", data[32:-16]


def _beat(given: dict[str, Any]) -> Outcome:
    data = _hex(given, "frame")
    assert frame.kind_of(data) == FrameKind.BEAT
    beat = BeatTag(_hex(given, "link_key"), given["session"]).read(data)
    streams = [[s.stream.hex(), s.oldest, s.sealed, s.finished, [list(w) for w in s.waiting]] for s in beat.streams]
    told = {name: getattr(beat, name) for name in ("boot", "counter", "wall_ns", "synced", "frames", "bytes")}
    return {**told, "streams": streams, "backlog_s": beat.backlog_s, "repeats": list(beat.repeats)}, data


def _figures(given: dict[str, Any]) -> Outcome:
    data = _hex(given, "frame")
    beat = BeatTag(_hex(given, "link_key"), given["session"]).read(data)
    return [beat.wall_ns, beat.synced, beat.spool], data


def _probe(given: dict[str, Any]) -> Outcome:
    data = _hex(given, "frame")
    probe = ProbeTag(_hex(given, "link_key"), given["session"]).read(data)
    return [probe.step, probe.rate, probe.index, probe.of, probe.burst, probe.first, probe.last], data


def _link(given: dict[str, Any]) -> Outcome:
    public = keys.public_from_bytes("link-sign", _hex(given, "link_sign_public"))
    own = keys.from_bytes("catch", _hex(given, "catch"))
    key = announce.open_link(_hex(given, "frame"), {public.id: public}, own)
    return key.hex(), key


def _signed(given: dict[str, Any]) -> Outcome:
    public = keys.public_from_bytes("sign", _hex(given, "sign_public"))
    block = _hex(given, "block")
    return _plain(seal.verify(block, {public.id: public})), block


def _sealed(given: dict[str, Any]) -> Outcome:
    opener = seal.Seal(_hex(given, "epoch_key"), _hex(given, "stream"), given["epoch"])
    content = opener.open(_hex(given, "block"))
    return _plain(content), msgpack.packb(content)


def _epoch(given: dict[str, Any]) -> Outcome:
    public = keys.public_from_bytes("sign", _hex(given, "sign_public"))
    block = _hex(given, "block")
    content = seal.verify(block, {public.id: public})
    epoch, key = seal.open_epoch(content, block[4:12], keys.from_bytes("open", _hex(given, "open")))
    return [epoch, key.hex()], key


def _erasure(given: dict[str, Any]) -> Outcome:
    data = np.frombuffer(_hex(given, "data"), np.uint8).reshape(given["need"], given["width"])
    made = spares(Code(), data, given["spare"]).tobytes()
    return made.hex(), made


def _batch(given: dict[str, Any]) -> Outcome:
    data = _hex(given, "body")
    rows = [list(row) for row in batch.from_wire(plain(data)).rows()]
    return rows, data


def _record(given: dict[str, Any]) -> Outcome:
    data = _hex(given, "bytes")
    one = parse(data, 0, len(data))
    if one is None:
        return None, b""
    return [one.stream.hex(), one.number, one.need, one.spare, one.how, one.time_ns, one.order], one.block


def _store(given: dict[str, Any]) -> Outcome:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, data in given["files"].items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(bytes.fromhex(data))
        before = _all_of(folder)
        store = Store(folder)
        assert (store.damaged, store.lost, store.cut_bytes) == ([], {}, 0)
        store.close()
        assert _all_of(folder) == before
        assert (folder / "synced").stat().st_size == SYNCED.size + CHECK_BYTES
    fields = [[one.stream.hex(), one.number, one.need, one.spare, one.how, one.time_ns, one.order] for one in before]
    return fields, b"".join(one.block for one in before)


def _all_of(folder: Path) -> list[Record]:
    found: list[Record] = []
    assert walk(folder, lambda place, one: found.append(one)) == []
    return found


def _gapcode(given: dict[str, Any]) -> Outcome:
    try:
        check, ranges = gapread.decode(given["code"])
    except ConfigError:
        return None, b""
    return [check.hex(), [list(one) for one in ranges]], gapcode.encode(check, ranges).encode()


CHECKS: dict[str, Callable[[dict[str, Any]], Outcome]] = {
    "shard_frames": _shard_frames,
    "datagram": _datagram,
    "beat": _beat,
    "figures": _figures,
    "probe": _probe,
    "link": _link,
    "signed": _signed,
    "sealed": _sealed,
    "epoch": _epoch,
    "erasure": _erasure,
    "batch": _batch,
    "record": _record,
    "store": _store,
    "gapcode": _gapcode,
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    """What the file expects comes out; a refusal has the stated reason and releases nothing."""
    case = json.loads(path.read_text())
    released = b""
    try:
        outcome, released = CHECKS[case["check"]](case["given"])
    except FrameError as error:
        outcome = error.reason.value
    assert outcome == case["expect"]
    assert hashlib.sha256(released).hexdigest() == case["released"]


def test_the_vectors_are_there_and_each_check_is_used() -> None:
    """An empty folder would pass everything."""
    assert len(FILES) >= 40
    assert {json.loads(path.read_text())["check"] for path in FILES} == set(CHECKS)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
