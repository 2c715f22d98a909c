"""The two processes of `bench link`, each on a core of its own: `python -m bench.link_ends tx|rx '{JSON}'`.

The product's own parts do the work: rows, tags and outlet on one side; inlet, intake, journal, opener on the other.
A result is one line of JSON. Time at the receiver runs from the first frame to the last complete block.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import random
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.mix import signals
from protocol import keys
from protocol.block import HEADER, BlockKind
from protocol.content.catalog import Asset, Tag
from protocol.limits import WIRE_OVERHEAD
from protocol.store.record import Record, record
from protocol.wire.announce import make_link
from protocol.wire.erasure import Code
from protocol.wire.frame import SHARD_OVERHEAD, ShardTag
from receiver.catch.inlet import Inlet
from receiver.catch.intake import Arrival, Intake
from receiver.catch.link.sessions import Sessions
from receiver.catch.store.floors import Floors
from receiver.catch.store.journal import Journal
from receiver.outputs.base import BatchBody
from receiver.outputs.scope import Scope
from receiver.publish.opener import Opener
from sender.emit.emitter import Emitter
from sender.emit.link_session import LinkTerms
from sender.emit.outlet import Outlet
from sender.emit.pace import Pace
from sender.geometry import Geometry
from sender.store.pack import Packer
from sender.store.spool import Spool

PORT = 5005
STREAM = b"benchlnk"
LINK_KEY = bytes(range(32))
SESSION = 0xBE9C
WIDTH = 1424
QUIET = 1.5
"""The receiver is done when nothing came for this long [s]."""
UNPACED = 1e12
"""The rate where none is set [bytes/s]: above what any link carries, so that a send never waits."""
KINDS = 64
"""Different blocks that are sent in turn."""


def blocks(need: int) -> list[bytes]:
    """Full blocks with random content; their header names no number, see `numbered`."""
    random = np.random.default_rng(1)
    return [random.bytes(need * WIDTH - HEADER.size) for _ in range(KINDS)]


def numbered(content: bytes, number: int) -> bytes:
    """A block of the bench's stream."""
    return HEADER.pack(b"CB", 1, BlockKind.BATCH, STREAM, number, 1, bytes(12)) + content


def _ready(told: dict[str, Any], core: int) -> None:
    os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(0.001)
    print(json.dumps(told), flush=True)  # noqa: T201  the parent reads it


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)  # noqa: T201  the parent reads it


def tx_raw(given: dict[str, Any]) -> None:
    """The raw blast: the same bytes again and again, as fast as segmented sends go."""
    outlet = Outlet(given["to"], PORT)
    frames = memoryview(bytes(1472 * 43))
    _ready({"ready": True}, 0)
    ends = time.perf_counter() + given["seconds"]
    while time.perf_counter() < ends:
        outlet.send(frames, 1472)
    _say({"sent": True})


def rx_raw(given: dict[str, Any]) -> None:
    """Counts bytes of the raw blast by recv_into, or by merged receives."""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    link.bind((given["listen"], PORT))
    if given["gro"]:
        link.setsockopt(socket.IPPROTO_UDP, 104, 1)  # UDP_GRO
    link.settimeout(20)
    buffer = bytearray(65536)
    _ready({"ready": True}, 1)
    count = link.recv_into(buffer)
    started = last = time.perf_counter()
    link.settimeout(QUIET)
    while True:
        try:
            count += link.recv_into(buffer)
        except TimeoutError:
            break
        last = time.perf_counter()
    _say({"mbit": count * 8e-6 / (last - started)})


def tx_bulk(given: dict[str, Any]) -> None:
    """Full blocks with spares: cut, coded, tagged and sent; paced where a rate is given."""
    need, spare, count = given["need"], given["spare"], given["blocks"]
    signer, receiver = (
        keys.load(Path(given["keys"]) / "high", "link-sign"),
        keys.load(Path(given["keys"]) / "low", "catch"),
    )
    link = make_link(SESSION, 1, given["turn"], LINK_KEY, receiver.public, signer)
    outlet, code, tag = Outlet(given["to"], PORT), Code(), ShardTag(LINK_KEY, SESSION, STREAM)
    contents, length = blocks(need), SHARD_OVERHEAD + WIDTH
    rate = given["rate"] * 1e6 / 8 or UNPACED
    pace = Pace(rate, largest_frame=length + WIRE_OVERHEAD)
    _ready({"ready": True}, 0)
    for _ in range(3):
        outlet.send(memoryview(link), len(link))
    time.sleep(0.05)
    for number in range(count):
        block = numbered(contents[number % KINDS], number)
        frames = tag.frames(number, len(block), need, spare, 0, code.rows(block, need, spare))
        pace.send(frames, length, outlet.send, clock=time.monotonic, sleep=time.sleep)
    _say({"sent": count, "errors": outlet.errors})


def rx_bulk(given: dict[str, Any]) -> None:
    """Blocks in memory, or into the journal by the writing thread as in `catch`."""
    from receiver.catch.store.writer import WritingThread

    need, count = given["need"], given["blocks"]
    own = keys.load(Path(given["keys"]) / "low", "catch")
    signer = keys.load(Path(given["keys"]) / "high", "link-sign").public
    inlet = Inlet(given["listen"], PORT, 64 << 20)
    contents = blocks(need)
    seen = {"intact": 0, "repaired": 0, "first": 0.0, "last": 0.0}
    writer = None
    if given["journal"]:
        journal = Journal(Path(given["journal"]), keep_s=1e9, most_bytes=1e12, now=time.monotonic())
        writer = WritingThread(journal, clock=time.monotonic, wall=time.time_ns)
        writer.start()

    def put(arrival: Arrival) -> bool:
        if writer is not None and not writer.put(arrival):
            return False
        seen["intact"] += arrival.block[HEADER.size :] == contents[arrival.number % KINDS]
        seen["repaired"] += arrival.how.value
        seen["last"] = time.perf_counter()
        return True

    intake = Intake(Sessions(own, [signer], Floors(), random.Random(1)), Code(), {}, put=put, say=lambda line: None)
    _ready({"ready": True}, 1)
    heard, waits = 0.0, time.monotonic() + 20
    while seen["intact"] < count and time.monotonic() < waits:
        datagrams = inlet.receive(time.monotonic() + 0.2)
        if datagrams is not None:
            heard = heard or time.perf_counter()
            waits = time.monotonic() + QUIET
            if not seen["first"] and len(datagrams.view) > 1000:
                seen["first"] = time.perf_counter()
            intake.receive(datagrams, time.monotonic(), time.time_ns())
    if writer is not None:
        writer.stop()
        seen["last"] = time.perf_counter()  # everything is on the disk now
    took = max(seen["last"] - seen["first"], 1e-9)
    mbit = seen["intact"] * need * WIDTH * 8e-6 / took
    _say(
        {
            "cpu_us": time.process_time() * 1e6 / (count * (need + given["spare"])),
            "mbit": mbit,
            "lost": count - seen["intact"],
            "repaired": seen["repaired"],
            "drops": inlet.kernel_drops,
        }
    )


def tx_samples(given: dict[str, Any]) -> None:
    """Columns into the packer, through the spool on the disk, out by the emitter."""
    folder = Path(given["keys"])
    opens = keys.load(folder / "low", "open").public
    geometry = Geometry(width=WIDTH, rate=given["rate"] * 1e6 / 8, repeats=0, loss=given["loss"] or None)
    spool = Spool(folder / f"spool{given['turn']}", keep_s=1e9, most_bytes=10**12, now=time.monotonic())
    packer = Packer(
        site="bench",
        boot=spool.next_boot(time.time_ns()),
        geometry=geometry,
        signer=keys.load(folder / "high", "sign"),
        receivers=[opens],
        previous=None,
        append=spool.append,
        entropy=os.urandom,
        wall=time.time_ns,
        now=time.monotonic,
    )
    link = LinkTerms(
        mtu=1500,
        spread_s=0.05,
        repeat=(),
        geometry=geometry,
        signer=keys.load(folder / "high", "link-sign"),
        receivers=[keys.load(folder / "low", "catch").public],
        boot=time.time_ns() // 1000,
        entropy=os.urandom,
        wall=time.time_ns,
        synced=lambda: 1,
    )
    emitter = Emitter(spool.folder, link, time.monotonic())
    outlet, pace = Outlet(given["to"], PORT), Pace(geometry.rate, None, largest_frame=1514)
    chunk = signals(500, given["polls"])
    tags = [Tag(id=ident, asset="a", name=f"t{ident}") for ident in range(1000, 1500)]
    packer.catalog({"a": Asset(name="a")}, tags)
    _ready({"ready": True}, 0)
    started, sent = time.monotonic(), 0
    due = given["samples_per_s"] or 0
    while sent < given["samples"]:
        now = time.monotonic()
        if not due or sent < (now - started) * due:
            stamped = chunk
            if due:
                stamped = dataclasses.replace(chunk, time_ns=np.full(len(chunk), time.time_ns()))
            packer.samples("a", stamped, len(chunk))
            sent += len(chunk)
        _drive(packer, spool, emitter, outlet, pace)
    packer.finish()
    spool.flush(time.monotonic())
    took = time.monotonic() - started
    ends = time.monotonic() + 10
    while not emitter.idle() and time.monotonic() < ends:
        _drive(packer, spool, emitter, outlet, pace)
    _say({"sent": sent, "seconds": took})


def _drive(packer: Packer, spool: Spool, emitter: Emitter, outlet: Outlet, pace: Pace) -> None:
    packer.tick()
    spool.tick(time.monotonic())
    while (parcel := emitter.next(time.monotonic())) is not None:
        pace.send(parcel.frames, parcel.length, outlet.send, clock=time.monotonic, sleep=time.sleep)
        emitter.left(parcel)


def rx_samples(given: dict[str, Any]) -> None:
    """Inlet to journal to columns, in one thread of one core; says the delay from read to journaled where asked."""
    folder = Path(given["keys"])
    state = folder / f"low{given['turn']}"
    inlet = Inlet(given["listen"], PORT, 64 << 20)
    journal = Journal(state, keep_s=1e9, most_bytes=1e12, now=time.monotonic())

    def put(arrival: Arrival) -> bool:
        stream, number, need, spare, how, time_ns, block = arrival
        one: Record = record(stream, number, need, spare, block, how=how, time_ns=time_ns)
        journal.append(one, time.monotonic())
        return True

    signer = keys.load(folder / "high", "link-sign").public
    sessions = Sessions(keys.load(folder / "low", "catch"), [signer], Floors(), random.Random(1))
    intake = Intake(sessions, Code(), {}, put=put, say=lambda line: None)
    sign = keys.load(folder / "high", "sign").public
    opener = Opener(
        journal.store.folder,
        None,
        own=keys.load(folder / "low", "open"),
        signers={sign.id: sign},
        scope=Scope(),
        now=time.monotonic(),
        wall_ns=time.time_ns(),
    )
    delays: list[float] = []
    got, first, last = 0, 0.0, 0.0
    _ready({"ready": True}, 1)
    waits = time.monotonic() + 30
    while got < given["samples"] and time.monotonic() < waits:
        now = time.monotonic()
        datagrams = inlet.receive(min(now + 0.005, journal.deadline()))
        now = time.monotonic()
        if datagrams is not None:
            first = first or now
            waits = now + 4
            intake.receive(datagrams, now, time.time_ns())
        intake.tick(now, time.time_ns())
        journal.tick(now)
        while True:
            opened, moved = opener.step(time.monotonic())
            for one in opened:
                if isinstance(one.body, BatchBody):
                    got += len(one.body.columns)
                    last = time.monotonic()
                    if given["delays"]:
                        delays.append((time.time_ns() - int(one.body.columns.time_ns.min())) / 1e6)
            if not moved:
                break
    counts = intake.gaps.counts()
    told: dict[str, Any] = {"samples": got, "rate": got / max(last - first, 1e-9), "repaired": counts.repaired}
    if delays:
        told |= {"p50": float(np.percentile(delays, 50)), "p99": float(np.percentile(delays, 99))}
    _say(told)


if __name__ == "__main__":
    ENDS = {"tx_raw": tx_raw, "rx_raw": rx_raw, "tx_bulk": tx_bulk, "rx_bulk": rx_bulk}
    ENDS |= {"tx_samples": tx_samples, "rx_samples": rx_samples}
    ENDS[sys.argv[1]](json.loads(sys.argv[2]))
