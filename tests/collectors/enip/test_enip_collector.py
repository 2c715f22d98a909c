"""The collector reads a Logix controller's tags as they are, and says so when it cannot."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from enip_peer import DRIVE, VALUES, Reader, asking, controller, device, reading, run
from overheard import heard
from recorder import recording

from protocol.content.sample import Quality, severity
from protocol.errors import AssetError
from simulator.logix.attributes import IdentityObject
from simulator.logix.server import start

CATALOG = {
    "BOOL": "bool",
    "SINT": "int8",
    "INT": "int16",
    "DINT": "int32",
    "LINT": "int64",
    "USINT": "uint8",
    "UINT": "uint16",
    "UDINT": "uint32",
    "ULINT": "uint64",
    "REAL": "float32",
    "LREAL": "float64",
}

KINDS = pytest.mark.parametrize("settings", [{}, {"kind": "safety"}, {"large_forward_open": False}, {"browse": False}])
"""By tag list and instance number, by name alone, and with the small connection: always the same values."""


@KINDS
def test_every_type_is_read_as_its_value(settings: dict[str, Any]) -> None:
    """Each elementary type and STRING give the value that the controller holds, good, with its catalog type."""

    async def work() -> None:
        tags = asking(*(f"One_{kind}" for kind in VALUES), "Name")
        async with reading(tags, **settings) as (_, reader):
            rows = await reader.rows()
            expected = {f"One_{kind}": value for kind, value in VALUES.items()} | {"Name": "Füller 2"}
            expected["One_ULINT"] = -(1 << 63)  # unsigned 64 bits travel as two's complement
            assert {name: row.value for name, row in rows.items()} == expected
            assert {row.quality for row in rows.values()} == {0}
            types = [facts.type for _, facts in sorted(reader.collector.facts().items())]
            assert types == [*(CATALOG[kind] for kind in VALUES), "string"]

    run(work)


@KINDS
def test_arrays_members_bits_and_programs_are_read(settings: dict[str, Any]) -> None:
    """An array is read whole, a bit out of its word, a member out of its structure, a program's tag by its program."""

    async def work() -> None:
        tags = [
            {"at": "Profile[0]", "name": "profile", "count": 2000},
            {"at": "Profile[100]", "name": "part", "count": 10},
            {"at": "ints", "name": "ints", "count": 50},
            {"at": "Big[2]", "name": "big", "count": 8},
            {"at": "Grid[1,0]", "name": "grid", "count": 8},
            {"at": "Flags[0]", "name": "flags", "count": 64},
            {"at": "Drives[3].Codes[1]", "name": "codes", "count": 2},
            *asking("Profile[7]", "Grid[2,3]", "Flags[33]", "Flags[34]", "Word.0", "Word.1", "Word.2", "word.31"),
            *asking("Drives[2].Speed", "drives[2].hours", "Drives[2].Running", "Drives[2].Tripped", "Drives[2].Label"),
            *asking("Cell.Count", "Cell.Main.Speed", "Cell.Main.Codes[2]", "program:main.SPEED"),
        ]
        async with reading(tags, **settings) as (_, reader):
            values = await reader.values()
        expected: dict[str, Any] = {f"profile[{at}]": at / 8 for at in range(2000)}
        expected |= {f"part[{at}]": (100 + at) / 8 for at in range(10)}
        expected |= {f"ints[{at}]": at - 25 for at in range(50)}
        expected |= {f"big[{at}]": at + 2 - (1 << 63) for at in range(8)}
        expected |= {f"grid[{at}]": at + 4 for at in range(8)}
        expected |= {f"flags[{at}]": at % 3 == 0 for at in range(64)}
        expected |= {"codes[0]": 8, "codes[1]": 9, "Profile[7]": 0.875, "Grid[2,3]": 11}
        expected |= {"Flags[33]": True, "Flags[34]": False}
        expected |= {"Word.0": True, "Word.1": False, "Word.2": True, "word.31": True}
        expected |= {f"Drives[2].{name}": DRIVE[name] for name in ("Speed", "Running", "Tripped", "Label")}
        expected |= {"drives[2].hours": 2, "Cell.Count": 5, "Cell.Main.Speed": 1480.5, "Cell.Main.Codes[2]": 9}
        expected |= {"program:main.SPEED": 3.5}
        assert values == expected

    run(work)


def test_tags_that_fit_go_in_one_request_and_structures_whole() -> None:
    """Five members of a small structure and ten more tags cost one packet, and one request for the change counts."""

    async def work() -> None:
        members = asking(*(f"Drives[1].{name}" for name in DRIVE if name != "Codes"))
        async with reading([*members, *asking(*(f"One_{kind}" for kind in VALUES))]) as (server, reader):
            before = server.counts
            await reader.read()
            after = server.counts
            assert after["tags_read"] - before["tags_read"] == 1 + len(VALUES)
            assert after["requests"] - before["requests"] == 1 + 1 + len(VALUES) + 1

    run(work)


def test_a_large_structure_is_not_read_for_two_members() -> None:
    """2.5 kB for two numbers would be a waste: they are asked for singly."""

    async def work() -> None:
        async with reading(asking("Cell.Count", "Cell.Ballast[7]")) as (server, reader):
            before = server.counts["bytes_out"]
            assert await reader.values() == {"Cell.Count": 5, "Cell.Ballast[7]": 0.0}
            assert server.counts["bytes_out"] - before < 400

    run(work)


def test_scale_and_configured_types_shape_the_value() -> None:
    """Scaled values are float64; a wider type than the controller's is taken; a narrower one is bad for that tag."""

    async def work() -> None:
        tags: list[dict[str, Any]] = [
            {"at": "One_INT", "name": "scaled", "scale": 0.1, "offset": 5.0},
            {"at": "Ints[0]", "name": "row", "count": 10, "scale": 2.0},
            {"at": "One_INT", "name": "wide", "type": "int32"},
            {"at": "One_INT", "name": "real", "type": "float32"},
            {"at": "One_BOOL", "name": "digit", "type": "uint8"},
            {"at": "One_DINT", "name": "narrow", "type": "int16"},
            {"at": "One_REAL", "name": "whole", "type": "int32"},
            {"at": "Name", "name": "number", "type": "float64"},
        ]
        async with reading(tags) as (_, reader):
            rows = await reader.rows()
            assert rows["scaled"].value == pytest.approx(-295.0)
            assert rows["row[9]"].value == -32.0
            assert [rows[name].value for name in ("wide", "real", "digit")] == [-3000, -3000.0, 1]
            assert type(rows["real"].value) is float
            for name in ("narrow", "whole", "number"):
                assert (rows[name].value, rows[name].quality) == (None, Quality.BAD_CONFIGURATION)
            assert reader.collector.facts()[0].type == "float64"

    run(work)


@KINDS
def test_an_unknown_tag_is_bad_only_for_itself(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A missing tag, member, element or program, and a structure as a whole, are bad; the others are good."""
    wrong = ["NoSuch", "Drives[1].NoSuch", "Drives[9].Speed", "Grid[3,0]", "Program:No.Speed", "Cell"]

    async def work() -> dict[str, Any]:
        tags = [*asking(*wrong, "One_REAL"), {"at": "Ints[40]", "name": "long", "count": 20}]
        async with reading(tags, **settings) as (_, reader):
            await reader.rows()
            return await reader.rows()

    with caplog.at_level(logging.WARNING):
        rows = run(work)
    assert rows["One_REAL"].value == 12.5
    assert rows["One_REAL"].quality == 0
    for name in [*wrong, *(f"long[{at}]" for at in range(20))]:
        assert rows[name].value is None
        assert severity(rows[name].quality) == 2
    assert caplog.text


def test_the_cip_status_of_a_failed_tag_is_its_native_code() -> None:
    """A tag that vanishes between uploads keeps the general status of the controller's answer."""

    async def work() -> None:
        held = controller()
        async with reading(asking("One_REAL", "One_INT"), held, browse=False) as (_, reader):
            held.remove("One_INT")
            rows = await reader.rows()
            assert rows["One_REAL"].quality == 0
            assert (rows["One_INT"].quality, rows["One_INT"].native) == (Quality.BAD_NODE_UNKNOWN, 0x04)

    run(work)


def test_a_structure_closed_to_reading_is_read_by_members() -> None:
    """Where the controller refuses the structure itself, its members are asked for one by one, from then on."""

    async def work() -> None:
        async with reading(asking("Drives[1].Speed", "Drives[1].Hours")) as (server, reader):
            server.faults.add("refuse 15 x1")
            for reads in (2, 2):
                before = server.counts["tags_read"]
                assert await reader.values() == {"Drives[1].Speed": 1480.5, "Drives[1].Hours": 1}
                assert server.counts["tags_read"] - before >= reads

    run(work)


def test_a_download_renumbers_and_no_value_is_taken_for_another() -> None:
    """Instance numbers move: each pass still gives every tag its own value, and the tag list is read again once."""

    async def work() -> None:
        held = controller()
        tags = asking(*(f"One_{kind}" for kind in VALUES if kind != "ULINT"), "Word", "Program:Main.Speed")
        async with reading(tags, held) as (server, reader):
            good = await reader.values()
            for _ in range(5):
                held.download()
                assert await reader.values() == good
                before = server.counts["requests"]
                assert await reader.values() == good
                assert server.counts["requests"] - before == len(tags) + 2

    run(work)


def test_a_download_that_changes_a_type_asks_to_be_opened_again() -> None:
    """Another type needs another catalog: the pass fails, and after `open` the new type is told and read."""

    async def work() -> None:
        held = controller()
        async with reading(asking("One_REAL", "One_INT"), held) as (_, reader):
            await reader.read()
            held.remove("One_INT")
            held.tag("One_INT", "LREAL", value=2.5)
            held.download()
            with pytest.raises(AssetError, match="other types"):
                await reader.read()
            await reader.collector.open()
            assert await reader.values() == {"One_REAL": 12.5, "One_INT": 2.5}
            assert reader.collector.facts()[1].type == "float64"

    run(work)


def test_without_change_counts_tags_are_read_by_name_and_a_new_type_is_noticed() -> None:
    """A controller that does not tell of downloads is never asked by instance number; a foreign type word is bad."""

    async def work() -> None:
        held = controller()
        held.changes = []
        async with reading(asking("One_REAL", "One_INT", "Word"), held) as (_, reader):
            good = await reader.values()
            held.download()
            assert await reader.values() == good
            held.remove("One_REAL")
            held.tag("One_REAL", "DINT", value=7)
            rows = await reader.rows()
            assert rows["One_INT"].value == -3000
            assert (rows["One_REAL"].value, rows["One_REAL"].quality) == (None, Quality.BAD_DECODING)

    run(work)


def test_the_time_of_a_value_is_between_request_and_reply() -> None:
    """All rows of a pass bear one time, the middle of the exchange."""

    async def work() -> None:
        async with reading([*asking("One_REAL", "NoSuch"), {"at": "Profile[0]", "count": 100}]) as (_, reader):
            before = time.time_ns()
            columns = await reader.read()
            assert before <= columns.time_ns[0] <= time.time_ns()
            good = columns.time_ns[columns.quality == 0]
            assert len(set(good.tolist())) == 1

    run(work)


def test_an_old_cpu_is_read_through_the_small_connection() -> None:
    """Refusing the large Forward Open costs one attempt; with the setting it is not even made."""

    async def work() -> None:
        old = {"refuse_large": True, "identity": IdentityObject(major=16, minor=3)}
        tags = [{"at": "Profile[0]", "name": "profile", "count": 2000}, *asking("One_REAL")]
        for settings, refused in (({}, 1), ({"large_forward_open": False}, 0)):
            async with reading(tags, more=old, **settings) as (server, reader):  # type: ignore[arg-type]
                values = await reader.values()
                assert values["profile[1999]"] == 1999 / 8
                assert values["One_REAL"] == 12.5
                assert server.counts["refused"] == refused
            assert reader.collector.identity().firmware == "16.3"

    run(work)


def test_another_slot_is_reached_by_the_url_or_the_setting() -> None:
    """`enip://host:port/3` and `slot = 3` both find the controller there; slot 0 does not."""

    async def work() -> None:
        server = await start(controller(), slot=3)
        try:
            for path, settings, found in (
                ("/3", {}, True),
                ("/backplane/3", {}, True),
                ("", {"slot": 3}, True),
                ("", {}, False),
            ):
                plain = device(server.port, asking("One_REAL"), **settings)  # type: ignore[arg-type]
                fields = {name: getattr(plain, name) for name in ("name", "kind", "settings", "scans", "timeout_s")}
                reader = Reader(type(plain)(url=plain.url + path, **fields))
                if found:
                    await reader.collector.open()
                    assert await reader.values() == {"One_REAL": 12.5}
                else:
                    with pytest.raises(AssetError):
                        await reader.collector.open()
                await reader.collector.close()
        finally:
            await server.close()

    run(work)


@pytest.mark.parametrize("large", [True, False])
def test_the_plan_is_not_exceeded(large: bool) -> None:
    """A pass sends and receives no more bytes than its plan says."""

    async def work() -> None:
        tags: list[dict[str, Any]] = [{"at": "Profile[0]", "name": "profile", "count": 2000, "type": "float32"}]
        tags += [{"at": f"One_{kind}", "type": CATALOG[kind]} for kind in VALUES]
        tags += [{"at": f"Profile[{at}]", "type": "float32"} for at in range(100)]
        tags += [{"at": "Name", "type": "string"}, *asking("Drives[1].Hours", "Drives[1].Speed", "Grid[1,1]")]
        async with reading(tags, large_forward_open=large) as (server, reader):
            planned = type(reader.collector).plan(reader.device)
            before = server.counts
            await reader.read()
            after = server.counts
        assert after["bytes_in"] - before["bytes_in"] <= sum(request.request_bytes for request in planned)
        assert after["bytes_out"] - before["bytes_out"] <= sum(request.reply_bytes for request in planned) + 100

    run(work)


def test_discover_drafts_every_readable_value() -> None:
    """The draft has tags, arrays with their count, members and programs' tags, and no system symbol."""

    async def work() -> None:
        async with reading([]) as (_, reader):
            draft = await reader.collector.discover()
        tables = {str(table["name"]): table for table in draft.tags}
        assert tables["Profile"] == {"name": "Profile", "at": "Profile[0]", "type": "float32", "count": 2000}
        assert tables["Grid"]["at"] == "Grid[0,0]"
        assert tables["Grid"]["count"] == 12
        assert tables["Flags"] == {"name": "Flags", "at": "Flags[0]", "type": "bool", "count": 64}
        assert tables["Drives[3].Running"]["type"] == "bool"
        assert tables["Cell.Main.Label"]["type"] == "string"
        assert tables["Main.Speed"]["at"] == "Program:Main.Speed"
        assert not [name for name in tables if "__" in name or "ZZ" in name or "Map" in name]
        assert draft.identity.model == "1756-L83E/B"
        reread = Reader(device(1, [dict(table) for table in draft.tags]))
        assert type(reread.collector).check(reread.device) == []

    run(work)


def test_a_draft_can_be_read_as_it_is() -> None:
    """Every tag of the draft, put into a configuration, reads good."""

    async def work() -> None:
        async with reading([]) as (server, reader):
            draft = await reader.collector.discover()
            again = Reader(device(server.port, [dict(table) for table in draft.tags]))
            await again.collector.open()
            columns = await again.read()
            await again.collector.close()
            assert set(columns.quality.tolist()) == {0}
            assert len(columns) > 2500

    run(work)


def test_a_tag_list_is_uploaded_once_until_the_program_changes() -> None:
    """A second asset of a controller, and a new connection, take the list that is there; a download ends that."""

    async def uploads(port: int) -> int:
        with recording() as recorder:
            tags = [*asking("One_DINT", "Drives[1].Speed"), {"at": "Ints[0]", "count": 50}]
            reader = Reader(device(port, tags))
            await reader.collector.open()
            values = await reader.values()
            await reader.collector.close()
        assert (values["One_DINT"], values["Drives[1].Speed"], values["Ints[0][49]"]) == (-7, 1480.5, 24)
        told = [one.what for sent in recorder.streams for one in heard(bytes(sent))]
        return sum("service 0x55" in what for what in told)

    async def work() -> None:
        held = controller()
        async with reading(asking("One_DINT"), held) as (server, _):
            assert await uploads(server.port) == 0
            held.download()
            assert await uploads(server.port) > 0
            assert await uploads(server.port) == 0

    run(work)
