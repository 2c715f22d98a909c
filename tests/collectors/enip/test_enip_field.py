"""Controllers as they are in the field: what one tag or one refusal costs, and what a person is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from enip_peer import Reader, asking, controller, device, reading, run

from collectors.base import Device
from collectors.budget import Budget
from collectors.enip import config, plan
from collectors.enip.collector import NO_PACKETS
from collectors.enip.driver import Depth, Driver, Transport
from collectors.enip.refusal import explain
from collectors.guard import Guard
from protocol.content.sample import Quality
from protocol.errors import AssetError
from simulator.logix import connections
from simulator.logix.attributes import IdentityObject
from simulator.logix.cip import CipError, GeneralStatus
from simulator.logix.objects import Objects
from simulator.logix.server import start


@pytest.mark.parametrize("names", [("Ints[7]", "Ints"), ("Ints", "Ints[7]"), ("Grid[1,2]", "Grid[0,0]", "Ints[7]")])
def test_an_array_is_read_with_element_numbers_and_without(names: tuple[str, ...]) -> None:
    """In any order, also where the device is not asked for its tag list: without numbers it is the first element."""
    values = {"Ints": -25, "Ints[7]": -18, "Grid[1,2]": 6, "Grid[0,0]": 0}

    async def work() -> None:
        async with reading(asking(*names), browse=False) as (_, reader):
            assert await reader.values() == {name: values[name] for name in names}

    run(work)


@pytest.mark.parametrize(("fault", "opens"), [("reset", 1), ("wrong_function", 1), ("hang", 2)])
def test_a_tag_at_which_the_device_hangs_up_is_set_aside(fault: str, opens: int) -> None:
    """After the second time; the others are read in every pass, and it is told which and why."""

    async def work() -> None:
        server = await start(controller())
        server.faults.add(f"{fault} at tag:One_INT")
        reader = Reader(device(server.port, asking("One_REAL", "One_INT", "One_DINT"), browse=False, timeout_s=0.3))
        for _ in range(opens - 1):  # each silent tag costs its timeout twice, so not many of them in one opening
            with pytest.raises(AssetError):
                await reader.collector.open()
        await reader.collector.open()
        for _ in range(3):
            rows = await reader.rows()
            assert {name: row.value for name, row in rows.items()} == {
                "One_REAL": 12.5,
                "One_INT": None,
                "One_DINT": -7,
            }
            assert rows["One_INT"].quality == Quality.BAD_COMMUNICATION
        (line,) = reader.collector.troubles()
        assert line.startswith("One_INT: the connection failed twice when One_INT was asked for")
        assert list(reader.collector.remarks()) == [line]
        assert list(reader.collector.remarks()) == []
        await reader.collector.close()
        await server.close()

    run(work)


@pytest.mark.parametrize("fault", ["reset", "hang", "garbage"])
@pytest.mark.parametrize("culprit", ["One_INT", "Name", "Profile"])
def test_a_listed_tag_at_which_the_connection_fails_is_found(fault: str, culprit: str) -> None:
    """Though it shares its request with others, or is read in fragments: they come back, it alone is set aside."""

    async def work() -> None:
        server = await start(controller())
        server.faults.add(f"{fault} at tag:{culprit}")
        names = [*(f"One_{kind}" for kind in ("REAL", "INT", "DINT", "LINT", "LREAL")), "Name", "Word", "Grid[1,2]"]
        asked = [*asking(*names), {"at": "Profile[0]", "name": "Profile", "count": 2000}]
        reader = Reader(device(server.port, asked, timeout_s=0.15))
        opened = False
        for _ in range(14):
            try:
                if not opened:
                    await reader.collector.open()
                opened = True
                rows = await reader.rows()
            except AssetError:
                opened = False
        lost = {name for name, row in rows.items() if row.value is None}
        assert {name.partition("[")[0] for name in lost} == {culprit}
        assert rows["Word" if culprit != "Word" else "One_REAL"].quality == Quality.GOOD
        (line,) = reader.collector.troubles()
        assert line.startswith(f"{culprit}: the connection failed twice when {culprit}")
        connections = server.counts["connections"]
        await reader.rows()
        assert server.counts["connections"] == connections
        await reader.collector.close()
        await server.close()

    run(work)


def test_what_was_read_in_a_pass_is_kept_when_the_connection_fails_in_it() -> None:
    """The rest is bad with the reason, and the next pass is whole."""

    async def work() -> None:
        asked = [*asking("One_REAL"), {"at": "Profile[0]", "name": "Profile", "count": 2000}]
        async with reading(asked) as (server, reader):
            await reader.read()
            server.faults.add("reset at tag:Profile x1")
            rows = await reader.rows()
            assert rows["One_REAL"].value == 12.5
            assert rows["Profile[7]"].quality == Quality.BAD_COMMUNICATION
            assert all(row.quality == Quality.GOOD for row in (await reader.rows()).values())
            assert list(reader.collector.troubles()) == []

    run(work)


def test_a_connection_lost_while_tags_are_learned_sets_none_aside() -> None:
    """Once is no more than a lost connection."""

    async def work() -> None:
        server = await start(controller())
        server.faults.add("reset at tag:One_INT x1")
        reader = Reader(device(server.port, asking("One_REAL", "One_INT"), browse=False))
        await reader.collector.open()
        assert await reader.values() == {"One_REAL": 12.5, "One_INT": -3000}
        assert list(reader.collector.troubles()) == []
        await reader.collector.close()
        await server.close()

    run(work)


def test_why_a_tag_is_lost_is_told() -> None:
    """In words, beside the rows."""

    async def work() -> None:
        async with reading(asking("One_REAL", "Nowhere", "Cell")) as (_, reader):
            await reader.rows()
            assert list(reader.collector.troubles()) == [
                "Nowhere: no tag Nowhere",
                "Cell: Cell is a structure; name one of its members",
            ]

    run(work)


def test_a_tag_that_is_not_listed_is_asked_for_by_name() -> None:
    """Micro800 and others list few of what they have."""

    async def work() -> None:
        held = controller()
        held.tag("__hidden", "DINT", value=42, system=True)
        async with reading(asking("__hidden", "One_REAL"), held) as (_, reader):
            assert await reader.values() == {"__hidden": 42, "One_REAL": 12.5}

    run(work)


@pytest.mark.parametrize(
    ("product", "means"),
    [("1756-L83E/B", ""), ("2080-LC50-48QWB", 'route = ""'), ("1747-L553", "PCCC, not read here")],
)
def test_a_refused_connection_names_status_and_product(
    monkeypatch: pytest.MonkeyPatch, product: str, means: str
) -> None:
    """And what they mean."""
    monkeypatch.setattr(connections, "MOST", 0)

    async def work() -> None:
        server = await start(controller(), identity=IdentityObject(product=product))
        reader = Reader(device(server.port, asking("One_REAL")))
        with pytest.raises(AssetError, match="no connections are left") as caught:
            await reader.collector.open()
        text = str(caught.value)
        assert "CIP status 0x01, extended 0x0113" in text
        assert product in text
        assert means in text
        await reader.collector.close()
        await server.close()

    run(work)


def test_a_refusal_is_explained_as_far_as_it_goes() -> None:
    """From what was said: nothing, a general status, an extended one that nobody knows."""
    assert explain(b"", "") == "the device opened no connection"
    assert "CIP status 0x08: it does not know the service" in explain(b"\xdb\0\x08\0", "")
    assert "extended 0x7FFF: the connection failed)" in explain(b"\xdb\0\x01\x01\xff\x7f", "")
    assert "a PowerFlex has parameters" in explain(b"", "PowerFlex 525")


def test_an_empty_route_can_be_said() -> None:
    """For a device without a backplane; a route beside it is a mistake."""
    made = device(44818, asking("A"), route="")
    found = config.load(made)
    assert found.route == ()
    driver = Driver(found, Guard("t", print), timeout_s=1.0, depth=Depth.NOTHING, programs=False, budget=Budget(None))
    assert driver._cfg["cip_path"] == []
    for settings, key in (({"route": "", "slot": 1}, "enip.route"), ({"route": "backplane/1"}, "enip.route")):
        lines = config.mistakes(device(44818, asking("A"), **settings))
        assert [line.partition(":")[0] for line in lines] == [key]


@pytest.mark.parametrize("settings", [{"kind": "safety"}, {"large_forward_open": False}, {"browse": False}, {}])
@pytest.mark.parametrize("kind", ["STRING", "LINT", "REAL"])
@pytest.mark.parametrize("count", [1, 13, 60])
def test_the_plan_is_an_upper_bound(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], kind: str, count: int
) -> None:
    """Of the requests of one pass, for tags whose types nobody has typed; typed, it is closer."""
    sent: list[bytes] = []
    sends = Transport.send

    def counted(self: Transport, message: bytes) -> None:
        sent.append(message)
        sends(self, message)

    monkeypatch.setattr(Transport, "send", counted)

    async def work() -> None:
        held = controller()
        names = [f"Some_Tag_{at}" for at in range(count)]
        for name in names:
            held.tag(name, kind)
        async with reading(asking(*names), held, **settings) as (_, reader):
            await reader.read()
            sent.clear()
            await reader.read()
            assert len(sent) <= passes(reader.device)
            typed = device(1, [{"at": name, "type": CATALOG[kind]} for name in names], **settings)
            assert len(sent) <= passes(typed) <= 2 * len(sent)

    run(work)


def test_a_plan_counts_each_tag_of_a_device_without_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is said; where it is not, it is told what to write."""

    def unsupported(self: Objects, *_: Any) -> tuple[GeneralStatus, bytes]:
        raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)

    monkeypatch.setattr(Objects, "_multiple", unsupported)
    names = ["One_REAL", "One_INT", "Name"]

    async def work() -> None:
        cases: list[tuple[dict[str, Any], list[str]]] = [({}, [NO_PACKETS]), ({"one_request_a_tag": True}, [])]
        for settings, told in cases:
            async with reading(asking(*names), **settings) as (server, reader):
                assert (await reader.values())["One_INT"] == -3000
                assert list(reader.collector.remarks()) == told
                before = server.counts["requests"]
                await reader.read()
                assert server.counts["requests"] - before == 4
                assert passes(reader.device) == (4 if settings else 2)

    run(work)


def test_a_string_of_the_programs_own_counts_as_long_as_it_is() -> None:
    """With its `length`; it is no length of anything else."""
    tags = [{"at": f"Text{at}", "type": "string", "length": 400} for at in range(4)]
    made = device(1, tags, large_forward_open=False)
    assert passes(made) == 5
    (line,) = config.mistakes(device(1, [{"at": "A", "type": "int16", "length": 5}]))
    assert line.startswith("tags.A.length: ")


CATALOG = {"STRING": "string", "LINT": "int64", "REAL": "float32"}


def passes(made: Device) -> int:
    """Requests of one pass, as planned."""
    return sum(1 for one in plan.requests(made, config.load(made)) if one.every_s == 1.0)
