"""Two servers for one device: which is read, and when that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opcua_peer import UaPeer, Wire
from opcua_reading import collector, device, failure, latest, run, text_tags, until

from collectors.base import Device
from collectors.opcua import redundancy
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.redundancy import HOLD_S, LOOK_S, Choice, rank
from protocol.errors import AssetError


def test_a_service_level_belongs_to_one_of_four_classes() -> None:
    """A server that says nothing is taken at its socket's word."""
    assert [rank(level) for level in (255, 200, 199, 2, 1, 0, None)] == [3, 3, 2, 2, 1, 0, 3]


def test_the_server_in_use_is_tried_first_unless_it_failed() -> None:
    """Then the others in the order in which they were typed."""
    choice = Choice(3)
    assert choice.order() == [0, 1, 2]
    choice.opened(1, 255, 0.0)
    assert choice.order() == [1, 0, 2]
    choice.lost()
    assert choice.order() == [0, 2, 1]


def test_servers_that_waver_do_not_make_it_sway() -> None:
    """The others are looked at only after a whole HOLD_S below healthy, and then seldom."""
    choice = Choice(2)
    choice.opened(0, 255, 0.0)
    now = 0.0
    for _ in range(200):
        now += HOLD_S / 4
        choice.level(150, now)
        assert not choice.looks(now)
        now += HOLD_S / 4
        choice.level(230, now)
        assert not choice.looks(now)
    choice.level(150, now)
    assert not choice.looks(now + 0.9 * HOLD_S)
    assert choice.looks(now + HOLD_S)
    assert not choice.looks(now + HOLD_S + 0.9 * LOOK_S)
    assert choice.looks(now + HOLD_S + LOOK_S)


@pytest.fixture(scope="module")
def spare() -> Iterator[UaPeer]:
    """The other server of the pair."""
    with UaPeer() as running:
        yield running


@pytest.fixture
def pair(peer: UaPeer, spare: UaPeer) -> Iterator[tuple[UaPeer, UaPeer]]:
    """Both, told apart by one value, and healthy again afterwards."""
    peer.write("level20", 1.0)
    spare.write("level20", 2.0)
    yield peer, spare
    for one in (peer, spare):
        one.run(one.level(255))
    peer.write("level20", 20.0)


def of_both(first: str, second: str, **more: Any) -> Device:
    """A device with two urls."""
    return device(first, text_tags("level20"), urls=(first, second), **more)


async def level(peer: UaPeer, said: int) -> None:
    """Set a server's ServiceLevel."""
    await asyncio.wrap_future(peer.later(peer.level(said)))


async def value(plc: OpcUaCollector, made: Device) -> Any:
    """The first value after opening."""
    return latest(await plc.read(made.scans[0]))[0].value


def test_the_first_healthy_server_is_read(pair: tuple[UaPeer, UaPeer]) -> None:
    """Else the best of all, and what is not the first one typed is remarked."""
    first, second = pair

    async def main() -> None:
        made = of_both(first.url, second.url)
        for levels, wanted in (((255, 255), 1.0), ((150, 255), 2.0), ((150, 100), 1.0), ((0, 1), 2.0)):
            await level(first, levels[0])
            await level(second, levels[1])
            plc = collector(made)
            await plc.open()
            assert await value(plc, made) == wanted
            assert any(second.url in line for line in plc.remarks()) == (wanted == 2.0)
            await plc.close()

    run(main())


def test_a_server_that_does_not_answer_is_stood_in_for_and_not_gone_back_to(pair: tuple[UaPeer, UaPeer]) -> None:
    """The other is read after the loss, and stays in use when the first is back."""
    first, second = pair

    async def main() -> None:
        async with Wire(first.port) as wire:
            made = of_both(wire.url, second.url)
            plc = collector(made)
            await plc.open()
            assert await value(plc, made) == 1.0
            wire.cut()
            await failure(plc, made)
            await plc.open()
            assert await value(plc, made) == 2.0
            await plc.close()
            await plc.open()
            assert await value(plc, made) == 2.0
            await plc.close()

    run(main())


def test_a_server_that_says_it_is_degraded_is_left_for_a_better_one(
    pair: tuple[UaPeer, UaPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a bad value between; what the first had brought is handed out too."""
    first, second = pair
    monkeypatch.setattr(redundancy, "HOLD_S", 0.1)
    monkeypatch.setattr("collectors.opcua.collector.LEVEL_S", 0.05)

    async def main() -> None:
        made = of_both(first.url, second.url)
        plc = collector(made)
        await plc.open()
        assert await value(plc, made) == 1.0
        await level(first, 100)
        rows = await until(plc, made, lambda rows: any(row.value == 2.0 for row in rows))
        assert {row.quality for row in rows} == {0}
        assert any(f"{second.url} is read now, ServiceLevel 255" in line for line in plc.remarks())
        await plc.close()

    run(main())


def test_when_no_server_answers_the_error_names_each() -> None:
    """And why."""

    async def main() -> None:
        urls = ("opc.tcp://127.0.0.1:9", "opc.tcp://127.0.0.1:10")
        plc = collector(of_both(*urls, wait=1.0))
        with pytest.raises(AssetError) as caught:
            await plc.open()
        assert all(url in str(caught.value) for url in urls)
        await plc.close()

    run(main())
