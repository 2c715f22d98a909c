"""`audit journal`: what was lost, injected or altered is told by number, and nothing else is."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.check import Check, CheckStatus
from audit.disks import compare
from audit.samples import SITE, Stores, make_stores, opaque, write_store
from protocol import keymaking
from protocol.block import BlockKind
from protocol.errors import ConfigError
from protocol.store.reader import SYNCED
from protocol.store.record import HEAD, Record, record, to_bytes
from protocol.store.resync import scan
from protocol.store.segment_store import Store

NOW = 1_700_000_000 * 10**9


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """Two streams of 60 blocks, heads at 20 and 40."""
    return make_stores(tmp_path_factory.mktemp("sample"), seed=3)


@pytest.fixture
def stores(sample: Stores, tmp_path: Path) -> Stores:
    """A copy to hurt."""
    shutil.copytree(sample.high, tmp_path / "spool")
    shutil.copytree(sample.low, tmp_path / "journal")
    return Stores(
        high=tmp_path / "spool", low=tmp_path / "journal", key=sample.key, streams=sample.streams, size=sample.size
    )


def _judge(stores: Stores, **more: str) -> dict[str, Check]:
    found = compare.run(stores.high, stores.low, [stores.key], now_ns=NOW, **more)
    return {check.id: check for check in found.checks}


def _states(checks: dict[str, Check]) -> dict[str, str]:
    return {ident: check.status.value for ident, check in checks.items()}


def _records(folder: Path) -> list[Record]:
    return list(scan(folder / "segments" / "0000000001.seg"))


def _rewrite(folder: Path, change: Callable[[list[Record]], list[Record]]) -> None:
    """A person with the whole disk: segments, leaves and kept blocks all say the same afterwards."""
    records = change(_records(folder))
    shutil.rmtree(folder)
    write_store(folder, records)


def _leaf(folder: Path, stream: bytes, number: int, value: bytes) -> None:
    path = folder / "leaves" / f"{stream.hex()}.leaf"
    held = bytearray(path.read_bytes()).ljust(32 * number + 32, b"\0")
    held[32 * number : 32 * number + 32] = value
    path.write_bytes(held)


def test_two_equal_stores_pass(stores: Stores) -> None:
    """Every head verifies, every leaf agrees, every block is its own."""
    checks = _judge(stores)
    assert set(_states(checks).values()) == {"PASS"}
    assert "4 heads of 2 streams verify and chain" in checks["JRN-1"].found
    assert "all 120 blocks" in checks["JRN-4"].found


def test_what_the_product_itself_writes_passes(tmp_path: Path) -> None:
    """The packer's blocks through the store of either side, three starts of it, a loss on the low side."""
    from protocol.keys import load, load_public
    from sender.geometry import Geometry
    from sender.store.pack import Packer
    from sender.store.spool import _describe

    keymaking.make("high", tmp_path / "high")
    keymaking.make("low", tmp_path / "low")
    high, low = Store(tmp_path / "spool"), Store(tmp_path / "journal")
    dice, clock, previous = random.Random(9), [100.0], None
    for boot in range(3):
        made: list[Record] = []
        packer = Packer(
            site="north-plant",
            boot=boot,
            geometry=Geometry(width=1400, rate=1e6, repeats=1, loss=None),
            signer=load(tmp_path / "high", "sign"),
            receivers=[key for key in load_public(tmp_path / "low.pub") if key.kind == "open"],
            previous=previous,
            append=made.append,
            entropy=dice.randbytes,
            wall=lambda: NOW,
            now=lambda: clock[0],
        )
        for _ in range(4):
            clock[0] += 61
            packer.tick()
        if boot == 1:
            packer.finish()
        for one in made:
            high.append(one)
            if one.number != 5:
                low.append(one)
        high.sync()
        low.sync()
        previous = _describe(tmp_path / "spool", packer.stream, high.segments)
    high.close()
    low.close()
    found = compare.run(tmp_path / "spool", tmp_path / "journal", [tmp_path / "high.pub"], now_ns=NOW)
    states = {check.id: check.status.value for check in found.checks}
    assert states == {"JRN-1": "PASS", "JRN-2": "PASS", "JRN-3": "PASS", "JRN-4": "WARN"}
    assert found.checks[3].found.startswith("3 of ")


def test_lost_blocks_are_named_and_their_hashes_known(tmp_path: Path) -> None:
    """By stream and number; a HEAD tells the hash of those before it."""
    stores = make_stores(tmp_path, seed=4, lost=(7, 8, 9, 30, 55))
    checks = _judge(stores)
    assert _states(checks) == {"JRN-1": "PASS", "JRN-2": "PASS", "JRN-3": "PASS", "JRN-4": "WARN"}
    value = checks["JRN-4"].evidence[0].value
    assert value["lost"] == {stream.hex(): ["7-9", "30", "55"] for stream in sorted(stores.streams)}
    assert value["hash known by a HEAD"] == 8
    stretch = checks["JRN-1"].evidence[0].value["streams"][stores.streams[0].hex()]["stretches"]
    assert [one["state"] for one in stretch] == ["3 missing, hashes known", "1 missing, hashes known"]


def test_a_lost_head_is_bridged_by_leaves(tmp_path: Path) -> None:
    """Where both sides lack a HEAD, the leaves of its stretch must still lead to the next one."""
    stores = make_stores(tmp_path, seed=5, blocks=80)
    for folder in (stores.high, stores.low):
        _rewrite(folder, lambda records: [one for one in records if one.number != 40])
    checks = _judge(stores)
    assert checks["JRN-1"].status == CheckStatus.PASS
    state = checks["JRN-1"].evidence[0].value["streams"][stores.streams[0].hex()]["stretches"][1]
    assert state == {"from": 20, "to": 39, "heads": 1, "state": "HEAD missing, its leaves lead to the next"}
    false = opaque(stores.streams[0], 25, b"false value " * 6)
    for folder in (stores.high, stores.low):
        _rewrite(
            folder,
            lambda records: [false if one.stream == false.stream and one.number == 25 else one for one in records],
        )
    checks = _judge(stores)
    assert checks["JRN-1"].status == CheckStatus.FAIL
    assert "do not lead to HEAD 60" in checks["JRN-1"].found


def test_a_lost_head_that_nothing_bridges_is_said(tmp_path: Path) -> None:
    """With a number of its stretch lost on both sides too, nothing vouches for the rest of it."""
    stores = make_stores(tmp_path, seed=6, blocks=80)
    for folder in (stores.high, stores.low):
        _rewrite(folder, lambda records: [one for one in records if one.number not in (25, 40)])
    checks = _judge(stores)
    assert checks["JRN-1"].status == CheckStatus.WARN
    assert "HEAD missing in 2 places" in checks["JRN-1"].found


def test_injected_blocks_are_named(stores: Stores) -> None:
    """Appended behind the last, or to a stream that nobody opened: told by stream and number."""
    stream, other = stores.streams[1], b"stranger"
    _rewrite(stores.low, lambda records: [*records, opaque(stream, 77, bytes(50)), opaque(other, 3, bytes(50))])
    checks = _judge(stores)
    assert checks["JRN-2"].status == CheckStatus.FAIL
    assert checks["JRN-2"].evidence[0].value["injected"] == {stream.hex(): ["77"], other.hex(): ["3"]}
    assert checks["JRN-3"].status == CheckStatus.PASS


def test_a_high_side_copied_too_early_is_suspected(stores: Stores) -> None:
    """Blocks behind the high side's last fail, with the likely reason."""
    last = stores.streams[1]
    _rewrite(stores.high, lambda records: [one for one in records if one.stream != last or one.number < 50])
    checks = _judge(stores)
    assert checks["JRN-2"].status == CheckStatus.FAIL
    assert "copied before" in checks["JRN-2"].found


@pytest.mark.parametrize("side", ["high", "low"])
def test_an_altered_leaf_is_named_with_its_side(stores: Stores, side: str) -> None:
    """A HEAD decides; the block beside it no longer fits either."""
    folder = stores.high if side == "high" else stores.low
    _leaf(folder, stores.streams[0], 13, bytes(range(32)))
    checks = _judge(stores)
    assert checks["JRN-3"].status == CheckStatus.FAIL
    assert checks["JRN-3"].evidence[0].value["altered"] == {stores.streams[0].hex(): {side: ["13"]}}


@pytest.mark.parametrize(
    ("side", "number", "blamed"), [("low", 13, "low"), ("high", 13, "high"), ("low", 50, "either")]
)
def test_a_block_exchanged_with_all_its_hashes_is_named(stores: Stores, side: str, number: int, blamed: str) -> None:
    """Under a HEAD the guilty side is known; behind the last one only that they differ."""
    folder = stores.high if side == "high" else stores.low
    stream = stores.streams[1]
    false = opaque(stream, number, b"false value " * 6)

    def change(records: list[Record]) -> list[Record]:
        return [false if (one.stream, one.number) == (stream, number) else one for one in records]

    _rewrite(folder, change)
    checks = _judge(stores)
    assert checks["JRN-3"].evidence[0].value["altered"] == {stream.hex(): {blamed: [str(number)]}}
    assert checks["JRN-3"].status == CheckStatus.FAIL


def test_an_end_changed_on_both_sides_is_seen_by_the_next_stream(stores: Stores) -> None:
    """The next OPEN states the tree head up to the last block: both sides alike do not help a forger."""
    stream = stores.streams[0]
    false = opaque(stream, 50, b"false value " * 6)
    for folder in (stores.high, stores.low):
        _rewrite(
            folder, lambda records: [false if (one.stream, one.number) == (stream, 50) else one for one in records]
        )
    checks = _judge(stores)
    assert checks["JRN-1"].status == CheckStatus.FAIL
    assert "not those that stream" in checks["JRN-1"].found


def test_a_stream_gone_from_both_sides_is_missed(stores: Stores) -> None:
    """The next OPEN names it; gone from the low side alone it is lost, block by block."""
    gone = stores.streams[0]
    _rewrite(stores.low, lambda records: [one for one in records if one.stream != gone])
    checks = _judge(stores)
    assert checks["JRN-4"].evidence[0].value["lost"] == {gone.hex(): ["0-59"]}
    _rewrite(stores.high, lambda records: [one for one in records if one.stream != gone])
    checks = _judge(stores)
    assert checks["JRN-1"].status == CheckStatus.FAIL
    assert gone.hex() in checks["JRN-1"].found


def test_pruned_stores_are_compared_by_their_leaves(stores: Stores) -> None:
    """Without a single block left, heads and leaves still tell lost, injected and altered."""
    for folder in (stores.high, stores.low):
        shutil.rmtree(folder / "segments")
        (folder / "synced").unlink()
    assert set(_states(_judge(stores)).values()) == {"PASS"}
    stream = stores.streams[0]
    _leaf(stores.low, stream, 9, bytes(32))
    _leaf(stores.low, stream, 10, bytes(range(32)))
    _leaf(stores.low, stream, 70, bytes(range(32)))
    checks = _judge(stores)
    assert checks["JRN-4"].evidence[0].value["lost"] == {stream.hex(): ["9"]}
    assert checks["JRN-3"].evidence[0].value["altered"] == {stream.hex(): {"low": ["10"]}}
    assert checks["JRN-2"].evidence[0].value["injected"] == {stream.hex(): ["70"]}


def test_a_stream_that_the_high_side_has_forgotten_is_judged_by_its_heads(stores: Stores) -> None:
    """What a HEAD names is true; the rest cannot be judged and is said; a stranger's stream stays injected."""
    gone = stores.streams[0]
    _rewrite(stores.high, lambda records: [one for one in records if one.stream != gone])
    checks = _judge(stores)
    assert checks["JRN-2"].status == CheckStatus.WARN
    assert checks["JRN-2"].evidence[0].value["not judged"] == {gone.hex(): ["40-59"]}


def test_leaves_are_made_from_blocks_where_their_files_are_not_there(stores: Stores) -> None:
    """A copy of the segments alone is compared all the same."""
    shutil.rmtree(stores.low / "leaves")
    assert set(_states(_judge(stores)).values()) == {"PASS"}
    huge = opaque(stores.streams[0], 2**63, bytes(60))
    with (stores.low / "segments" / "0000000001.seg").open("ab") as file:
        file.write(to_bytes(huge))
    (stores.low / "synced").unlink()
    assert _judge(stores)["JRN-3"].status == CheckStatus.FAIL


def test_another_key_verifies_nothing(stores: Stores, tmp_path: Path) -> None:
    """Heads of a key that was not given fail; a bundle without a sign key is a mistake."""
    keymaking.make("high", tmp_path / "other")
    keymaking.make("low", tmp_path / "low")
    found = compare.run(stores.high, stores.low, [tmp_path / "other.pub"], site=SITE, now_ns=NOW)
    assert found.checks[0].status == CheckStatus.FAIL
    assert "not among those given" in found.checks[0].found
    with pytest.raises(ConfigError):
        compare.run(stores.high, stores.low, [tmp_path / "low.pub"], now_ns=NOW)
    with pytest.raises(ConfigError):
        compare.run(stores.high, stores.high, [stores.key], now_ns=NOW)
    with pytest.raises(ConfigError):
        compare.run(stores.high, tmp_path, [stores.key], now_ns=NOW)


def test_another_site_fails(stores: Stores) -> None:
    """Two plants' journals are not mixed up."""
    assert _judge(stores, site="south-plant")["JRN-1"].status == CheckStatus.FAIL


def test_what_is_not_stated_as_synced_is_not_judged(stores: Stores) -> None:
    """A live folder ends in bytes that nobody has promised yet; without the statement a cut record ends it too."""
    path = stores.low / "segments" / "0000000001.seg"
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(to_bytes(opaque(stores.streams[1], 60, bytes(100)))[:-7])
    assert set(_states(_judge(stores)).values()) == {"PASS"}
    (stores.low / "synced").unlink()
    assert set(_states(_judge(stores)).values()) == {"PASS"}
    (stores.low / "synced").write_bytes(SYNCED.pack(1, whole + 3))
    assert _judge(stores)["JRN-3"].status == CheckStatus.FAIL


@pytest.mark.parametrize("seed", range(12))
def test_exactly_the_planted_differences_are_found(sample: Stores, tmp_path: Path, seed: int) -> None:
    """Any mixture of lost, injected and altered numbers comes back as it was planted."""
    dice = random.Random(seed)
    stores = Stores(
        high=sample.high, low=tmp_path / "journal", key=sample.key, streams=sample.streams, size=sample.size
    )
    shutil.copytree(sample.low, stores.low)
    stream = dice.choice(stores.streams)
    numbers = dice.sample([number for number in range(60) if number % 20], 12)  # the others are kept as blocks too
    lost, altered = sorted(numbers[:5]), sorted(numbers[5:8])
    injected = sorted(dice.sample(range(60, 90), 3))
    for number in lost:
        _leaf(stores.low, stream, number, bytes(32))
    for number in altered + injected:
        _leaf(stores.low, stream, number, dice.randbytes(32))
    shutil.rmtree(stores.low / "segments")
    checks = _judge(stores)

    def numbers_of(ident: str, name: str) -> list[int]:
        held = checks[ident].evidence[0].value[name].get(stream.hex(), [])
        parts = [one for side in held.values() for one in side] if isinstance(held, dict) else held
        spans = [[int(word) for word in part.split("-")] for part in parts]
        return sorted(number for span in spans for number in range(span[0], span[-1] + 1))

    assert numbers_of("JRN-4", "lost") == lost, f"seed {seed}"
    assert numbers_of("JRN-3", "altered") == altered, f"seed {seed}"
    assert numbers_of("JRN-2", "injected") == injected, f"seed {seed}"


def _covered(record_at: int, size: int) -> range:
    """Bytes of a record that something vouches for: not need, spare, how, and the time."""
    return range(record_at + HEAD.size - 32, record_at + size)


@pytest.mark.parametrize("seed", range(40))
def test_no_changed_bit_of_the_evidence_passes(sample: Stores, tmp_path: Path, seed: int) -> None:
    """One bit of any block, hash, number or leaf of either side, anywhere: something fails or warns."""
    dice = random.Random(seed)
    stores = Stores(
        high=tmp_path / "spool", low=tmp_path / "journal", key=sample.key, streams=sample.streams, size=sample.size
    )
    shutil.copytree(sample.high, stores.high)
    shutil.copytree(sample.low, stores.low)
    files = [
        path for folder in (stores.high, stores.low) for path in folder.rglob("*") if path.suffix in (".seg", ".leaf")
    ]
    path = dice.choice(sorted(files))
    held = bytearray(path.read_bytes())
    if path.suffix == ".leaf":
        at = dice.randrange(len(held))
    else:
        starts, place = [], 0
        for one in scan(path):
            starts.append((place, one.length))
            place += one.length
        start, length = dice.choice(starts)
        at = dice.choice([*range(start, start + 20), *_covered(start, length)])
    held[at] ^= 1 << dice.randrange(8)
    path.write_bytes(held)
    assert set(_states(_judge(stores)).values()) & {"FAIL", "WARN"}, f"seed {seed}: byte {at} of {path}"


@pytest.mark.parametrize("part", range(4))
def test_no_hurt_store_escapes(sample: Stores, tmp_path: Path, part: int) -> None:
    """Cuts, noise and files put elsewhere: findings or a ConfigError, never another exception."""
    for seed in range(part * 40, part * 40 + 40):
        dice = random.Random(seed)
        folder = tmp_path / str(seed)
        shutil.copytree(sample.high, folder / "spool")
        shutil.copytree(sample.low, folder / "journal")
        for _ in range(dice.randrange(1, 5)):
            _hurt(folder, dice)
        stores = Stores(
            high=folder / "spool", low=folder / "journal", key=sample.key, streams=sample.streams, size=sample.size
        )
        try:
            compare.run(stores.high, stores.low, [stores.key], now_ns=NOW).text()
        except ConfigError:
            continue
        except BaseException:
            print(f"seed {seed}")  # noqa: T201  what makes the same stores again
            raise
        shutil.rmtree(folder)


def _hurt(folder: Path, dice: random.Random) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        return
    path = dice.choice(files)
    held = bytearray(path.read_bytes())
    at = dice.randrange(len(held) + 1)
    match dice.randrange(6):
        case 0:
            path.unlink()
        case 1:
            path.write_bytes(held[:at])
        case 2:
            path.write_bytes(held[:at] + dice.randbytes(dice.randrange(1, 90)) + held[at:])
        case 3:
            path.rename(path.with_name(dice.choice(["zz.leaf", "ffffffffffffffff.seg", "0000000009.seg", "x"])))
        case 4:
            dice.choice(files).write_bytes(held)
        case _:
            held[at : at + 4] = dice.choice([bytes(4), b"\xff" * 4, dice.randbytes(4)])
            path.write_bytes(held)


def test_a_record_is_its_own_kind(sample: Stores) -> None:
    """The sample holds what a real stream does: OPEN first, heads between, opaque blocks."""
    kinds = [one.block[3] for one in _records(sample.high) if one.stream == sample.streams[0]]
    assert (kinds[0], kinds[20], kinds[40]) == (BlockKind.OPEN, BlockKind.HEAD, BlockKind.HEAD)
    assert record(b"x" * 8, 1, 1, 1, b"block").digest != _records(sample.high)[0].digest
