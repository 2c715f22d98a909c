"""What a stream teaches, from a sender that is believed and says anything: a refusal by its reason, nothing else."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from journal_blocks import OPEN, SIGN, T0, Journal, Reading, Source

from protocol import plain, seal
from protocol.block import SIGNED, BlockKind
from protocol.content import body as bodies
from protocol.errors import FrameError, Reason
from receiver.outputs.base import BOOTS
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope as Seen
from receiver.publish.known import KnownStream, Lacking, Ring

RING = Ring(OPEN, {SIGN.public.id: SIGN.public})
HOSTILE: tuple[Any, ...] = (
    None, True, -1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1.5, float("inf"), float("-inf"), float("nan"),
    "", "7", "x" * 70_000, b"", b"\xff" * 9, [], [None], [[]], [[1, 2]], [[2**40, 2**40]], [[b"", b""]], {}, {"a": 1},
    [b"x" * 8, 2**64 - 1, b""], [b"x" * 8, -1, b""], [[[[[[[[[[]]]]]]]]]],
)  # fmt: skip
GOOD: dict[BlockKind, dict[str, Any]] = {
    BlockKind.OPEN: {"site": "north", "boot": 7, "time": T0, "previous": None},
    BlockKind.EPOCH: seal.epoch_body(1, b"stream-a", bytes(32), [OPEN.public]),
    BlockKind.HEAD: {"previous": 0, "frontier": [], "leaves": b"", "note": ""},
    BlockKind.BATCH: {"first": T0, "last": T0, "columns": {"n": 1}},
    BlockKind.CATALOG: {"page": 0, "assets": [{"name": "pump"}], "tags": [{"id": 0, "asset": "pump", "name": "t0"}]},
    BlockKind.STATE: {"asset": "pump", "time": T0, "what": "up", "text": ""},
    BlockKind.EVENT: {
        "asset": "pump", "source": "", "time": T0, "severity": 1, "code": "", "text": "", "state": "active",
        "sequence": 1,
    },
    BlockKind.FILE: {
        "asset": "pump", "name": "", "time": T0, "size": 0, "sha256": b"", "part": 0, "of": 1, "bytes": b"",
    },
    BlockKind.TALLY: {"time": T0, "number": 3, "assets": {"pump": [1, 1]}},
}  # fmt: skip


def _known_stream() -> KnownStream:
    source = Source()
    known = KnownStream(source.key)
    assert known.learn([source.page(2, [0]), source.epoch(1), source.open()], RING) == []
    return known


def _read(kind: BlockKind, body: Mapping[str, Any]) -> None:
    """Read it by a stream that knows all, and by one that knows nothing."""
    source = Source()
    one = source.signed(kind, 9, body) if kind in SIGNED else source.sealed(kind, 9, 1, body)
    for known in (_known_stream(), KnownStream(source.key)):
        try:
            known.open_block(one, RING)
        except (FrameError, Lacking):
            continue


@pytest.mark.parametrize("kind", list(BlockKind), ids=lambda kind: kind.name)
def test_hostile_types_in_any_field_are_a_refusal_and_nothing_else(kind: BlockKind) -> None:
    """Every field of every kind is missing, or of every other type and size."""
    for name in GOOD[kind]:
        _read(kind, {key: value for key, value in GOOD[kind].items() if key != name})
        for value in HOSTILE:
            _read(kind, {**GOOD[kind], name: value})


@pytest.mark.parametrize("part", ["assets", "tags"])
def test_hostile_types_in_any_part_of_a_page_are_a_refusal_and_nothing_else(part: str) -> None:
    """As above, one level down."""
    good = {"id": 0, "asset": "pump", "name": "t0"} if part == "tags" else {"name": "pump"}
    fields = ("id", "asset", "name", "type", "low", "scan_s", "states", "site", "vendors", "simulated")
    for name in fields:
        for value in HOSTILE:
            _read(BlockKind.CATALOG, {**GOOD[BlockKind.CATALOG], part: [{**good, name: value}]})


@pytest.mark.parametrize("boot", [-1, BOOTS, 2**63, 1.0, None])
def test_an_open_whose_boot_is_no_start_counter_is_refused(boot: object) -> None:
    """Beyond 2**54 it would be taken for an order that a person accepted."""
    with pytest.raises(FrameError, match="body"):
        KnownStream(b"stream-a").open_block(
            Source().signed(BlockKind.OPEN, 0, {**GOOD[BlockKind.OPEN], "boot": boot}), RING
        )


def test_a_body_nested_without_end_is_refused() -> None:
    """Deeper than any recursion: in a signed body, and in a compressed one."""
    deep = b"\x81\xa1a" + b"\x91" * 200_000 + b"\xc0"
    with pytest.raises(FrameError) as caught:
        plain.plain(deep)
    assert caught.value.reason == Reason.BODY
    with pytest.raises(FrameError):
        bodies.unpack(b"\x28\xb5\x2f\xfd\xa4" + struct.pack("<I", len(deep)) + b"\x00")


def test_a_wrong_key_is_nothing_that_a_block_is_guilty_of() -> None:
    """It lacks the key, and names those it is sealed for, as `keys show` begins them."""
    other = Ring(OPEN, {})
    with pytest.raises(Lacking) as caught:
        KnownStream(b"stream-a").open_block(Source().open(), other)
    assert caught.value.detail.replace(" ", "") == SIGN.public.id.hex()
    assert SIGN.public.fingerprint.startswith(caught.value.detail)


def test_a_sender_that_was_accepted_after_its_clock_went_back_becomes_current(tmp_path: Path) -> None:
    """Its disk was replaced and its clock is two days behind; the floor was lowered once: what it sends is newer."""
    old, new = Source(b"stream-o", boot=T0 // 1000), Source(b"stream-n", boot=T0 // 1000 - 2 * 86400 * 10**6, order=1)
    journal = Journal(tmp_path / "journal")
    history = HistorianOutput(tmp_path / "history", clock=lambda: T0)
    reading = Reading(journal.folder)
    for source, number in ((old, 900), (new, 4)):
        journal.append([source.open(), source.epoch(1), source.page(2, [0]), source.batch(number, [0])])
        reading.read()
        history.take(reading.blocks, b"")
        reading.blocks.clear()
    history.close()
    door = Door(tmp_path / "history", Seen())
    latest, _ = door.latest(0)
    assert [one.value for one in latest] == [4.0]
    gaps = door.absences(0, 2**62)
    assert len(gaps) == 2
    assert {gap.from_ns // 10**9 // 86400 for gap in gaps} <= {T0 // 10**9 // 86400, T0 // 10**9 // 86400 - 2}
    door.close()
