"""The OPC UA collector against a server, over a wire that can be cut, and against peers that are no servers."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from opcua_peer import HOST, SCALARS, SPACE, UaPeer, Wire, ago, certificate
from opcua_reading import BAD_NO_MATCH, MODES, Tags, collector, device, failure, latest, run, text_tags, until

from collectors.opcua import watched
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.config import PROBE
from collectors.opcua.stamps import Cause
from protocol.content.sample import Quality, severity
from protocol.errors import AssetError


@pytest.mark.parametrize("mode", MODES)
def test_every_built_in_type_is_read_with_its_type(peer: UaPeer, mode: str) -> None:
    """The first read after opening gives every point a value, in both modes."""

    async def main() -> None:
        made = device(peer.url, text_tags(*SCALARS), mode=mode)
        plc = collector(made)
        await plc.open()
        rows = latest(await plc.read(made.scans[0]))
        for number, (_, _, value, kind) in enumerate(SCALARS.values()):
            assert (rows[number].value, rows[number].quality) == (value, 0)
            assert plc.facts()[number].type == kind
        assert plc.identity().model == "FreeOpcUa Python Server"
        await plc.close()

    run(main())


@pytest.mark.parametrize("mode", MODES)
def test_arrays_are_read_whole_and_structures_are_refused_by_row(peer: UaPeer, mode: str) -> None:
    """Elements follow each other; what cannot be a column is bad, and costs only itself."""

    async def main() -> None:
        tags: Tags = [
            {"name": "array", "at": "ns=2;s=array", "count": 4},
            {"name": "matrix", "at": "ns=2;s=matrix", "count": 4},
            {"name": "structure", "at": "ns=2;s=structure"},
        ]
        made = device(peer.url, tags, mode=mode)
        plc = collector(made)
        await plc.open()
        rows = latest(await plc.read(made.scans[0]))
        assert [rows[at].value for at in range(8)] == [1.5, 2.5, 3.5, None, 1, 2, 3, 4]
        assert rows[3].quality == Quality.BAD_OUT_OF_RANGE
        assert rows[8].quality == Quality.BAD_NOT_SUPPORTED
        assert [plc.facts()[at].type for at in (0, 3, 4)] == ["float64", "float64", "int32"]
        await plc.close()

    run(main())


@pytest.mark.parametrize("mode", MODES)
def test_nodes_are_found_in_every_notation(peer: UaPeer, mode: str) -> None:
    """By id, by the namespace's uri, by browse path."""

    async def main() -> None:
        tags = [
            {"name": "id", "at": "ns=2;s=pressure"},
            {"name": "uri", "at": f"nsu={SPACE};s=pressure"},
            {"name": "path", "at": "/Objects/2:Plant/2:pressure"},
            {"name": "number", "at": "i=2259"},
        ]
        made = device(peer.url, tags, mode=mode)
        plc = collector(made)
        await plc.open()
        rows = latest(await plc.read(made.scans[0]))
        assert [rows[at].value for at in range(4)] == [4.5, 4.5, 4.5, 0]
        await plc.close()

    run(main())


def test_the_server_tells_unit_range_description_and_states(peer: UaPeer) -> None:
    """Nobody types them twice."""

    async def main() -> None:
        plc = collector(device(peer.url, text_tags("pressure", "mode", "state")))
        await plc.open()
        pressure, mode, state = (plc.facts()[at] for at in range(3))
        assert (pressure.unit, pressure.low, pressure.high) == ("bar", 0.0, 16.0)
        assert pressure.description == "Discharge pressure"
        assert mode.states == ("off", "manual", "automatic")
        assert state.type == "int32"
        await plc.close()

    run(main())


@pytest.mark.parametrize("mode", MODES)
def test_opening_takes_a_handful_of_requests(peer: UaPeer, mode: str) -> None:
    """Fifty nodes are found, read and described in six at most."""

    async def main() -> None:
        made = device(peer.url, text_tags(*(f"level{number}" for number in range(50))), mode=mode)
        plc = collector(made)
        peer.asked.clear()
        await plc.open()
        assert len(peer.asked) <= 6
        assert len(latest(await plc.read(made.scans[0]))) == 50
        await plc.close()

    run(main())


@pytest.mark.parametrize("mode", MODES)
def test_a_missing_node_costs_only_itself(peer: UaPeer, mode: str) -> None:
    """Its row is bad with the server's own status; the others are read."""

    async def main() -> None:
        tags = [
            *text_tags("pressure", "gone"),
            {"name": "path", "at": "/Objects/2:Plant/2:gone"},
            {"name": "space", "at": "nsu=http://nobody.example;s=x"},
        ]
        made = device(peer.url, tags, mode=mode)
        plc = collector(made)
        await plc.open()
        rows = latest(await plc.read(made.scans[0]))
        assert (rows[0].value, rows[0].quality) == (4.5, 0)
        qualities = [rows[at].quality for at in (1, 2, 3)]
        assert qualities == [Quality.BAD_NODE_UNKNOWN, BAD_NO_MATCH, Quality.BAD_NODE_UNKNOWN]
        assert all(rows[at].value is None for at in (1, 2, 3))
        await plc.close()

    run(main())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at", ["ns=2;s=NAME", "/Objects/2:Plant/2:NAME"])
def test_a_node_that_appears_later_is_found(peer: UaPeer, monkeypatch: pytest.MonkeyPatch, mode: str, at: str) -> None:
    """It is looked for again, seldom, and its bad rows are renewed meanwhile."""
    name = f"late-{mode}-{at[0] == '/'}"
    monkeypatch.setattr(watched, "RETRY_NS", 10**8)

    async def main() -> None:
        made = device(peer.url, [{"name": "late", "at": at.replace("NAME", name)}], mode=mode)
        plc = collector(made)
        await plc.open()
        rows = await until(plc, made, lambda rows: len(rows) >= 3)
        assert {severity(row.quality) for row in rows} == {2}
        await asyncio.wrap_future(peer.later(peer.add(name, 7.5)))
        rows = await until(plc, made, lambda rows: any(row.value == 7.5 for row in rows))
        await plc.close()
        await asyncio.wrap_future(peer.later(peer.remove(name)))

    run(main())


def test_a_subscription_brings_each_change_once(peer: UaPeer) -> None:
    """In order, with its own source time; the first notification is not a second first value."""

    async def main() -> None:
        made = device(peer.url, text_tags("level1", "level2"))
        plc = collector(made)
        await plc.open()
        rows = list((await plc.read(made.scans[0])).rows())
        source = [ago(seconds=seconds) for seconds in (5, 4, 3, 2, 1)]
        for at, moment in enumerate(source):
            await asyncio.wrap_future(peer.later(peer.put("level1", 100.0 + at, source=moment)))
        rows += await until(plc, made, lambda rows: any(row.value == 104.0 for row in rows))
        mine = [row for row in rows if row.tag == 0]
        assert [row.value for row in mine[1:]] == [100.0, 101.0, 102.0, 103.0, 104.0]
        stamps = [int(moment.timestamp() * 1_000_000) * 1000 for moment in source]
        assert [row.time_ns for row in mine[1:]] == stamps
        assert len([row for row in rows if row.tag == 1]) == 1
        assert {row.quality for row in rows} == {0}
        await plc.close()

    run(main())
    peer.write("level1", 1.0)


def test_nothing_is_lost_between_opening_and_the_first_read(peer: UaPeer) -> None:
    """Changes that come before the poller's first read come with it, after the first value."""

    async def main() -> None:
        made = device(peer.url, text_tags("level3"), every=0.05)
        plc = collector(made)
        await plc.open()
        assert plc._watches[0]._subscription is not None
        await asyncio.wrap_future(peer.later(peer.put("level3", 33.0)))
        waiting = plc._watches[0]._subscription._waiting
        deadline = time.monotonic() + 20
        while not any(value.Value.Value == 33.0 for _, value, _ in waiting):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        rows = list((await plc.read(made.scans[0])).rows())
        assert [row.value for row in rows] == [3.0, 33.0]
        await plc.close()

    run(main())
    peer.write("level3", 3.0)


@pytest.mark.parametrize("mode", MODES)
def test_status_codes_and_doubtful_times_come_through(peer: UaPeer, mode: str) -> None:
    """A bad code has no value; a missing or far source time is Uncertain, with its cause."""

    async def main() -> None:
        far = datetime(2099, 1, 1, tzinfo=UTC)
        await asyncio.wrap_future(peer.later(peer.put("level4", 1.0, status=0x80340000)))
        await asyncio.wrap_future(peer.later(peer.put("level5", 1.0, status=0x40900000)))
        await asyncio.wrap_future(peer.later(peer.put("level6", 1.0, source=None)))
        await asyncio.wrap_future(peer.later(peer.put("level7", 1.0, source=far)))
        made = device(peer.url, text_tags("level4", "level5", "level6", "level7"), mode=mode)
        plc = collector(made)
        await plc.open()
        now = time.time_ns()
        rows = latest(await plc.read(made.scans[0]))
        assert (rows[0].value, rows[0].quality) == (None, 0x80340000)
        assert (rows[1].value, rows[1].quality) == (1.0, 0x40900000)
        assert (rows[2].value, rows[2].quality, rows[2].native) == (1.0, Quality.UNCERTAIN, Cause.MISSING)
        assert (rows[3].value, rows[3].quality, rows[3].native) == (1.0, Quality.UNCERTAIN, Cause.FAR)
        assert rows[3].other_ns == int(far.timestamp()) * 10**9
        assert abs(rows[2].time_ns - now) < 10**10
        assert abs(rows[3].time_ns - now) < 10**10
        await plc.close()

    run(main())
    for number in range(4, 8):
        peer.write(f"level{number}", float(number))


def test_a_poll_is_exactly_its_plan(peer: UaPeer) -> None:
    """Every request of a cycle, and no other but the watchdog's."""

    async def main() -> None:
        tags = text_tags(*(f"level{number % 50}" for number in range(700)))
        for number, tag in enumerate(tags):
            tag["name"] = f"t{number}"
        made = device(peer.url, tags, text_tags("pressure"), mode="poll")
        plc = collector(made)
        await plc.open()
        for _ in range(2):
            peer.asked.clear()
            for scan in made.scans:
                await plc.read(scan)
            asked = [what for what in peer.asked if what != PROBE]
            assert asked == [one.what for one in OpcUaCollector.plan(made)][:-1]
            assert asked == ["read 500 values", "read 200 values", "read 1 values"]
        assert OpcUaCollector.plan(made)[-1].what == PROBE
        await plc.close()

    run(main())


@pytest.mark.parametrize("most", [1, 7, 40])
def test_a_server_that_takes_few_nodes_a_request_is_asked_in_small_ones(peer: UaPeer, most: int) -> None:
    """It need not even say so: it refuses, and is asked again for half."""

    async def main() -> None:
        made = device(peer.url, text_tags(*(f"level{number}" for number in range(50))), mode="poll")
        plc = collector(made)
        peer.most_nodes = most
        await plc.open()
        peer.asked.clear()
        rows = latest(await plc.read(made.scans[0]))
        assert [rows[number].value for number in range(50)] == [float(number) for number in range(50)]
        sizes = [int(what.split()[1]) for what in peer.asked if what != PROBE]
        assert sum(sizes) == 50
        assert max(sizes) <= most
        peer.most_nodes = 0
        await plc.close()

    try:
        run(main())
    finally:
        peer.most_nodes = 0


def test_a_full_buffer_drops_the_oldest_and_marks_the_next(peer: UaPeer) -> None:
    """The overflow bits stand on the first value after the hole, and nowhere else."""

    async def main() -> None:
        made = device(peer.url, text_tags("level8"), every=0.05, buffer=4)
        plc = collector(made)
        await plc.open()
        await plc.read(made.scans[0])
        subscription = plc._watches[0]._subscription
        assert subscription is not None
        for at in range(10):
            await asyncio.wrap_future(peer.later(peer.put("level8", 200.0 + at)))
        deadline = time.monotonic() + 20
        while not any(value.Value.Value == 209.0 for _, value, _ in subscription._waiting):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        rows = list((await plc.read(made.scans[0])).rows())
        assert [row.value for row in rows] == [206.0, 207.0, 208.0, 209.0]
        assert [row.quality for row in rows] == [0x480, 0, 0, 0]
        assert subscription.dropped >= 6
        await plc.close()

    run(main())
    peer.write("level8", 8.0)


def test_a_lost_notification_makes_everything_be_read_again(peer: UaPeer) -> None:
    """A hole in the sequence numbers: each point has a fresh row with the overflow bits."""

    async def main() -> None:
        made = device(peer.url, text_tags("level9", "level10"), every=0.05)
        plc = collector(made)
        await plc.open()
        await plc.read(made.scans[0])
        subscription = plc._watches[0]._subscription
        assert subscription is not None
        while subscription._sequence is None:
            await asyncio.sleep(0.01)
        subscription._sequence -= 1  # as if the number between had never come
        await asyncio.wrap_future(peer.later(peer.put("level9", 99.0)))
        rows = await until(plc, made, lambda rows: len(rows) >= 3)
        again = [row for row in rows if row.quality & 0x480]
        assert {row.tag: row.value for row in again} == {0: 99.0, 1: 10.0}
        await plc.close()

    run(main())
    peer.write("level9", 9.0)


@pytest.mark.parametrize("mode", MODES)
def test_a_cut_connection_ends_the_device_at_once_and_it_comes_back(peer: UaPeer, mode: str) -> None:
    """Nothing that came before is lost; after opening again every point has a value."""

    async def main() -> None:
        async with Wire(peer.port) as wire:
            made = device(wire.url, text_tags("level11", "pressure"), mode=mode)
            plc = collector(made)
            await plc.open()
            wire.cut()
            begun = time.monotonic()
            error, rows = await failure(plc, made)
            assert error.quality == Quality.BAD_NOT_CONNECTED
            assert time.monotonic() - begun < 3
            assert mode == "poll" or [row.value for row in rows] == [11.0, 4.5]
            await plc.close()
            await plc.open()
            again = latest(await plc.read(made.scans[0]))
            assert [again[at].value for at in range(2)] == [11.0, 4.5]
            await plc.close()

    run(main())


def test_what_came_before_the_connection_was_lost_is_handed_out_first(peer: UaPeer) -> None:
    """The rows, and only then the error."""

    async def main() -> None:
        async with Wire(peer.port) as wire:
            made = device(wire.url, text_tags("level15"), every=0.05)
            plc = collector(made)
            await plc.open()
            session, subscription = plc._session, plc._watches[0]._subscription
            assert session is not None
            assert subscription is not None
            await asyncio.wrap_future(peer.later(peer.put("level15", 16.0)))
            deadline = time.monotonic() + 20
            while not any(value.Value.Value == 16.0 for _, value, _ in subscription._waiting):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            wire.cut()
            while not session.lost:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            rows = list((await plc.read(made.scans[0])).rows())
            assert [row.value for row in rows] == [15.0, 16.0]
            with pytest.raises(AssetError):
                await plc.read(made.scans[0])
            await plc.close()

    run(main())
    peer.write("level15", 15.0)


def test_what_came_for_another_scan_before_the_loss_is_not_forgotten(peer: UaPeer) -> None:
    """It is the first that the scan brings after the next connect."""

    async def main() -> None:
        async with Wire(peer.port) as wire:
            made = device(wire.url, text_tags("level16"), text_tags("level17"), every=0.05)
            plc = collector(made)
            await plc.open()
            for scan in made.scans:
                await plc.read(scan)
            subscription = plc._watches[1]._subscription
            assert subscription is not None
            await asyncio.wrap_future(peer.later(peer.put("level17", 170.0)))
            deadline = time.monotonic() + 20
            while not any(value.Value.Value == 170.0 for _, value, _ in subscription._waiting):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            wire.cut()
            await failure(plc, made)
            await plc.close()
            await asyncio.wrap_future(peer.later(peer.put("level17", 171.0)))
            await plc.open()
            rows = (await plc.read(made.scans[1])).rows()
            assert [row.value for row in rows] == [170.0, 171.0]
            await plc.close()

    run(main())
    peer.write("level17", 17.0)


def test_a_server_that_gives_less_than_was_asked_is_told_of(peer: UaPeer) -> None:
    """A shorter queue, or slower sampling: a line for people, once."""

    async def main() -> None:
        plc = collector(device(peer.url, text_tags("level18"), queue=50, sampling_ms=100))
        await plc.open()
        subscription = plc._watches[0]._subscription
        assert subscription is not None
        assert plc.remarks() == []
        good = ua.StatusCode(ua.StatusCodes.Good)
        taken = ua.MonitoredItemCreateResult(StatusCode=good, RevisedQueueSize=1, RevisedSamplingInterval=1000.0)
        subscription._revise([taken])
        assert subscription.revised == [
            "the server keeps 1 of 50 values between two publishings",
            "the server looks at values every 1000 ms, not every 100 ms",
        ]
        await plc.close()

    run(main())


@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_freezes_is_noticed(peer: UaPeer, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket stands, but nothing comes: a poll times out, a subscription by its watchdog; closing does not hang."""
    monkeypatch.setattr("collectors.opcua.session.WATCHDOG_S", 0.4)
    monkeypatch.setattr("collectors.opcua.session.CLOSE_S", 0.4)

    async def main() -> None:
        async with Wire(peer.port) as wire:
            made = device(wire.url, text_tags("level12"), mode=mode, wait=0.4)
            plc = collector(made)
            await plc.open()
            wire.open.clear()
            begun = time.monotonic()
            error, _ = await failure(plc, made)
            assert severity(error.quality) == 2
            assert time.monotonic() - begun < 5
            assert plc._session is not None
            (connection,) = plc._session._connections
            closing = time.monotonic()
            await plc.close()
            assert time.monotonic() - closing < 3
            assert connection.transport is None
            wire.open.set()
            await plc.open()
            assert latest(await plc.read(made.scans[0]))[0].value == 12.0
            await plc.close()

    run(main())


def test_it_reads_again_after_the_server_was_restarted(peer: UaPeer) -> None:
    """Down: no connection. Up: the same values, from the same addresses."""

    async def main() -> None:
        made = device(peer.url, text_tags("level13"))
        plc = collector(made)
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == 13.0
        await asyncio.wrap_future(peer.later(peer.down()))
        await failure(plc, made)
        await plc.close()
        with pytest.raises(AssetError) as caught:
            await plc.open()
        assert caught.value.quality == Quality.BAD_NOT_CONNECTED
        await asyncio.wrap_future(peer.later(peer.up()))
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == 13.0
        await plc.close()

    run(main())


async def answering(answer: bytes | None) -> tuple[asyncio.Server, str]:
    """Something that is no OPC UA server: answers each message the same way, or hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            writer.transport.abort()
            return
        while await reader.read(4096):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    return server, f"opc.tcp://{HOST}:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "qualities"),
    [
        (b"", {Quality.BAD_TIMEOUT}),
        (None, {Quality.BAD_NOT_CONNECTED}),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", None),
        (b"ERRF\x10\0\0\0\0\0\x7d\x80\xff\xff\xff\xff", None),
        (b"ACKF\xff\xff\xff\x7f" + bytes(64), {Quality.BAD_TIMEOUT}),
    ],
    ids=["silence", "hangs up", "speaks http", "refuses", "huge frame"],
)
def test_what_is_no_server_is_an_asset_error(answer: bytes | None, qualities: set[int] | None) -> None:
    """Within the timeout, with a bad quality, and closing afterwards is harmless."""

    async def main() -> None:
        server, url = await answering(answer)
        plc = collector(device(url, text_tags("x"), wait=0.4))
        begun = time.monotonic()
        with pytest.raises(AssetError) as caught:
            await plc.open()
        assert time.monotonic() - begun < 5
        assert severity(caught.value.quality) == 2
        if qualities is not None:
            assert caught.value.quality in qualities
        await plc.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_close_may_be_called_at_any_time(peer: UaPeer) -> None:
    """Never opened, twice, opened twice; a read of a closed device is an AssetError."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"))
        plc = collector(made)
        await plc.close()
        with pytest.raises(AssetError):
            await plc.read(made.scans[0])
        await plc.open()
        await plc.open()
        await plc.close()
        await plc.close()
        with pytest.raises(AssetError):
            await plc.discover()

    run(main())


def test_what_discover_finds_can_be_read(peer: UaPeer) -> None:
    """The draft is a sound configuration with types, units and counts; properties and the server's own are left out."""

    async def main() -> None:
        plc = collector(device(peer.url))
        await plc.open()
        draft = await plc.discover()
        await plc.close()
        by_name = {str(tag["name"]): tag for tag in draft.tags}
        assert by_name["pressure"] == {
            "name": "pressure",
            "at": "nsu=http://acme.example/plc;s=pressure",
            "type": "float64",
            "unit": "bar",
        }
        assert by_name["array"]["count"] == 3
        assert by_name["matrix"]["count"] == 4
        assert len(by_name) == len(draft.tags) == len(SCALARS) + 2 + 50 + 3
        assert any("structure" in note for note in draft.notes)
        assert not any("EURange" in name or "Server" in name for name in by_name)
        assert draft.identity.model == "FreeOpcUa Python Server"
        made = device(peer.url, [dict(tag) for tag in draft.tags])
        again = collector(made)
        await again.open()
        rows = latest(await again.read(made.scans[0]))
        assert {row.quality for row in rows.values()} == {0}
        assert len(rows) == sum(int(tag.get("count", 1)) for tag in draft.tags)
        await again.close()

    run(main())


def test_a_user_and_password_are_sent_as_configured(peer: UaPeer, tmp_path: Path) -> None:
    """The password comes from a file, without its line end."""
    file = tmp_path / "password"
    file.write_text("open sesame\n")

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), user="viewer", password_file=str(file), plain_password=True)
        plc = collector(made)
        await plc.open()
        assert plc._session is not None
        assert (plc._session._client._username, plc._session._client._password) == ("viewer", "open sesame")
        assert len(await plc.read(made.scans[0])) == 1
        await plc.close()

    run(main())


@pytest.mark.parametrize("mode", ["SignAndEncrypt", "Sign"])
@pytest.mark.parametrize("known", ["server_certificate", "trust", "trust_any"])
def test_a_secured_connection_reads_and_hears_the_same(peer: UaPeer, tmp_path: Path, mode: str, known: str) -> None:
    """Basic256Sha256, the server known by its certificate, by a folder, or not at all; the password is encrypted."""
    password = tmp_path / "password"
    password.write_text("open sesame\n")

    async def main() -> None:
        cert, key = await certificate(tmp_path, "client", "urn:test:collector")
        secured: dict[str, Any] = {
            "security": "Basic256Sha256",
            "security_mode": mode,
            "certificate": str(cert),
            "key": str(key),
            "user": "viewer",
            "password_file": str(password),
        }
        trusted = tmp_path / "trusted"
        trusted.mkdir()
        (trusted / "plc.der").write_bytes(peer.certificate.read_bytes())
        known_by = {"server_certificate": str(peer.certificate), "trust": str(trusted), "trust_any": True}
        secured[known] = known_by[known]
        made = device(peer.url, text_tags("level14"), **secured)
        plc = collector(made)
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == 14.0
        await asyncio.wrap_future(peer.later(peer.put("level14", 15.0)))
        await until(plc, made, lambda rows: any(row.value == 15.0 for row in rows))
        assert plc._session is not None
        assert plc._session._client.application_uri == "urn:test:collector"
        await plc.close()

    run(main())
    peer.write("level14", 14.0)


def test_a_server_with_another_certificate_than_the_pinned_is_not_used(peer: UaPeer, tmp_path: Path) -> None:
    """Who stands in for the server gets nothing."""

    async def main() -> None:
        cert, key = await certificate(tmp_path, "client", "urn:test:collector")
        other, _ = await certificate(tmp_path, "other", "urn:test:other")
        secured: dict[str, Any] = {"security": "Basic256Sha256", "certificate": str(cert), "key": str(key)}
        plc = collector(device(peer.url, text_tags("pressure"), wait=0.4, server_certificate=str(other), **secured))
        with pytest.raises(AssetError):
            await plc.open()
        await plc.close()

    run(main())


@pytest.mark.parametrize("kind", ["safety", "protection"])
def test_gentle_servers_are_not_asked_who_they_are(peer: UaPeer, kind: str) -> None:
    """Namespaces, the uri of the server itself and limits are needed; vendor and product are not."""

    async def main() -> None:
        plc = collector(device(peer.url, text_tags("pressure"), kind=kind))
        peer.asked.clear()
        await plc.open()
        assert peer.asked[0] == "read 6 values"
        assert plc.identity().model == ""
        await plc.close()

    run(main())


def test_the_time_of_a_poll_is_the_middle_of_request_and_reply(peer: UaPeer) -> None:
    """Where the source's own is not believed."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), mode="poll")
        plc = collector(made, clock=itertools.count(0, 100).__next__)
        await plc.open()
        (row,) = (await plc.read(made.scans[0])).rows()
        assert row.native == Cause.FAR
        assert row.time_ns % 100 == 50
        await plc.close()

    run(main())


def test_a_subscription_that_the_server_ends_is_an_asset_error(peer: UaPeer) -> None:
    """The socket stands, but nothing more would come."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"))
        plc = collector(made)
        await plc.open()
        await plc.read(made.scans[0])
        subscription = plc._watches[0]._subscription
        assert subscription is not None
        ended = ua.StatusChangeNotification(Status=ua.StatusCode(ua.StatusCodes.BadTimeout))
        message = ua.NotificationMessage(SequenceNumber=ua.UInt32(0), NotificationData=[ended])
        subscription._published(ua.PublishResult(NotificationMessage=message))
        error, _ = await failure(plc, made)
        assert "ended the subscription" in str(error)
        await plc.close()

    run(main())


def test_only_a_subscription_notifies() -> None:
    """A polled server is held to its period, as any other polled device."""
    heard, polled = (device("opc.tcp://h", text_tags("x"), mode=mode) for mode in MODES)
    assert OpcUaCollector.notifies(heard)
    assert not OpcUaCollector.notifies(polled)
