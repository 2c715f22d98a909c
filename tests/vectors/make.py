"""Writes the test vectors of SPEC.md, one file a case: `python tests/vectors/make.py`.

A file holds `check` (how to read it, see test_vectors.py), `given` (inputs, bytes in hex), `expect` (what comes out, or
the reason of the refusal) and `released` (SHA-256 of all bytes that the reader may hand on; of nothing where it
refuses). Everything is deterministic but HPKE, whose sealed keys are drawn anew: those files are written only where
they are missing, so that a vector that was published stays.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from protocol import evidence, gapcode, keys, seal
from protocol.block import BlockKind
from protocol.content import batch
from protocol.content.catalog import Asset, Page, Tag, to_wire
from protocol.content.sample import Row, from_rows
from protocol.store.record import record, to_bytes
from protocol.wire import announce
from protocol.wire.beat import Beat, BeatTag, StreamTotals
from protocol.wire.erasure import Code
from protocol.wire.frame import ProbeTag, ShardTag
from protocol.wire.reference import spares as spares_of

FOLDER = Path(__file__).parent
STREAM = bytes.fromhex("0123456789abcdef")
SESSION = 0x0A0B0C0D
LINK_KEY = bytes(range(32))
EPOCH_KEY = bytes(range(32, 64))
SIGN, LINK_SIGN, CATCH = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)
OPEN = bytes([4] * 96)
NONCE = bytes(range(100, 112))


def main() -> None:
    """Write every file."""
    _frames()
    _links()
    _blocks()
    _erasure()
    _batches()
    _store()
    _gapcodes()


def write(
    name: str, check: str, given: dict[str, Any], expect: Any, released: bytes = b"", *, keep: bool = False
) -> None:
    """One case; with `keep` only where the file is not there yet."""
    path = FOLDER / f"{name}.json"
    if keep and path.exists():
        return
    case = {"check": check, "given": given, "expect": expect, "released": hashlib.sha256(released).hexdigest()}
    path.write_text(json.dumps(case, indent=1) + "\n")


def _frames() -> None:
    rows = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
    frames = ShardTag(LINK_KEY, SESSION, STREAM).frames(258, 20, 3, 2, 0, rows)
    one = bytes(frames[:55])
    base = {"link_key": LINK_KEY.hex(), "session": SESSION, "stream": STREAM.hex()}
    fields = {"number": 258, "size": 20, "need": 3, "spare": 2, "copy": 0}
    write("shard", "shard_frames", {**base, **fields, "rows": rows.tobytes().hex()}, bytes(frames).hex(), bytes(frames))
    write("shard_one", "datagram", {**base, "frame": one.hex()}, "ok", one[32:-16])
    faults = {
        "shard_magic_wrong": (b"CW" + one[2:], "magic"),
        "shard_version_unknown": (b"CV\x07" + one[3:], "version"),
        "shard_kind_unknown": (b"CV\x01\x09" + one[4:], "kind"),
        "shard_cut_short": (one[:-1], "short"),
        "shard_too_long": (one + b"\0", "long"),
        "shard_empty": (b"", "short"),
        "shard_index_too_large": (one[:30] + b"\x05" + one[31:], "geometry"),
        "shard_size_huge": (one[:24] + b"\xff\xff\xff\xff" + one[28:], "geometry"),
        "shard_need_zero": (one[:28] + b"\0" + one[29:], "geometry"),
        "shard_number_changed": (one[:23] + b"\x03" + one[24:], "tag"),
        "shard_copy_changed": (one[:31] + b"\x01" + one[32:], "tag"),
        "shard_content_changed": (one[:33] + b"\xee" + one[34:], "tag"),
        "shard_tag_forged": (one[:-16] + bytes(16), "tag"),
        "shard_session_foreign": (one[:4] + b"\0\0\0\1" + one[8:], "session"),
    }
    for name, (data, reason) in faults.items():
        write(name, "datagram", {**base, "frame": data.hex()}, reason)
    totals = StreamTotals(stream=STREAM, oldest=3, sealed=300, finished=290, waiting=((10, 12),))
    said = Beat(
        session=SESSION, boot=7, counter=8, wall_ns=1_700_000_000_000_000_000, synced=1, streams=(totals,),
        frames=1234, bytes=567_890, backlog_s=0.25, repeats=(20.0, 900.0), spool={"full": False},
    )  # fmt: skip
    beat = BeatTag(LINK_KEY, SESSION).frame(said)
    told = {
        **{name: getattr(said, name) for name in ("boot", "counter", "wall_ns", "synced", "frames", "bytes")},
        "streams": [[STREAM.hex(), 3, 300, 290, [[10, 12]]]],
        "backlog_s": 0.25,
        "repeats": [20.0, 900.0],
    }
    write("beat", "beat", {**base, "frame": beat.hex()}, told, beat)
    figures = {"bytes": 19 << 30, "free_bytes": 0, "full": True, "loses_s": 2400, "certificate_s": -5, "later": 1.5}
    ahead = BeatTag(LINK_KEY, SESSION).frame(replace(said, wall_ns=-1, synced=0, spool=figures))
    write("beat_figures", "figures", {**base, "frame": ahead.hex()}, [-1, 0, figures], ahead)
    write("beat_tag_forged", "beat", {**base, "frame": (beat[:-1] + b"\0").hex()}, "tag")
    write("beat_total_changed", "beat", {**base, "frame": (beat[:40] + b"\xee" + beat[41:]).hex()}, "tag")
    probe = ProbeTag(LINK_KEY, SESSION).frame(2, 20_000, 3, 400, 80, burst=2500, first=1, last=6)
    write("probe", "probe", {**base, "frame": probe.hex()}, [2, 20_000, 3, 400, 2500, 1, 6], probe)
    write("probe_burst_changed", "probe", {**base, "frame": (probe[:24] + b"\x05" + probe[25:]).hex()}, "tag")
    write("probe_cut_short", "probe", {**base, "frame": probe[:45].hex()}, "short")
    write("probe_step_changed", "probe", {**base, "frame": (probe[:9] + b"\x05" + probe[10:]).hex()}, "tag")


def _links() -> None:
    signer, own = keys.from_bytes("link-sign", LINK_SIGN), keys.from_bytes("catch", CATCH)
    frame = announce.make_link(SESSION, 7, 1, LINK_KEY, own.public, signer)
    given = {"catch": CATCH.hex(), "link_sign_public": signer.public.raw.hex(), "frame": frame.hex()}
    write("link", "link", given, LINK_KEY.hex(), LINK_KEY, keep=True)
    kept = json.loads((FOLDER / "link.json").read_text())["given"]
    frame = bytes.fromhex(kept["frame"])
    changed = {**kept, "frame": (frame[:15] + b"\x09" + frame[16:]).hex()}
    write("link_boot_changed", "link", changed, "signature", keep=True)
    write("link_cut_short", "link", {**kept, "frame": frame[:-1].hex()}, "short", keep=True)
    write("link_other_receiver", "link", {**kept, "catch": bytes([9] * 32).hex()}, "key", keep=True)
    write("link_other_signer", "link", {**kept, "link_sign_public": keys.from_bytes("sign", SIGN).public.raw.hex()},
          "key", keep=True)  # fmt: skip


def _blocks() -> None:
    signer, own = keys.from_bytes("sign", SIGN), keys.from_bytes("open", OPEN)
    public = {"sign_public": signer.public.raw.hex()}
    bodies: dict[str, tuple[BlockKind, dict[str, Any]]] = {
        "open": (BlockKind.OPEN, {"site": "north-plant", "boot": 9, "time": 1, "previous": None}),
        "head": (BlockKind.HEAD, _head(signer)),
    }
    for name, (kind, body) in bodies.items():
        block = seal.sign(kind, STREAM, 5, body, signer)
        write(f"block_{name}", "signed", {**public, "block": block.hex()}, _plain(body), block)
        write(
            f"block_{name}_changed", "signed", {**public, "block": (block[:60] + b"\0" + block[61:]).hex()}, "signature"
        )
    sealed: dict[str, tuple[BlockKind, dict[str, Any]]] = {
        "state": (BlockKind.STATE, {"asset": "pump-7", "time": 2, "what": "down", "text": "no reply"}),
        "event": (BlockKind.EVENT, {"asset": "pump-7", "source": "trip", "time": 3, "severity": 900, "code": "T1",
                                    "text": "overspeed", "state": "active", "sequence": 4}),
        "file": (BlockKind.FILE, {"asset": "pump-7", "name": "trip.dat", "time": 5, "size": 3,
                                  "sha256": hashlib.sha256(b"abc").digest(), "part": 0, "of": 1, "bytes": b"abc"}),
        "tally": (BlockKind.TALLY, {"time": 6, "number": 5, "assets": {"pump-7": [10, 9]}}),
        "catalog": (BlockKind.CATALOG, to_wire(_page())),
        "catalog_conversion": (BlockKind.CATALOG, to_wire(_page("int16 x 0.1 - 20"))),
    }  # fmt: skip
    box = seal.Seal(EPOCH_KEY, STREAM, 1)
    given = {"epoch_key": EPOCH_KEY.hex(), "stream": STREAM.hex(), "epoch": 1}
    for name, (kind, body) in sealed.items():
        block = box.close(kind, 5, body, NONCE)
        write(f"block_{name}", "sealed", {**given, "block": block.hex()}, _plain(body), msgpack.packb(body))
    block = bytes.fromhex(json.loads((FOLDER / "block_state.json").read_text())["given"]["block"])
    for name, changed in {
        "number": block[:19] + b"\x06" + block[20:],
        "nonce": block[:24] + b"\0" + block[25:],
        "content": block[:-20] + b"\0" + block[-19:],
    }.items():
        write(f"block_{name}_changed", "sealed", {**given, "block": changed.hex()}, "seal")
    epoch = seal.sign(BlockKind.EPOCH, STREAM, 1, seal.epoch_body(1, STREAM, EPOCH_KEY, [own.public]), signer)
    write("block_epoch", "epoch", {**public, "open": OPEN.hex(), "block": epoch.hex()}, [1, EPOCH_KEY.hex()], EPOCH_KEY,
          keep=True)  # fmt: skip


def _head(signer: keys.PrivateKey) -> dict[str, Any]:
    name, tree = evidence.origin("north-plant", STREAM), evidence.Tree()
    leaves = [hashlib.sha256(bytes([at])).digest() for at in range(5)]
    for leaf in leaves:
        tree.add(leaf)
    note = evidence.sign_note(evidence.checkpoint(name, tree), name, signer)
    return evidence.head_body(evidence.Head(previous=0, frontier=(), leaves=tuple(leaves), note=note))


def _page(conversion: str = "") -> Page:
    asset = Asset(name="pump-7", site="north-plant", vendors=("Acme Pumps",), simulated=True)
    tag = Tag(id=1, asset="pump-7", name="p", type="float32", unit="bar", low=0.0, high=16.0, address="holding:0")
    return Page(index=0, assets=(asset,), tags=(replace(tag, conversion=conversion),))


def _erasure() -> None:
    for need, spare, width in ((1, 6, 9), (10, 3, 16), (64, 10, 5), (127, 127, 3)):
        data = np.frombuffer(hashlib.shake_128(f"{need}+{spare}".encode()).digest(need * width), np.uint8)
        spares = spares_of(Code("numpy"), data.reshape(need, width), spare)
        given = {"need": need, "spare": spare, "width": width, "data": data.tobytes().hex()}
        write(f"erasure_{need}_{spare}", "erasure", given, spares.tobytes().hex(), spares.tobytes())


def _batches() -> None:
    t0 = 1_767_225_600_000_000_000
    cases = {
        "empty": [],
        "one": [Row(4, t0, 1.5)],
        "walk": [Row(tag, t0 + at * 10**9, round(20 + tag + at * 0.05, 2)) for at in range(20) for tag in range(3)],
        "kinds": [
            Row(9, t0, None, 0x800A0000, 11),
            Row(2, t0 + 5, -(2**63), 0, 0, t0),
            Row(2, t0 + 4, 2**63 - 1),
            Row(7, t0, True, 0, 0, t0 - 7, 1),
            Row(5, t0, "RUN é", 0x40900000),
            Row(3, t0, -0.0),
        ],
    }
    for name, rows in cases.items():
        wire = batch.to_wire(from_rows(rows))
        plain = msgpack.packb(wire)
        listed = [[*row] for row in batch.from_wire(wire).rows()]
        write(f"batch_{name}", "batch", {"body": plain.hex()}, listed, plain)


def _store() -> None:
    block = seal.Seal(EPOCH_KEY, STREAM, 1).close(BlockKind.STATE, 5, {"asset": ""}, NONCE)
    one = record(STREAM, 5, 1, 6, block, how=1, time_ns=1_700_000_000_000_000_000)
    write("record", "record", {"bytes": to_bytes(one).hex()}, [STREAM.hex(), 5, 1, 6, 1, one.time_ns, 0], block)
    torn = to_bytes(one)[:-1]
    write("record_torn", "record", {"bytes": torn.hex()}, None)
    write("record_rotten", "record", {"bytes": (torn + b"\0").hex()}, None)
    lowered = replace(one, order=3)
    write("record_order", "record", {"bytes": to_bytes(lowered).hex()},
          [STREAM.hex(), 5, 1, 6, 1, one.time_ns, 3], block)  # fmt: skip
    write("record_number_of_another", "record", {"bytes": to_bytes(replace(one, number=6)).hex()}, None)
    write("record_stream_of_another", "record", {"bytes": to_bytes(replace(one, stream=bytes(8))).hex()}, None)
    write("record_need_zero", "record", {"bytes": to_bytes(replace(one, need=0)).hex()}, None)
    write("record_shards_too_many", "record", {"bytes": to_bytes(replace(one, need=127, spare=129)).hex()}, None)


def _gapcodes() -> None:
    cases = {
        "one": [(812, 813)],
        "some": [(0, 1), (2, 4), (100, 1000), (6_000_000, 6_000_050)],
        "top": [(2**64 - 1, 2**64)],
    }
    for name, ranges in cases.items():
        code = gapcode.encode(STREAM, ranges)
        told = [STREAM[:3].hex(), [list(one) for one in ranges]]
        write(f"gapcode_{name}", "gapcode", {"code": code}, told, code.encode())
    code = gapcode.encode(STREAM, cases["some"])
    write("gapcode_spoken", "gapcode", {"code": code.lower().replace("-", " ")},
          [STREAM[:3].hex(), [list(one) for one in cases["some"]]], code.encode())  # fmt: skip
    wrong = {
        "letter_changed": code[:10] + ("Q" if code[10] != "Q" else "P") + code[11:],
        "letter_missing": code[:12] + code[13:],
        "neighbours_swapped": code[:5] + code[6] + code[5] + code[7:],
        "prefix_other": "CW1" + code[3:],
        "letter_never_used": code[:10] + "B" + code[11:],
        "cut_short": code[:12],
        "bech32_not_m": "CV1QY352EUF5QPZRY",
    }
    for name, text in wrong.items():
        write(f"gapcode_{name}", "gapcode", {"code": text}, None)


def _plain(value: Any) -> Any:
    """JSON of a body: bytes in hex."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
