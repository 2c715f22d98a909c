"""One request without a usable answer costs that request, not the device, and no value stands under another name."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from modbus_field import Asked, Field, Reader, good

from protocol.content.sample import Quality


def run(main: Coroutine[Any, Any, None]) -> None:
    """In an event loop that fails the test where something was left to its exception handler."""
    unhandled: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        await main

    asyncio.run(watched())
    assert not unhandled


def half_exception(asked: Asked) -> None:
    """Exception 2 whose header promises one byte more than comes."""
    frame = asked.exception(2)
    asked.send(frame[:5] + b"\x04" + frame[6:])


def half_reply(asked: Asked) -> None:
    """The first bytes of a right reply."""
    asked.send(asked.frame()[:-1])


def hung_up(asked: Asked) -> None:
    """The connection is closed instead of an answer."""
    asked.link.hang_up()


def silent(asked: Asked) -> None:
    """Nothing."""


def wrong_function(asked: Asked) -> None:
    """Input registers for holding ones."""
    asked.send(asked.frame(b"\4" + asked.data()[1:]))


def short(asked: Asked) -> None:
    """One register too few."""
    data = asked.data()
    asked.send(asked.frame(bytes([3, data[1] - 2]) + data[2:-2]))


def behind_gateway(asked: Asked) -> None:
    """The gateway has no reply of this one."""
    asked.send(asked.exception(11))


SPOILT: dict[Callable[[Asked], None], int] = {
    half_exception: Quality.BAD_TIMEOUT,
    half_reply: Quality.BAD_TIMEOUT,
    silent: Quality.BAD_TIMEOUT,
    hung_up: Quality.BAD_NOT_CONNECTED,
    wrong_function: Quality.BAD_DECODING,
    short: Quality.BAD_DECODING,
    behind_gateway: Quality.BAD_COMMUNICATION,
}


@pytest.mark.parametrize(("fault", "quality"), SPOILT.items(), ids=lambda one: getattr(one, "__name__", ""))
@pytest.mark.parametrize("at", [100, 1], ids=["a request of its own", "inside a block"])
def test_a_request_without_a_usable_answer_costs_itself_only(
    fault: Callable[[Asked], None], quality: int, at: int
) -> None:
    """Its neighbours come back, it is set aside with its own reason, and said to be."""

    async def main() -> None:
        async with Field(lambda asked: fault(asked) if asked.touches(at) else asked.send()) as field:
            field.values = {0: 150, 1: 151, 2: 152}
            reader = Reader(field.device([0, 1, 2, 100], wait=0.2))
            others = {0: 150, 1: 151, 2: 152, 100: 100}
            del others[at]
            passes = [await reader.read() for _ in range(12 if fault is behind_gateway else 8)]
            if at == 100 and fault is not behind_gateway:
                assert all(good(rows) == others for rows in passes)
            assert all(good(rows) == others for rows in passes[-3:])
            assert passes[-1][at].quality == quality
            before = len(field.reads)
            await reader.read()
            assert not any(one.touches(at) for one in field.reads[before:])
            assert [line for line in reader.remarks if f"(t{at})" in line and "set aside" in line]
            (line,) = reader.plc.troubles()
            assert f"(t{at})" in line
            await reader.close()

    run(main())


@pytest.mark.parametrize("slow_first", [False, True])
def test_a_silent_scan_does_not_take_the_other_scan_with_it(slow_first: bool) -> None:
    """Whether its neighbour was read before it or not yet."""

    async def main() -> None:
        async with Field(lambda asked: None if asked.touches(100) else asked.send()) as field:
            reader = Reader(field.device([100], [0, 7], wait=0.1))
            order = (0, 1) if slow_first else (1, 0)
            for _ in range(4):
                for scan in order:
                    rows = await reader.read(scan)
                    assert good(rows) == ({0: 0, 7: 7} if scan else {})
                    assert reader.error is None
            assert [line for line in reader.remarks if "read holding 100..100 (t100)" in line]
            await reader.close()

    run(main())


def test_many_silent_requests_are_all_found() -> None:
    """Whatever order they stand in; a pass asks two in vain at most."""
    dead = [0, 10, 20, 40, 50]

    async def main() -> None:
        async with Field(lambda asked: None if asked.touches(*dead) else asked.send()) as field:
            reader = Reader(field.device([*dead, 30, 60], wait=0.05, retries=0))
            rows: dict[int, Any] = {}
            for _ in range(12):
                rows = await reader.read()
            assert good(rows) == {30: 30, 60: 60}
            before = len(field.reads)
            await reader.read()
            assert [one.start for one in field.reads[before:]] == [30, 60]
            await reader.close()

    run(main())


def test_a_device_that_is_gone_is_lost_and_convicts_nobody() -> None:
    """Silence of everything says nothing of a request; after it all are asked again."""

    async def main() -> None:
        async with Field() as field:
            reader = Reader(field.device([0, 10, 20], wait=0.05))
            assert len(good(await reader.read())) == 3
            field.habit = silent
            for _ in range(5):
                assert good(await reader.read()) == {}
            assert reader.error is not None
            assert reader.error.quality == Quality.BAD_TIMEOUT
            field.habit = Asked.send
            assert len(good(await reader.read())) == 3
            assert not reader.remarks
            await reader.close()

    run(main())


def test_a_device_that_dies_in_a_pass_keeps_what_was_read() -> None:
    """The rest is bad with the reason; the next pass finds it lost."""

    async def main() -> None:
        async with Field(lambda asked: None if asked.start >= 20 else asked.send()) as field:
            reader = Reader(field.device([0, 10, 20, 30, 40, 50], wait=0.05))
            rows = await reader.read()
            assert good(rows) == {0: 0, 10: 10}
            assert {row.quality for at, row in rows.items() if at >= 20} == {Quality.BAD_TIMEOUT}
            field.habit = silent
            assert await reader.read() == {}
            await reader.close()

    run(main())


def test_a_gentle_device_is_asked_the_plan_whatever_is_silent() -> None:
    """No block of it is cut, none is set aside, and its neighbours are good."""

    async def main() -> None:
        async with Field(lambda asked: None if asked.touches(100) else asked.send()) as field:
            reader = Reader(field.device([0, 1, 100, 101], kind="safety", wait=0.05, retries=0))
            for _ in range(4):
                before = len(field.reads)
                assert good(await reader.read()) == {0: 0, 1: 1}
                assert sorted(str(one.addresses) for one in field.reads[before:]) == ["range(0, 2)", "range(100, 102)"]
            await reader.close()

    run(main())


@pytest.mark.parametrize("after", [1, 2, 10])
@pytest.mark.parametrize("kind", ["process", "safety"])
def test_a_device_that_closes_after_some_replies_loses_no_value(after: int, kind: str) -> None:
    """A request that meets a connection closed since its last reply is sent once more on a new one."""

    def closing(asked: Asked) -> None:
        asked.send()
        if asked.link.asked >= after:
            asked.link.hang_up()

    async def main() -> None:
        async with Field(closing) as field:
            reader = Reader(field.device([0, 10, 20], kind=kind))
            for _ in range(10):
                assert good(await reader.read()) == {0: 0, 10: 10, 20: 20}
            await reader.close()

    run(main())


@pytest.mark.parametrize("rtu", [False, True])
def test_a_device_that_drops_a_request_with_the_connection_is_asked_again(rtu: bool) -> None:
    """It closed when the request was on its way: as many do that were idle for a while."""

    def dropping(asked: Asked) -> None:
        if asked.link.asked % 4 == 0:
            asked.link.hang_up()
        else:
            asked.send()

    async def main() -> None:
        async with Field(dropping, rtu=rtu) as field:
            reader = Reader(field.device([0, 10, 20]))
            for _ in range(8):
                assert good(await reader.read()) == {0: 0, 10: 10, 20: 20}
            assert reader.error is None
            await reader.close()

    run(main())


def test_a_device_that_closes_when_idle_is_good_in_every_pass() -> None:
    """The connection is gone before the pass begins, or just as it does."""

    async def main() -> None:
        async with Field() as field:
            field.joined = lambda link: asyncio.get_running_loop().call_later(0.03, link.hang_up)
            reader = Reader(field.device([0, 10, 20]))
            for _ in range(8):
                assert good(await reader.read()) == {0: 0, 10: 10, 20: 20}
                await asyncio.sleep(0.029)
            assert field.connections > 4
            await reader.close()

    run(main())


@pytest.mark.parametrize(("asked", "answered"), [(1, 0), (1, 255), (5, 1)])
def test_another_unit_in_the_reply_is_said_and_can_be_accepted(asked: int, answered: int) -> None:
    """The message names both, and the line to write."""

    async def main() -> None:
        async with Field(lambda one: one.send(one.frame(unit=answered))) as field:
            reader = Reader(field.device([0, 10], wait=0.05, unit=asked))
            assert await reader.read() == {}
            assert f"unit {answered} answered where {asked} was asked; reply_unit = {answered}" in str(reader.error)
            accepting = Reader(field.device([0, 10], unit=asked, reply_unit=answered))
            assert good(await accepting.read()) == {0: 0, 10: 10}
            await accepting.close()

    run(main())


@pytest.mark.parametrize("before", [b"\0", b"\xff", b"\xff\0", b"\1\3", b"\0\1\3"], ids=bytes.hex)
@pytest.mark.parametrize("behind", [b"", b"\0", b"\xff\xff"], ids=bytes.hex)
def test_stray_bytes_around_rtu_frames_cost_nothing(before: bytes, behind: bytes) -> None:
    """The checksum finds the frame."""

    async def main() -> None:
        async with Field(lambda asked: asked.send(before + asked.frame() + behind), rtu=True) as field:
            reader = Reader(field.device([0, 10, 11, 12, 700]))
            for _ in range(3):
                assert good(await reader.read()) == {at: at for at in (0, 10, 11, 12, 700)}
            await reader.close()

    run(main())


def test_rtu_frames_in_pieces_and_behind_an_echo_are_found() -> None:
    """Gateways pass a reply on byte by byte; some adapters hear what they send."""

    def piecemeal(asked: Asked) -> None:
        request = bytes([asked.unit]) + asked.pdu
        whole = request + request[:2] + asked.frame()
        for at in range(len(whole)):
            asked.later(0.0005 * at, whole[at : at + 1])

    async def main() -> None:
        async with Field(piecemeal, rtu=True) as field:
            reader = Reader(field.device([0, 10, 11, 12], wait=0.5))
            for _ in range(2):
                assert good(await reader.read()) == {at: at for at in (0, 10, 11, 12)}
            await reader.close()

    run(main())


@pytest.mark.parametrize("twice", [100, 200, 300])
@pytest.mark.parametrize("after", [0.0, 0.002, 0.01])
@pytest.mark.parametrize("framing", ["tcp", "rtu", "udp"])
@pytest.mark.parametrize("refused", [False, True])
def test_a_reply_that_comes_twice_is_no_other_value(twice: int, after: float, framing: str, refused: bool) -> None:
    """Where no number tells replies apart, one too many spoils the pass."""
    done = [False]

    def habit(asked: Asked) -> None:
        told = asked.frame(number=0)
        if asked.touches(twice) and not done[0]:
            done[0] = True
            told = asked.frame(bytes([0x83, 6]), number=0) if refused else told
            asked.later(after, told)
        asked.later(0.001, told) if asked.function < 5 else asked.send(asked.frame(number=0))

    async def main() -> None:
        async with Field(habit, rtu=framing == "rtu", udp=framing == "udp") as field:
            reader = Reader(field.device([100, 200, 300], wait=0.3))
            for _ in range(5):
                rows = good(await reader.read())
                assert all(value == at for at, value in rows.items())
            assert len(rows) == 3
            await reader.close()

    run(main())


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
@pytest.mark.parametrize(("late", "seed"), [(0.15, 7), (0.35, 8), (0.6, 9)])
def test_a_late_reply_is_never_another_value(framing: str, late: float, seed: int) -> None:
    """Of a gateway that answers every connection it has open, too."""
    chance = random.Random(seed)

    def habit(asked: Asked) -> None:
        seconds = late if chance.random() < 0.12 and asked.function < 5 else 0.002
        asked.later(seconds, asked.frame(number=0), everywhere=framing == "rtu")

    async def main() -> None:
        async with Field(habit, rtu=framing == "rtu") as field:
            reader = Reader(field.device([10, 30, 40], wait=0.1))
            wrong, right = [], 0
            loop = asyncio.get_running_loop()
            end = loop.time() + 1.2
            while loop.time() < end:
                rows = good(await reader.read())
                wrong += [(at, value) for at, value in rows.items() if at != value]
                right += len(rows)
                await asyncio.sleep(0.01)
            assert not wrong
            assert right
            await reader.close()

    run(main())


@pytest.mark.parametrize("number", [0, None])
def test_an_identification_that_comes_late_is_nobodys_value(number: int | None) -> None:
    """Its silence ends the connection on which it could still come."""

    def habit(asked: Asked) -> None:
        if asked.function == 43:
            asked.later(1.0, asked.frame(number=number))
        else:
            asked.later(0.03, asked.frame(number=number))

    async def main() -> None:
        async with Field(habit) as field:
            reader = Reader(field.device([10, 30, 40], wait=0.25))
            for _ in range(5):
                assert good(await reader.read()) == {10: 10, 30: 30, 40: 40}
            assert field.connections == 2
            await reader.close()

    run(main())


@pytest.mark.parametrize(("framing", "seed"), [("udp", 3), ("tcp", 4), ("rtu", 5)])
def test_a_lost_reply_is_asked_for_again_within_the_pass(framing: str, seed: int) -> None:
    """Three replies of a hundred are lost; hardly a sample is bad for it, and nothing is set aside."""
    chance = random.Random(seed)

    def habit(asked: Asked) -> None:
        if asked.function == 43 or chance.random() >= 0.03:
            asked.send()

    async def main() -> None:
        async with Field(habit, udp=framing == "udp", rtu=framing == "rtu") as field:
            wait = 3.0 if framing == "udp" else 0.03
            reader = Reader(field.device([0, 10, 11, 20, 21, 22, 30, 31, 32, 33], wait=wait))
            read = bad = 0
            for _ in range(60):
                rows = await reader.read()
                read += 10
                bad += 10 - len(good(rows))
            assert bad / read < 0.02
            assert not reader.remarks
            await reader.close()

    run(main())


def test_retries_can_be_left_out_and_stay_within_the_pass() -> None:
    """None where it says 0; none where the period is over."""

    async def asked(every: float, **settings: Any) -> int:
        async with Field(lambda asked: None if asked.touches(50) else asked.send()) as field:
            reader = Reader(field.device([0, 50], every=every, wait=0.05, **settings))
            await reader.read()
            await reader.close()
            return sum(one.touches(50) for one in field.reads)

    async def main() -> None:
        assert await asked(1.0, retries=0) == 1
        assert await asked(1.0) == 2
        assert await asked(1.0, retries=2) == 3
        assert await asked(0.06, retries=2) == 1

    run(main())


@pytest.mark.parametrize("code", [10, 11])
@pytest.mark.parametrize("identify", [True, False])
def test_a_gateway_that_does_not_reach_the_device_ends_the_pass(code: int, identify: bool) -> None:
    """One request, and the asset is down with the gateway's code; it is not asked for the others."""

    async def main() -> None:
        async with Field(lambda asked: asked.send(asked.exception(code))) as field:
            reader = Reader(field.device([0, 10, 20], kind="process" if identify else "safety"))
            assert await reader.read() == {}
            assert reader.error is not None
            assert (reader.error.quality, reader.error.native) == (Quality.BAD_COMMUNICATION, code)
            assert len(field.asked) == 1

    run(main())


def test_a_device_lost_behind_its_gateway_in_a_pass_is_down_in_the_next() -> None:
    """What was read before is kept."""

    async def main() -> None:
        async with Field(lambda asked: asked.send(asked.exception(11) if asked.touches(10, 20) else None)) as field:
            reader = Reader(field.device([0, 10, 20]))
            rows = await reader.read()
            assert good(rows) == {0: 0}
            assert {(rows[at].quality, rows[at].native) for at in (10, 20)} == {(Quality.BAD_COMMUNICATION, 11)}
            field.habit = behind_gateway
            assert await reader.read() == {}
            await reader.close()

    run(main())


async def _round(readers: list[Reader], seconds: float, every: float) -> list[int]:
    """All of them side by side, each once a period: how many good passes each had."""
    counts = [0] * len(readers)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def one(at: int) -> None:
        pause, up = 0.1, False
        while (begun := loop.time()) < end:
            rows = await readers[at].read()
            counts[at] += bool(rows) and len(good(rows)) == len(rows)
            assert all(row.value == address for address, row in rows.items() if row.quality == Quality.GOOD)
            up = bool(rows)
            pause = 0.1 if up else min(2 * pause, 1.0)
            await asyncio.sleep(max(0.0, begun + every - loop.time()) if up else pause)
        await readers[at].close()

    await asyncio.gather(*(one(at) for at in range(len(readers))))
    return counts


@pytest.mark.parametrize("rtu", [False, True])
def test_assets_behind_one_gateway_share_its_one_connection(rtu: bool) -> None:
    """The gateway closes every connection beside the first, and loses what is asked while it is busy."""
    busy = [0]

    def habit(asked: Asked) -> None:
        def told() -> None:
            busy[0] -= 1
            asked.send()

        busy[0] += 1
        if busy[0] == 1:
            asyncio.get_running_loop().call_later(0.002, told)

    async def main() -> None:
        async with Field(habit, rtu=rtu) as field:
            field.joined = lambda link: link.hang_up() if len(field.links) > 1 else None
            readers = [Reader(field.device([0, 10, 20], unit=unit)) for unit in (1, 2, 3)]
            counts = await _round(readers, 0.6, 0.05)
            assert field.connections == 1
            assert min(counts) >= 6
            assert {one.unit for one in field.reads} == {1, 2, 3}

    run(main())


@pytest.mark.parametrize("fault", [silent, behind_gateway])
@pytest.mark.parametrize("rtu", [False, True])
def test_a_silent_unit_costs_the_others_its_timeout_once_a_round(fault: Callable[[Asked], None], rtu: bool) -> None:
    """They are read between its attempts, however many tags it has."""

    async def main() -> None:
        async with Field(lambda asked: fault(asked) if asked.unit == 2 else asked.send(), rtu=rtu) as field:
            readers = [Reader(field.device([0, 10, 20], unit=unit, wait=0.1, late_ms=100)) for unit in (1, 2, 3)]
            counts = await _round(readers, 1.5, 0.1)
            assert counts[1] == 0
            assert min(counts[0], counts[2]) >= 9
            waited = [later.at - one.at for one, later in pairwise(field.asked) if one.unit == later.unit == 2]
            assert not waited, "two of its requests in a row, though others waited"

    run(main())


def test_assets_of_other_places_share_nothing() -> None:
    """Another port, or another framing, is another line."""

    async def main() -> None:
        async with Field() as one, Field() as other:
            readers = [Reader(field.device([0])) for field in (one, other, one)]
            for reader in readers:
                assert good(await reader.read()) == {0: 0}
            assert (one.connections, other.connections) == (1, 1)
            await readers[0].close()
            assert good(await readers[2].read()) == {0: 0}
            assert one.connections == 1
            for reader in readers:
                await reader.close()
            await asyncio.sleep(0.01)
            assert not one.links

    run(main())


def test_a_host_that_is_not_there_is_tried_once_for_all_who_wait() -> None:
    """Thirty assets behind it do not wait for thirty timeouts."""

    async def main() -> None:
        async with Field() as field:
            made = [field.device([0], unit=unit, wait=0.3) for unit in range(1, 31)]
        tried = [0]

        async def never(*_: Any, **__: Any) -> Any:
            tried[0] += 1
            await asyncio.sleep(0.02)
            raise OSError("no route")

        asyncio.get_running_loop().create_connection = never  # type: ignore[method-assign]
        readers = [Reader(one) for one in made]
        assert await asyncio.gather(*(reader.read() for reader in readers)) == [{}] * 30
        assert tried[0] == 1
        assert all("no route" in str(reader.error) for reader in readers)

    run(main())


@pytest.mark.parametrize("settings", [{}, {"one_request_a_tag": True}])
def test_a_device_that_fills_all_but_the_first_value_is_read_tag_by_tag(settings: dict[str, Any]) -> None:
    """Every reply of it holds the first value, and zeros behind."""

    def first_only(asked: Asked) -> None:
        data = asked.data()
        asked.send(asked.frame(data[:4] + bytes(max(0, len(data) - 4))))

    async def main() -> None:
        async with Field(first_only) as field:
            field.values = {0: 11, 1: 12, 2: 13}
            reader = Reader(field.device([0, 1, 2], **settings))
            wanted = {0: 11, 1: 12, 2: 13} if settings else {0: 11, 1: 0, 2: 0}
            assert good(await reader.read()) == wanted
            await reader.close()

    run(main())
