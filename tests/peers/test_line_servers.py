"""The influx output against servers that nobody here wrote: killed under load, each sample is there once.

Debian's VictoriaMetrics and InfluxDB 1.6 in every run, beside a program that forgets as Telegraf does; QuestDB in the
long one. A kill is SIGKILL at any moment of a
write, or between two; what is compared is every sample, with its value, by the server's own query.
"""

from __future__ import annotations

import math
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from line_servers import Influx, LineServer, Quest, Rows, Telegraf, Victoria, until

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.influx.dialect import outlier_field
from receiver.outputs.influx.line_group import LineGroups
from receiver.outputs.influx.output import CHECK_S, InfluxOutput
from receiver.outputs.influx.settings import InfluxTable
from receiver.outputs.shipping.shipping_store import read_aside

SECOND = 10**9
T0 = 1_763_884_800 * SECOND
TAGS = (
    Tag(id=0, asset="pump, 7", name="pressure=a b", unit="bar"),
    Tag(id=1, asset="pump, 7", name="running", type="bool"),
    Tag(id=2, asset="relay", name="trips", type="uint64"),
    Tag(id=3, asset="relay", name='mode "x"', type="string"),
    Tag(id=4, asset="relay", name="raw", type="float32", unit="kPa"),
)
STREAM = StreamDescription(
    key=b"stream-1",
    boot=1,
    site="north",
    assets={"pump, 7": Asset(name="pump, 7", simulated=True), "relay": Asset(name="relay")},
    tags={tag.id: tag for tag in TAGS},
)
OUTLIERS = (3.4028234663852886e38, 1e30, 1e-30, -2.5e12, 0.0)
TEXTS = ('a="b", c', "back\\slash", 'quote"', "two\nlines", "\\", "é", "")
PER_BLOCK = 100


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[type[LineServer]], LineServer]]:
    """One server of a kind for all tests of this file."""
    held: dict[type[LineServer], LineServer] = {}

    def of(kind: type[LineServer]) -> LineServer:
        if why := kind.missing():
            pytest.skip(why)
        if kind not in held:
            held[kind] = kind(tmp_path_factory.mktemp(kind.__name__.lower()))
            held[kind].start()
        return held[kind]

    yield of
    for one in held.values():
        one.stop()


def blocks(site: str, first: int, count: int) -> list[OpenedBlock]:
    """Blocks of all kinds of values, hostile texts, outliers among ordinary values, and equal times."""
    out = []
    stream = StreamDescription(
        key=site.encode()[:8].ljust(8), boot=1, site=site, assets=STREAM.assets, tags=STREAM.tags
    )
    for number in range(first, first + count):
        chance = random.Random(number)
        rows = []
        at = T0 + number * SECOND
        for row in range(PER_BLOCK):
            tag = chance.randrange(5)
            at += chance.choice([0, 1, 300_000, 5_000_000])
            number_value = round(chance.gauss(4, 1), 3)
            outlier = chance.choice(OUTLIERS) if chance.random() < 0.1 else number_value
            counter = chance.choice([chance.randrange(100), 2**53 + 1, 2**63 + 5])
            value = (number_value, chance.random() < 0.5, counter, chance.choice(TEXTS), outlier)[tag]
            bad = row % 20 == 7
            second = at - 1_000_000 if row % 3 else -(2**63)
            rows.append(Row(tag, at, None if bad else value, 0x80050000 if bad else 0, 4 if bad else 0, second))
        body = BatchBody(columns=from_rows(rows), first_ns=rows[0].time_ns, last_ns=rows[-1].time_ns)
        out.append(OpenedBlock(stream=stream, number=number, healed=False, received_ns=T0, body=body))
    return out


def wanted(given: list[OpenedBlock], kind: type[LineServer]) -> Rows:
    """What a server must hold of these blocks, worked out sample by sample."""
    out: Rows = defaultdict(dict)
    seen: dict[tuple[int, int], int] = defaultdict(int)
    for one in given:
        assert isinstance(one.body, BatchBody)
        for row in one.body.columns.rows():
            tag, at = TAGS[row.tag], row.time_ns // kind.resolution_ns
            seq, seen[row.tag, at] = seen[row.tag, at], seen[row.tag, at] + 1
            told = {"asset": tag.asset, "site": one.stream.site, "tag": tag.name, "type": tag.type, "unit": tag.unit}
            told |= {"seq": str(seq)} if seq else {}
            told |= {"simulated": "true"} if STREAM.assets[tag.asset].simulated else {}
            series = tuple(sorted((name, text) for name, text in told.items() if text))
            out[series][at * kind.resolution_ns] = _fields(row, kind)
    return dict(out)


def _fields(row: Row, kind: type[LineServer]) -> dict[str, object]:
    value, fields = row.value, dict[str, object](q=192 if row.quality == 0 else 0)
    victoria = kind is Victoria
    if row.quality:
        fields |= {"sc": row.quality, "native": row.native}
    if row.other_ns != -(2**63):
        fields["other_after_ns"] = row.other_ns - row.time_ns
    if isinstance(value, bool):
        fields["vb"] = value if kind in (Influx, Telegraf) else int(value)
    elif isinstance(value, int):
        value %= 2**64
        fields["v" if not victoria or value < 10**18 else outlier_field(value)] = float(value)
        if 2**53 < value < 2**63:
            fields["vi"] = value
        elif value >= 2**63 and not victoria:
            fields["vd"] = str(value)
    elif isinstance(value, float):
        fields[outlier_field(value) if victoria else "v"] = value
    elif isinstance(value, str) and not victoria:
        fields["vs"] = value.replace("\n", " ")
    return fields


def same(have: Rows, want: Rows) -> bool:
    """The same rows with the same fields; a number may lose what the server's own form loses."""
    return have.keys() == want.keys() and all(
        have[series].keys() == held.keys() and all(_same_fields(have[series][at], held[at]) for at in held)
        for series, held in want.items()
    )


def _same_fields(have: dict[str, object], want: dict[str, object]) -> bool:
    have = {name: value for name, value in have.items() if value != ""}
    want = {name: value for name, value in want.items() if value != ""}  # QuestDB's export tells an empty text as none
    return have.keys() == want.keys() and all(_same(have[name], value) for name, value in want.items())


def _same(have: object, want: object) -> bool:
    if isinstance(want, str) or isinstance(have, bool):
        return have == want
    assert isinstance(want, int | float)
    return math.isclose(float(str(have)), float(want), rel_tol=1e-12)


def difference(have: Rows, want: Rows) -> str:
    """The first few rows in which they differ."""
    out = []
    for series in have.keys() | want.keys():
        for at in have.get(series, {}).keys() | want.get(series, {}).keys():
            one, other = have.get(series, {}).get(at), want.get(series, {}).get(at)
            if one is None or other is None or not _same_fields(one, other):
                out.append(f"{series} {at}: has {one}, wants {other}")
    counts = f"{sum(map(len, have.values()))} rows, wants {sum(map(len, want.values()))}; {len(out)} differ"
    return "\n".join([counts, *out[:5]]) if out else ""


def output(folder: Path, server: LineServer) -> InfluxOutput:
    """An output to the server, which is not told what it is."""
    asked = {"kind": "influx", "name": "peer", "url": server.url, "bucket": "plant", "scope": "all"}
    return InfluxOutput(folder / "peer.db", InfluxTable.model_validate(asked), chance=random.Random(1))


def refused(one: InfluxOutput, now: float) -> float:
    """Step until a connection failed; the time then."""
    for _ in range(1000):
        if one.status()["state"] == "retrying":
            return now
        now += max(one.step(now), 0.001)
    raise AssertionError("what is not there answers")


def stored_more(one: InfluxOutput, now: float) -> float:
    """Step until lines were acknowledged, where some are pending; the time then."""
    before = one.status()["acknowledged"]
    for _ in range(4000):
        told = one.status()
        if told["acknowledged"] > before or not told["pending_lines"]:
            return now
        now += max(one.step(now), 0.001)
    raise AssertionError(f"nothing is taken: {one.status()}")


def killed(server: LineServer, folder: Path, site: str, kills: int) -> None:
    """Feed an output while its server is killed so many times; every sample is there, once.

    Every second kill comes straight after an acknowledgement, the others at any time. A server with tables is not
    killed before these stand: QuestDB leaves half-made what it was killed in, for ever (`quest_tables.py`).
    """
    chance = random.Random(kills)
    one = output(folder, server)
    until(lambda: one.step(0.0) and one.status()["server"] != "unknown")  # then its times are as fine as the server's
    given = blocks(site, 0, 4 * (kills + 1))
    now, at = 0.0, 0

    def fed(count: int) -> None:
        nonlocal now, at
        for _ in range(count):
            if at < len(given):
                one.take([given[at]], b"%d" % at)
                at += 1
            for _ in range(chance.randrange(3)):
                now += min(max(one.step(now), 0.001), 5.0)

    if server.has_tables:
        fed(1)
        now = stored_more(one, now)
    for kill in range(kills):
        fed(2)
        if kill % 2:
            now = stored_more(one, now)
        server.stop()
        fed(2)
        if not server.tells_restarts:
            now = refused(one, now)
        server.start()
    fed(4)
    for _ in range(4000):
        if not one.status()["pending_lines"]:
            break
        now += max(one.step(now), 0.001)
    want = wanted(given, type(server))

    def arrived() -> bool:
        nonlocal now
        now += max(one.step(now), 0.001)
        found = {series: held for series, held in server.rows(0, 2 * T0 // SECOND).items() if ("site", site) in series}
        return not one.status()["pending_lines"] and same(found, want)

    try:
        until(arrived, 20)
    except AssertionError:
        found = {series: held for series, held in server.rows(0, 2 * T0 // SECOND).items() if ("site", site) in series}
        raise AssertionError(f"{difference(found, want)}\n{one.status()}") from None
    told = one.status()
    assert told["taken"] == len(given) * PER_BLOCK
    assert (told["aside"], told["trouble"]) == (0, "")
    one.close()


@pytest.mark.parametrize("kind", [Victoria, Influx, Telegraf])
def test_killed_five_times_under_load_each_sample_is_there_once(
    kind: type[LineServer], tmp_path: Path, servers: Callable[[type[LineServer]], LineServer]
) -> None:
    """Whatever the server had taken and lost: in the end every sample is there, with its value, quality and codes."""
    killed(servers(kind), tmp_path, "five", 5)


@pytest.mark.parametrize("kind", [Victoria, Influx])
def test_samples_with_equal_times_are_all_there_whatever_order_they_come_in(
    kind: type[LineServer], tmp_path: Path, servers: Callable[[type[LineServer]], LineServer]
) -> None:
    """Live data, history behind it, healed blocks, each twice under other numbers, all handed over again at the end."""
    server = servers(kind)
    given = blocks("equal", 0, 12)
    twins = [replace(one, number=one.number + 100, healed=True) for one in given]
    turns = [given[8:10], given[:2], twins[4:], given[10:], given[2:8], twins[:4]]
    one = output(tmp_path, server)
    until(lambda: one.step(0.0) and one.status()["server"] != "unknown")
    for at, some in enumerate([*turns, given, twins]):
        one.take(some, b"%d" % at)
    until(lambda: one.step(0.0) is not None and not one.status()["pending_lines"])

    def count() -> int:
        return sum(len(held) for of, held in server.rows(0, 2 * T0 // SECOND).items() if ("site", "equal") in of)

    until(lambda: count() == 24 * PER_BLOCK, 10)
    told = one.status()
    one.close()
    one = output(tmp_path, server)
    one.take([*given, *twins], b"again")
    assert (one.status()["taken"], told["taken"]) == (24 * PER_BLOCK, 24 * PER_BLOCK)
    one.close()


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", [Victoria, Influx, Telegraf, Quest])
def test_killed_fifty_times_under_load_each_sample_is_there_once(
    kind: type[LineServer], tmp_path: Path, servers: Callable[[type[LineServer]], LineServer]
) -> None:
    """The same, for long."""
    killed(servers(kind), tmp_path, "fifty", 50)


def test_stopped_in_order_a_server_gets_the_held_lines_again_and_keeps_each_once(
    tmp_path: Path, servers: Callable[[type[LineServer]], LineServer]
) -> None:
    """A clean restart loses nothing there; what is sent again is stored once."""
    server, given = servers(Victoria), blocks("orderly", 10, 3)
    one = output(tmp_path, server)
    until(lambda: one.step(0.0) and one.status()["server"] != "unknown")
    one.take(given, b"1")
    until(lambda: one.step(0.0) is not None and not one.status()["pending_lines"])
    server.stop(signal.SIGTERM)
    server.start()
    now = CHECK_S + 1
    until(lambda: one.step(now) is not None and one.status()["rewinds"] == 1 and not one.status()["pending_lines"])
    held = {series: rows for series, rows in server.rows(0, 2 * T0 // SECOND).items() if ("site", "orderly") in series}
    assert same(held, wanted(given, Victoria)), difference(held, wanted(given, Victoria))
    one.close()


def test_rows_that_a_server_throws_away_raise_an_alarm(
    tmp_path: Path, servers: Callable[[type[LineServer]], LineServer]
) -> None:
    """VictoriaMetrics answers 204 for a time in the far future and drops the row; its counters give it away."""
    one = output(tmp_path, servers(Victoria))
    until(lambda: one.step(0.0) and one.status()["server"] != "unknown")
    far = Row(0, 7_000_000_000 * SECOND, 1.0)
    body = BatchBody(columns=from_rows([far]), first_ns=T0, last_ns=T0)
    assert not one.status()["alarm"]
    one.take([OpenedBlock(stream=STREAM, number=9, healed=False, received_ns=T0, body=body)], b"1")
    now = 0.0

    def alarmed() -> bool:
        nonlocal now
        now += CHECK_S
        one.step(now)
        return bool(one.status()["alarm"])

    until(alarmed)
    assert one.status()["server_refused_rows"] > 0
    one.close()


def test_what_is_older_than_the_bucket_keeps_costs_few_requests(
    tmp_path: Path, servers: Callable[[type[LineServer]], LineServer]
) -> None:
    """InfluxDB refuses old lines in words of its own: they go aside together, and all others are stored."""
    server = servers(Influx)
    assert isinstance(server, Influx)
    server.retention("2h")
    old, (young, *_) = blocks("aged", 0, 5), blocks("aged", 90, 1)
    assert isinstance(young.body, BatchBody)
    shift = time.time_ns() // SECOND * SECOND - T0 - 200 * SECOND
    columns = replace(young.body.columns, time_ns=young.body.columns.time_ns + shift)
    one = output(tmp_path, server)
    until(lambda: one.step(0.0) and one.status()["server"] == "influxdb")
    one.take([*old, replace(young, body=replace(young.body, columns=columns))], b"x")
    until(lambda: one.step(0.0) is not None and not one.status()["pending_lines"])
    told = one.status()
    assert told["aside"] == 5 * PER_BLOCK
    (group,) = read_aside(tmp_path / "peer.db", LineGroups())
    assert (group.why, group.samples) == ("older than the server keeps", 5 * PER_BLOCK)
    assert told["requests"] < 30
    held = server.rows(0, 0)
    assert sum(len(rows) for series, rows in held.items() if ("site", "aged") in series) == PER_BLOCK
    server.retention("INF")
    one.close()
