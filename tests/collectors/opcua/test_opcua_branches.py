"""Whole branches of a server, nodes that get other ids, and what must never be read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from asyncua import ua
from opcua_peer import UaPeer
from opcua_reading import MODES, Tags, collector, device, latest, run, until

from collectors.base import Device
from collectors.guard import WriteRefused
from collectors.opcua import watched
from collectors.opcua.address import BranchAddress, Fences, fences, parse
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.session import Session, attribute
from protocol.content.sample import Quality
from protocol.errors import AssetError, ConfigError


async def at(peer: UaPeer, work: Coroutine[Any, Any, Any]) -> Any:
    """Do something in the server."""
    return await asyncio.wrap_future(peer.later(work))


async def unit(peer: UaPeer, name: str, *, first: int, names: tuple[str, ...] = ("Temp1", "Temp2", "Level")) -> None:
    """A machine with numeric ids; it has a part below it with one value more, and an array."""
    where = await at(peer, peer.folder(name))
    for number, variable in enumerate(names, first):
        await at(peer, peer.below(where, number, variable, float(number)))
    part = await at(peer, peer.folder(f"{name}.Part", where))
    await at(peer, peer.below(part, first + 50, "Temp9", 9.0))
    await at(peer, peer.below(part, first + 51, "Curve", [1.0, 2.0]))


async def gone(peer: UaPeer, *nodes: Any) -> None:
    """Take nodes away, with what is below them."""

    async def delete() -> None:
        for node in nodes:
            await peer._server.delete_nodes([peer._server.get_node(node)], recursive=True)

    await at(peer, delete())


def branch(text: str, most: int = 10, name: str = "all") -> Tags:
    """One tag for a branch, as the poller makes it."""
    return [{"name": name, "at": text, "count": most, "pattern": True}]


def names(plc: OpcUaCollector) -> dict[str, int]:
    """Point number by the name that was found for it."""
    return {facts.name: number for number, facts in plc.facts().items() if facts.name}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/Objects/2:Plant/2:NAME/*", {"Temp1", "Temp2", "Level"}),
        ("/Objects/2:Plant/2:NAME/2:Temp*", {"Temp1", "Temp2"}),
        ("/Objects/2:Plant/2:NAME/**", {"Temp1", "Temp2", "Level", "NAME.Part/Temp9"}),
        ("/Objects/2:Plant/2:NAME/3:*", set()),
    ],
)
def test_a_branch_is_read_whole(peer: UaPeer, mode: str, pattern: str, found: set[str]) -> None:
    """Its variables have names and addresses of their own; what is no single value is left out and told."""
    name = f"unit-{mode}-{len(found)}"

    async def main() -> None:
        await unit(peer, name, first=1000)
        made = device(peer.url, branch(pattern.replace("NAME", name)), mode=mode)
        plc = collector(made)
        await plc.open()
        rows = latest(await plc.read(made.scans[0]))
        wanted = {f"all/{one.replace('NAME', name)}" for one in found}
        assert names(plc).keys() == wanted
        good = {number for number, row in rows.items() if row.quality == 0}
        assert good == set(names(plc).values())
        for one, number in names(plc).items():
            facts = plc.facts()[number]
            assert facts.type == "float64"
            assert (facts.address or "").endswith(one.partition("/")[2].rpartition("/")[2])
        remarks = " ".join(plc.remarks())
        assert ("Curve: is no single value" in remarks) == pattern.endswith("**")
        assert ("nothing is there now" in remarks) == (not found)
        await plc.close()
        await gone(peer, f"ns=2;s={name}")

    run(main())


def test_what_does_not_fit_a_branch_is_told_and_numbers_stay(peer: UaPeer) -> None:
    """A node keeps its number over reconnects, whatever else comes or goes."""

    async def main() -> None:
        await unit(peer, "few", first=1100)
        made = device(peer.url, branch("/Objects/2:Plant/2:few/*", most=3), mode="poll")
        plc = collector(made)
        await plc.open()
        before = names(plc)
        assert len(before) == 3
        await gone(peer, "ns=2;i=1100")
        where = await at(peer, peer._server.nodes.objects.get_child(["2:Plant", "2:few"]))
        await at(peer, peer.below(where, 1109, "Fresh", 1.0))
        await plc.open()
        assert names(plc) == before
        rows = await until(plc, made, lambda rows: len(latest_of(rows)) >= 3)
        bad = [number for number, row in latest_of(rows).items() if row.quality]
        assert bad == [before["all/Temp1"]]
        assert any("1 values more than its 3" in line for line in plc.remarks())
        await plc.close()
        await gone(peer, "ns=2;s=few")

    def latest_of(rows: list[Any]) -> dict[int, Any]:
        return {row.tag: row for row in rows}

    run(main())


def test_what_comes_to_a_branch_later_is_found_and_described(peer: UaPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a reconnect; the poller is told that more is known."""
    monkeypatch.setattr(watched, "SPREAD_NS", 10**8)

    async def main() -> None:
        await unit(peer, "grows", first=1200)
        made = device(peer.url, branch("/Objects/2:Plant/2:grows/*"))
        plc = collector(made)
        await plc.open()
        await plc.read(made.scans[0])
        assert not plc.relearned()
        where = await at(peer, peer._server.nodes.objects.get_child(["2:Plant", "2:grows"]))
        await at(peer, peer.below(where, 1209, "Fresh", 77.0))
        await until(plc, made, lambda rows: any(row.value == 77.0 for row in rows))
        assert plc.relearned()
        assert not plc.relearned()
        assert "all/Fresh" in names(plc)
        await plc.close()
        await gone(peer, "ns=2;s=grows")

    run(main())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("typed", [False, True])
def test_a_renumbered_node_is_found_again_by_its_path(peer: UaPeer, mode: str, typed: bool) -> None:
    """Even where its old id belongs to another node now; it is remarked once."""
    name = f"again-{mode}-{typed}"

    async def main() -> None:
        where = await at(peer, peer.folder(name))
        await at(peer, peer.below(where, 1300, "Speed", 10.0))
        await at(peer, peer.below(where, 1301, "Torque", 20.0))
        path = {"path": f"/Objects/2:Plant/2:{name}/2:Speed"} if typed else {}
        made = device(peer.url, [{"name": "speed", "at": "ns=2;i=1300", **path}], mode=mode)
        plc = collector(made)
        if not typed:  # with a typed path the very first connect is right already
            await plc.open()
            assert latest(await plc.read(made.scans[0]))[0].value == 10.0
            await plc.close()
        await gone(peer, "ns=2;i=1300", "ns=2;i=1301")
        await at(peer, peer.below(where, 1300, "Torque", 20.0))
        await at(peer, peer.below(where, 1301, "Speed", 10.0))
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == 10.0
        (line,) = plc.remarks()
        assert "speed: ns=2;i=1300 is ns=2;i=1301 now" in line
        await plc.open()
        assert plc.remarks() == []
        await plc.close()
        await gone(peer, f"ns=2;s={name}")

    run(main())


def test_an_id_that_now_belongs_to_another_node_is_not_read(peer: UaPeer) -> None:
    """The node is gone, and its id was given to another: bad, not somebody else's value."""

    async def main() -> None:
        where = await at(peer, peer.folder("taken"))
        await at(peer, peer.below(where, 1400, "Speed", 10.0))
        made = device(peer.url, [{"name": "speed", "at": "ns=2;i=1400"}], mode="poll")
        plc = collector(made)
        await plc.open()
        await plc.close()
        await gone(peer, "ns=2;i=1400")
        await at(peer, peer.below(where, 1400, "Torque", 20.0))
        await plc.open()
        row = latest(await plc.read(made.scans[0]))[0]
        assert (row.value, row.quality) == (None, Quality.BAD_NODE_UNKNOWN)
        await plc.close()
        await gone(peer, "ns=2;s=taken")

    run(main())


def test_a_node_that_is_renumbered_without_a_reconnect_is_found_again(
    peer: UaPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a download to the controller behind the server."""
    monkeypatch.setattr(watched, "SOON_NS", 10**7)

    async def main() -> None:
        where = await at(peer, peer.folder("download"))
        await at(peer, peer.below(where, 1500, "Speed", 10.0))
        made = device(peer.url, [{"name": "speed", "at": "ns=2;i=1500"}], mode="poll")
        plc = collector(made)
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == 10.0
        await gone(peer, "ns=2;i=1500")
        assert latest(await plc.read(made.scans[0]))[0].quality == Quality.BAD_NODE_UNKNOWN
        await at(peer, peer.below(where, 1501, "Speed", 11.0))
        await until(plc, made, lambda rows: any(row.value == 11.0 for row in rows))
        await plc.close()
        await gone(peer, "ns=2;s=download")

    run(main())


def test_a_server_that_tells_no_ways_is_read_all_the_same(peer: UaPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ids are believed, and that is told; a device with fences is not opened then."""

    async def main() -> None:
        where = await at(peer, peer.folder("wayless"))
        await at(peer, peer.below(where, 1550, "Speed", 10.0))

        async def refuses(self: Session, nodes: Any) -> list[Any]:
            raise self.trouble("browse", "BadServiceUnsupported", Quality.BAD_NOT_SUPPORTED)

        monkeypatch.setattr(Session, "parents", refuses)
        tags = [{"name": "speed", "at": "ns=2;i=1550"}]
        made = device(peer.url, tags, mode="poll")
        plc = collector(made)
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == 10.0
        assert any("their ids are believed" in line for line in plc.remarks())
        await plc.close()
        shut = collector(fenced(peer.url, tags, "/Objects/2:Plant/2:other"))
        with pytest.raises(AssetError):
            await shut.open()
        await gone(peer, "ns=2;s=wayless")

    run(main())


def test_a_server_that_translates_no_paths_is_browsed_along_them(peer: UaPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths, branches and discover go without that service; a gentle server is not browsed."""
    monkeypatch.setattr(peer, "translates", False)
    way = "/Objects/2:Plant/2:pressure"

    async def main() -> None:
        nowhere = [{"name": str(at), "at": at} for at in ("/Objects/2:Plant/2:no", "/Objects/9:Plant")]
        tags = [{"name": "path", "at": way}, *nowhere, *branch("/Objects/2:Plant/2:press*", most=2)]
        made = device(peer.url, tags, mode="poll")
        plc = collector(made)
        await plc.open()
        rows = latest(await plc.read(made.scans[0]))
        assert {number for number, row in rows.items() if row.value == 4.5} == {0, 3}
        assert rows[1].quality == rows[2].quality == Quality.BAD_NODE_UNKNOWN
        draft = await plc.discover([way])
        assert [tag["name"] for tag in draft.tags] == ["pressure"]
        await plc.close()
        gentle = collector(device(peer.url, [{"name": "path", "at": way}], kind="safety"))
        with pytest.raises(AssetError, match="translate"):
            await gentle.open()
        await gentle.close()

    run(main())


def test_a_node_with_a_very_long_id_is_drafted_by_its_path(peer: UaPeer) -> None:
    """An address has 512 bytes in a configuration."""

    async def main() -> None:
        where = await at(peer, peer.folder("long"))
        node = ua.NodeId("x" * 600, 2)
        await at(peer, where.add_variable(node, "2:Speed", 10.0))
        made = device(peer.url)
        plc = collector(made)
        await plc.open()
        draft = await plc.discover(["/Objects/2:Plant/2:long"])
        assert [tag["at"] for tag in draft.tags] == ["/Objects/nsu=http://acme.example/plc;Plant/;long/;Speed"]
        await plc.close()
        await gone(peer, "ns=2;s=long")

    run(main())


def test_a_gentle_server_is_not_browsed_for_paths(peer: UaPeer) -> None:
    """Only what is typed: no branch, no question for a node's way."""
    made = device(peer.url, branch("/Objects/2:Plant/*"), kind="safety")
    assert any("type each node" in line for line in OpcUaCollector.check(made))

    async def main() -> None:
        where = await at(peer, peer.folder("gentle"))
        await at(peer, peer.below(where, 1600, "Speed", 10.0))
        plc = collector(device(peer.url, [{"name": "speed", "at": "ns=2;i=1600"}], kind="protection", mode="poll"))
        peer.asked.clear()
        await plc.open()
        assert plc._memory.paths == {}
        with pytest.raises(ConfigError, match="not browsed as a whole"):
            await plc.discover()
        draft = await plc.discover(["/Objects/2:Plant/2:gentle"])
        assert [tag["name"] for tag in draft.tags] == ["Speed"]
        draft = await plc.discover(["/Objects/2:Plant/2:gentle/2:Speed", "/Objects/2:Nowhere"])
        assert [tag["at"] for tag in draft.tags] == ["/Objects/nsu=http://acme.example/plc;Plant/;gentle/;Speed"]
        assert draft.notes == ("/Objects/2:Nowhere: the server has no such node",)
        await plc.close()
        await gone(peer, "ns=2;s=gentle")

    run(main())


@pytest.mark.parametrize("fence", ["ns=2;i=1701", "nsu=http://acme.example/plc;i=1701", "/Objects/2:Plant/2:fenced"])
def test_what_must_never_be_read_is_not_read_by_any_way(peer: UaPeer, fence: str) -> None:
    """Not by its id, not by a path, not in a branch, not by discover."""

    async def main() -> None:
        where = await at(peer, peer.folder("fenced"))
        await at(peer, peer.below(where, 1701, "Trip", 1.0))
        tags: Tags = [*branch("/Objects/2:Plant/**", most=200), {"name": "open", "at": "ns=2;s=pressure"}]
        by_id = {"name": "id", "at": "nsu=http://acme.example/plc;i=1701"}
        by_path = {"name": "path", "at": "/Objects/2:Plant/2:fenced/2:Trip"}
        ways = [one for one in (by_id, by_path) if not OpcUaCollector.check(fenced(peer.url, [one], fence))]
        made = fenced(peer.url, [*tags, *ways], fence)
        plc = collector(made)
        await plc.open()
        rows = latest(await plc.read(made.scans[0]))
        assert rows[200].value == 4.5
        for number in range(201, 201 + len(ways)):
            assert (rows[number].value, rows[number].quality) == (None, Quality.BAD_CONFIGURATION)
        assert not any("Trip" in name for name in names(plc))
        for ranges in ((), ("/Objects/2:Plant/2:fenced/2:Trip",)):
            draft = await plc.discover(ranges)
            assert not any("Trip" in str(tag["at"]) or "1701" in str(tag["at"]) for tag in draft.tags)
            assert len([note for note in draft.notes if "in never_read" in note]) == 1
        await plc.close()
        await gone(peer, "ns=2;s=fenced")

    run(main())


def fenced(url: str, tags: Tags, fence: str) -> Device:
    """A server, a part of which must never be read."""
    return device(url, tags, never_read=(fence,))


def test_the_guard_itself_refuses_a_fenced_node(peer: UaPeer) -> None:
    """Whoever asks, and by whatever service."""

    async def main() -> None:
        made = fenced(peer.url, [{"name": "open", "at": "ns=2;s=pressure"}], "ns=2;s=level*")
        lines: list[str] = []
        plc = OpcUaCollector(made, clock=time.time_ns, refused=lines.append)
        await plc.open()
        assert plc._session is not None
        node = plc._session._client.get_node("ns=2;s=level7")
        with pytest.raises(WriteRefused):
            await plc._session.read([attribute(node.nodeid)])
        assert "ns=2;s=level7, which is never read" in lines[0]
        await plc.close()

    run(main())


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/Objects/2:P/*", BranchAddress(steps=((0, "Objects"), (2, "P")), deep=False)),
        ("/Objects/2:P/**", BranchAddress(steps=((0, "Objects"), (2, "P")), deep=True)),
        ("/Objects/2:P/3:T*p", BranchAddress(steps=((0, "Objects"), (2, "P")), deep=False, space=3, names="T*p")),
        ("/Objects/*/x", None),
        ("/*", None),
        ("/Types/*", None),
    ],
)
def test_a_branch_is_a_star_at_the_end_of_a_path(text: str, address: BranchAddress | None) -> None:
    """And nowhere else."""
    assert parse(text) == address


def test_a_star_in_a_pattern_stands_for_any_text() -> None:
    """An escaped one for itself; the namespace counts where it is typed."""
    where = parse("/Objects/2:P/3:T*p")
    assert isinstance(where, BranchAddress)
    assert [where.fits(3, name) for name in ("Tp", "Temp", "Tem", "temp")] == [True, True, False, False]
    assert not where.fits(2, "Temp")
    starred = parse("/Objects/2:P/a&**")
    assert isinstance(starred, BranchAddress)
    assert [starred.fits(0, name) for name in ("a*", "a*b", "ab")] == [True, True, False]


def test_fences_are_ids_and_branches_and_nothing_else() -> None:
    """What is none is named."""
    wrong: list[str] = []
    made = fences(["ns=2;s=SIS.*", "/Objects/2:P/2:SIS", "/Objects/2:Q/**", "SIS", "/Objects/2:P/2:T*"], wrong)
    assert made == Fences(("ns=2;s=SIS.*",), (((0, "Objects"), (2, "P"), (2, "SIS")), ((0, "Objects"), (2, "Q"))))
    assert [line.split("'")[1] for line in wrong] == ["SIS", "/Objects/2:P/2:T*"]
