"""A namespace is its uri: a server that counts otherwise never shows one machine's value for another's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from opcua_peer import UaPeer
from opcua_reading import MODES, Tags, collector, device, latest, run

from collectors.opcua.address import BranchAddress, parse
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.namespaces.spaces import OWN, Spaces
from protocol.content.sample import Quality
from protocol.errors import AssetError

A, B = "urn:machine:A", "urn:machine:B"
UA = "http://opcfoundation.org/UA/"
VALUES = {A: 100.0, B: 200.0}
OTHER = 250.0


@pytest.fixture
def machines(peer: UaPeer) -> Iterator[Machines]:
    """Two machines of the same make behind the server, first A = 3 and B = 4."""
    made = Machines(peer)
    made.restart(A, B)
    yield made
    made.restart()


class Machines:
    """Machines whose namespaces a server registers in one order or another."""

    def __init__(self, peer: UaPeer) -> None:
        self.peer = peer
        self._held: tuple[str, ...] = ()

    def restart(self, *order: str) -> None:
        """As a restart leaves the server that registers these namespaces in this order."""
        self.peer.run(self._restart(order))

    async def later(self, *order: str) -> None:
        """As `restart`, from another loop."""
        await asyncio.wrap_future(self.peer.later(self._restart(order)))

    async def _restart(self, order: tuple[str, ...]) -> None:
        server = self.peer._server
        for index, _ in enumerate(self._held, 3):
            await server.delete_nodes([server.get_node(ua.NodeId("Machine", index))], recursive=True)
        table = [UA, self.peer.uri, "http://acme.example/plc", *order]
        value = ua.DataValue(ua.Variant(table, ua.VariantType.String))
        await server.write_attribute_value(ua.NodeId(ua.ObjectIds.Server_NamespaceArray), value)
        plant = await server.nodes.objects.get_child("2:Plant")
        for index, uri in enumerate(order, 3):
            where = await plant.add_object(ua.NodeId("Machine", index), f"{index}:Machine")
            for node, name in ((ua.NodeId("Pressure", index), "Pressure"), (ua.NodeId(50, index), "Speed")):
                await where.add_variable(node, f"{index}:{name}", VALUES[uri])
        self._held = order


FORMS = {
    "uri": f"nsu={A};s=Pressure",
    "uri and number": f"nsu={A};i=50",
    "index": "ns=3;s=Pressure",
    "index and number": "ns=3;i=50",
    "path": "/Objects/2:Plant/3:Machine/3:Pressure",
    "path by uri": f"/Objects/2:Plant/nsu={A};Machine/;Pressure",
}


def tags() -> Tags:
    """One tag a form, and a branch."""
    branch: Tags = [{"name": "all", "at": "/Objects/2:Plant/3:Machine/3:*", "count": 4, "pattern": True}]
    return [{"name": name, "at": at} for name, at in FORMS.items()] + branch


def good(plc: OpcUaCollector, rows: dict[int, Any]) -> dict[str, Any]:
    """Good values by the name of their tag, or what was found below the branch."""
    names = {number: facts.name for number, facts in plc.facts().items() if facts.name}
    names |= dict(enumerate(FORMS))
    return {names[number] or "": row.value for number, row in rows.items() if row.quality == Quality.GOOD}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("process", ["the same", "a new one"])
def test_namespaces_in_another_order_leave_every_tag_its_machine(
    machines: Machines, tmp_path: Path, mode: str, process: str
) -> None:
    """However it was typed, over reconnects and restarts of either side; a machine that is gone is BadNodeIdUnknown."""

    async def main() -> None:
        made = device(machines.peer.url, tags(), mode=mode, folder=tmp_path)
        plc = collector(made)
        wanted = dict.fromkeys([*FORMS, "all/Pressure", "all/Speed"], VALUES[A])
        for order in ((A, B), (B, A), (B,), (A, B)):
            await machines.later(*order)
            if process == "a new one":
                plc = collector(made)
            await plc.open()
            rows = latest(await plc.read(made.scans[0]))
            assert good(plc, rows) == (wanted if A in order else {}), order
            assert {row.quality for row in rows.values()} <= {Quality.GOOD, Quality.BAD_NODE_UNKNOWN}
            lines = [line for line in plc.remarks() if "ns=3 goes on meaning urn:machine:A" in line]
            assert bool(lines) == (order[0] == B)
            await plc.close()

    run(main())


def test_a_fence_stays_with_its_machine(machines: Machines, tmp_path: Path) -> None:
    """Typed by index, by id or by path: the fenced node is not read where it has gone, the other machine's is."""

    async def main() -> None:
        way = "/Objects/2:Plant/nsu={};Machine/;Pressure"
        wanted: Tags = [{"name": uri, "at": way.format(uri)} for uri in (A, B)]
        for fence in ("ns=3;s=Press*", "/Objects/2:Plant/3:Machine", f"nsu={A};s=P*", "nsu=urn:*:A;s=P*"):
            made = device(machines.peer.url, wanted, mode="poll", folder=tmp_path, never_read=(fence,))
            for order in ((A, B), (B, A)):
                await machines.later(*order)
                plc = collector(made)
                await plc.open()
                rows = latest(await plc.read(made.scans[0]))
                assert (rows[0].value, rows[0].quality) == (None, Quality.BAD_CONFIGURATION), (fence, order)
                assert rows[1].value == VALUES[B]
                draft = await plc.discover(["/Objects/2:Plant"])
                held = [str(tag["at"]) for tag in draft.tags if "Pressure" in str(tag["at"])]
                assert held == [f"nsu={B};s=Pressure"]
                await plc.close()

    run(main())


def test_a_draft_reads_the_machine_it_was_drafted_from(machines: Machines) -> None:
    """By text id, and by path where the id is a number."""

    async def main() -> None:
        made = device(machines.peer.url)
        plc = collector(made)
        await plc.open()
        draft = await plc.discover(["/Objects/2:Plant/3:Machine"])
        await plc.close()
        assert [tag["at"] for tag in draft.tags] == [
            f"nsu={A};s=Pressure",
            f"/Objects/nsu=http://acme.example/plc;Plant/nsu={A};Machine/;Speed",
        ]
        await machines.later(B, A)
        made = device(machines.peer.url, [{"name": str(tag["name"]), "at": tag["at"]} for tag in draft.tags])
        plc = collector(made)
        await plc.open()
        assert {row.value for row in latest(await plc.read(made.scans[0])).values()} == {VALUES[A]}
        await plc.close()

    run(main())


def test_a_namespace_that_comes_later_is_named_when_it_comes(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index beyond the server's table means nothing yet, and is not asked for as a number."""
    monkeypatch.setattr("collectors.opcua.watched.RETRY_NS", 0)

    async def main() -> None:
        await machines.later(A)
        made = device(machines.peer.url, [{"name": "b", "at": "ns=4;s=Pressure"}], mode="poll")
        plc = collector(made)
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].quality == Quality.BAD_NODE_UNKNOWN
        await machines.later(A, B)
        assert latest(await plc.read(made.scans[0]))[0].value == VALUES[B]
        await machines.later(B, A)
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == VALUES[B]
        await plc.close()

    run(main())


def test_a_damaged_memory_of_namespaces_is_told_and_looked_up_anew(machines: Machines, tmp_path: Path) -> None:
    """It is set aside; a disk that does not give it leaves the device unread."""

    async def main() -> None:
        tags: Tags = [{"name": "a", "at": "ns=3;s=Pressure"}]
        made = device(machines.peer.url, tags, mode="poll", folder=tmp_path)
        file = tmp_path / "namespaces-t.json"
        plc = collector(made)
        await plc.open()
        await plc.close()
        assert json.loads(file.read_text())["meant"] == {"3": A}
        file.write_text('{"meant": {"3": 7}}')
        plc = collector(made)
        await plc.open()
        assert any("namespaces-t.json cannot be believed" in line for line in plc.remarks())
        await plc.close()
        assert json.loads(file.read_text())["meant"] == {"3": A}
        shut = collector(device(machines.peer.url, tags, mode="poll", folder=file))
        with pytest.raises(AssetError, match="namespaces-t"):
            await shut.open()
        await shut.close()

    run(main())


def test_indexes_are_warned_of() -> None:
    """In one line an asset, before anything is read; uris are not."""
    made = device(
        "opc.tcp://h", [{"name": "a", "at": "ns=3;i=1"}, {"name": "b", "at": "i=2258"}], never_read=("ns=7;s=*",)
    )
    (line,) = OpcUaCollector.doubts(made)
    assert "(ns=3, ns=7) by 1 tag, the first a" in line
    assert OpcUaCollector.doubts(device("opc.tcp://h", [{"name": "a", "at": f"nsu={A};i=1"}])) == []


TABLE = (UA, "urn:server", A, B)


@pytest.mark.parametrize(
    ("space", "kept", "table", "index"),
    [
        (0, {}, TABLE, 0),
        (A, {}, TABLE, 2),
        ("urn:nobody", {}, TABLE, None),
        ("", {}, (UA, "urn:server", ""), None),
        (2, {2: A}, TABLE, 2),
        (2, {2: A}, (UA, "urn:server", B, A), 3),
        (2, {2: A}, (UA, "urn:server", B), None),
        (2, {}, (), 2),
        (9, {}, TABLE, None),
        (1, {1: OWN}, TABLE, 1),
        (1, {1: OWN}, (UA, A, "urn:server"), None),
        (1, {1: A}, (UA, B, A), 2),
        (3, {3: A}, (UA, "urn:server", A, A), 3),
    ],
)
def test_an_index_is_where_its_uri_stands_now(
    space: int | str, kept: dict[int, str], table: tuple[str, ...], index: int | None
) -> None:
    """The standard's own is always 0, the server's own 1; what nobody names is believed by its number."""
    assert Spaces(table, "urn:server", kept).index(space) == index


@pytest.mark.parametrize("table", [TABLE, (UA, A, B), (UA, "urn:server", "", A, A), (), (UA,)])
def test_what_is_named_is_found_again(table: tuple[str, ...]) -> None:
    """Each namespace of any table, also one without a uri of its own."""
    spaces = Spaces(table, "urn:server")
    for index in range(len(table)):
        assert spaces.index(spaces.name(index)) == index


def test_a_branch_is_named_by_uri_too() -> None:
    """Its way, and the namespace of its names."""
    where = parse("/Objects/2:P/3:T*")
    assert isinstance(where, BranchAddress)
    named = Spaces(TABLE, "urn:server").branch(where)
    assert (named.steps, named.space) == (((0, "Objects"), (A, "P")), B)
