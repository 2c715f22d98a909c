"""The laws that every collector keeps, as tests: subclass `CollectorContract`, name a device, run pytest.

    class TestMyCollector(CollectorContract):
        collector = MyCollector
        tags = ({"name": "level", "at": "LEVEL", "type": "float64"},)

        @asynccontextmanager
        async def device(self): ...         a device on 127.0.0.1, its port
        def url(self, port): ...            how the configuration names it
        def heard(self, sent): ...          the requests in recorded bytes, and which of them only read
        planted = b"SET LEVEL 5\\n"          a write, to prove that `heard` would find one
        attempts = {"set": ...}             every way in which the library could write

Between the collector and the device stands a `Wire`: it records what is sent, and can be cut, frozen or gone. Nothing
here knows a protocol, and nothing here is imported by the product. Tests wait for conditions, never for a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from collectors.testing.stand import DEADLINE_S, Stand, Wire
from protocol.content.sample import Quality, severity
from protocol.errors import ConfigError

YEAR_NS = 365 * 86_400 * 10**9


class CollectorContract(Stand):
    """Subclass it under a name that begins with `Test`; see the module's docstring."""

    # -- the configuration

    def test_a_sound_configuration_has_no_mistakes_and_every_mistake_is_named(self) -> None:
        """An unknown setting and an unknown key of a tag are told with their names, together; neither can be built."""
        sound = self._made(1)
        assert self.collector.check(sound) == []
        odd = [{**self.tags[0], "no_such_tag_key": 1}, *self.tags[1:]]
        wrong = self._made(1, tags=odd, settings={**self.settings, "no_such_setting": 1})
        told = "\n".join(self.collector.check(wrong))
        assert "no_such_setting" in told
        assert "no_such_tag_key" in told
        _raises(ConfigError, lambda: self._build(wrong))

    def test_a_tag_in_a_forbidden_range_is_a_mistake(self) -> None:
        """Where `never_read` is offered it is kept to before anything is sent."""
        if "never_read" in self.collector.offers:
            assert self.fence, "the collector offers never_read: name a `fence` over the first tag"
            fenced = replace(self._made(1), never_read=(self.fence,))
            assert any("never_read" in line for line in self.collector.check(fenced))

    def test_check_and_plan_send_nothing(self) -> None:
        """A plan is made of the configuration alone; it serves every point once a period at least."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            self._build(made)
            planned = self.collector.plan(made)
            points = sum(point.count for point in made.points)
            assert sum(one.points for one in planned) >= points
            assert all(one.what and one.every_s > 0 and one.request_bytes > 0 < one.reply_bytes for one in planned)
            assert wire.sent == []

        self._run(main)

    # -- reading

    def test_each_point_has_a_good_row_and_numbers_of_no_other_point(self) -> None:
        """A poll gives all of them at once; a subscription soon."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            async with self._opened(made) as plc:
                for _ in range(2):
                    rows = await self._rows(plc, made.scans[0])
                    assert {row.quality for row in rows.values()} == {Quality.GOOD}
                    assert all(row.value is not None for row in rows.values())
                    if plc.notifies(made):
                        break
                assert set(plc.facts()) <= set(rows)
                assert not [line for line in plc.remarks() if not isinstance(line, str)]
                held = plc.certificates().items()
                assert not [what for what, end_ns in held if not (isinstance(what, str) and isinstance(end_ns, int))]
            assert len(wire.sent) == 1, "one device, one connection"

        self._run(main)

    def test_a_step_of_the_wall_clock_spoils_no_sample(self) -> None:
        """The clock is information: steps of a year and back neither hold a read up nor make a good value bad."""
        moved = [0]

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            async with self._opened(made, clock=lambda: time.time_ns() + moved[0]) as plc:
                await self._rows(plc, made.scans[0])
                for step in (YEAR_NS, -YEAR_NS, 0):
                    moved[0] = step
                    got = await asyncio.wait_for(plc.read(made.scans[0]), DEADLINE_S)
                    assert not [row for row in got.rows() if severity(row.quality) == 2]

        self._run(main)

    # -- failing

    def test_a_device_that_is_not_there_is_an_asset_error(self) -> None:
        """`open` says so with bad quality; when the device has come, the same collector opens and reads."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            await wire.gone()
            plc = self._build(made)
            error = await self._failure(plc.open())
            assert severity(error.quality) == 2
            await plc.close()
            await wire.listen()
            await plc.open()
            await self._rows(plc, made.scans[0])
            await plc.close()

        self._run(main)

    def test_a_cut_connection_is_noticed_and_a_new_one_reads(self) -> None:
        """Values never go on as if nothing had been: either a bad AssetError, or a connection that is a new one."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            plc = self._build(made)
            await plc.open()
            await self._rows(plc, made.scans[0])
            wire.cut()
            error = await self._trouble(plc, made.scans[0], until=lambda: len(wire.sent) > 1)
            assert error is None or severity(error.quality) == 2
            await plc.close()
            await plc.open()
            rows = await self._rows(plc, made.scans[0])
            assert {row.quality for row in rows.values()} == {Quality.GOOD}
            await plc.close()

        self._run(main)

    def test_a_device_that_falls_silent_is_an_asset_error(self) -> None:
        """Silence ends within the timeouts, with bad quality; the device is read again once it speaks."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port, timeout_s=0.5)
            plc = self._build(made)
            await plc.open()
            await self._rows(plc, made.scans[0])
            wire.freeze()
            error = await self._trouble(plc, made.scans[0])
            assert error is not None
            assert severity(error.quality) == 2
            await plc.close()
            wire.cut()
            again = self._build(self._made(wire.port))
            await again.open()
            await self._rows(again, made.scans[0])
            await again.close()

        self._run(main)

    def test_whoever_is_cancelled_lets_go(self) -> None:
        """An `open` and a `read` that wait for a silent device end when cancelled; afterwards all works as before."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            plc = self._build(made)
            wire.freeze()
            await self._cancelled(plc.open(), wire, more_than=0)
            await plc.close()
            wire.cut()
            await plc.open()
            await self._rows(plc, made.scans[0])
            if not plc.notifies(made):
                wire.freeze()
                await self._cancelled(plc.read(made.scans[0]), wire, more_than=wire.total)
                await plc.close()
                wire.cut()
                await plc.open()
                await self._rows(plc, made.scans[0])
            await plc.close()

        self._run(main)

    def test_close_may_be_called_at_any_time(self) -> None:
        """Before `open`, twice, and after a failure; a closed collector's `read` is an AssetError."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            plc = self._build(made)
            await plc.close()
            await plc.open()
            wire.cut()
            await plc.close()
            await plc.close()
            error = await self._trouble(plc, made.scans[0])  # what had come before it was closed may come first
            assert error is not None
            assert severity(error.quality) == 2

        self._run(main)

    # -- read only, and gently

    def test_nothing_but_reads_is_ever_sent(self) -> None:
        """Open, read, discover and close are overheard; the very same ears hear a planted write."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            async with self._opened(made) as plc:
                await self._rows(plc, made.scans[0])
                await plc.discover(self.ranges)
            told = [one for sent in wire.sent for one in self.heard(bytes(sent))]
            assert told
            assert [what for what, reads in told if not reads] == []
            planted = self.heard(bytes(wire.sent[0]) + self.planted)
            assert [reads for _, reads in planted].count(False) == 1, "a planted write was not heard"

        self._run(main)

    def test_no_byte_of_a_write_leaves(self) -> None:
        """Each attempt is refused and reported once, sends nothing, and the connection reads on."""
        assert self.attempts, "name every way in which the library could write"

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            told: list[str] = []
            async with self._opened(made, refused=told.append) as plc:
                await self._rows(plc, made.scans[0])
                for name, attempt in self.attempts.items():
                    told.clear()
                    await self._refused(name, attempt(plc))
                    rows = await self._again(plc, made.scans[0])
                    assert len(told) == 1, f"{name}: reported {told}"
                    assert made.name in told[0]
                    assert not [row for row in rows if severity(row.quality) == 2], name
            told_of = [one for sent in wire.sent for one in self.heard(bytes(sent))]
            assert [what for what, reads in told_of if not reads] == []

        self._run(main)

    def test_a_gentle_device_is_asked_no_faster_than_allowed(self) -> None:
        """Requests of `open` and of reads at full speed stay within the budget, on one connection."""
        rate = 50.0

        async def main(wire: Wire) -> None:
            made = self._made(wire.port, kind="protection", requests_s=rate)
            assert self.collector.check(made) == []
            begun = time.monotonic()
            async with self._opened(made) as plc:
                for _ in range(5):
                    await asyncio.wait_for(plc.read(made.scans[0]), DEADLINE_S)
                took = time.monotonic() - begun
                asked = [one for sent in wire.sent for one in self.heard(bytes(sent))]
            assert len(wire.sent) == 1
            assert len(asked) <= 1 + rate + rate * took

        self._run(main)

    # -- commissioning

    def test_what_discover_drafts_can_be_read_unchanged(self) -> None:
        """The draft's tags have no mistakes, and each of them is read; a protocol without a list says so in notes."""

        async def main(wire: Wire) -> None:
            made = self._made(wire.port)
            async with self._opened(made) as plc:
                draft = await plc.discover(self.ranges)
            if not draft.tags:
                assert draft.notes
                return
            drafted = self._made(wire.port, tags=draft.tags)
            assert self.collector.check(drafted) == []
            async with self._opened(drafted) as plc:
                rows = await self._rows(plc, drafted.scans[0])
            assert {row.quality for row in rows.values()} == {Quality.GOOD}

        self._run(main)


def _raises(kind: type[Exception], work: Callable[[], object]) -> None:
    try:
        work()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")
