"""Reads one Logix controller: the shell around `driver` (the library), `symbols`, `decode` and `plan`.

    open    session, identity, connection, tag list; a device without a tag list is asked for each typed tag instead
    read    the requests of a pass; then the change counts: had the program been changed, the values are thrown away,
            the tag list is read again, and the pass repeated. So a value never stands under the name of another tag
            whose instance number it was read by
    close   connection and session are closed, or the socket dropped if the device does not answer

The library blocks, so it runs in one thread of this collector's own; the thread touches nothing else. Any failure of
the connection ends it: the driver is thrown away and `open` builds a new one. Where the device had answered in the
pass, or the connection failed at the same request before, that is done within the pass, and the failure costs that
request: `suspects` finds the tag, which is set aside.

The time of a value is the middle of request and reply of its pass: CIP reads carry no time of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

from pycomm3 import PycommError

from collectors.base import Collector, Device, Draft, Facts, Identity, Request, Scan
from collectors.enip import browse, config, decode, prepared_pass
from collectors.enip import plan as planning
from collectors.enip.driver import Depth, Driver, NotConnected
from collectors.enip.failures import asset_error, is_timeout
from collectors.enip.suspects import Suspects
from collectors.enip.symbols import Symbols
from collectors.guard import Guard, WriteRefused
from collectors.settings import linear
from protocol.content.sample import Columns, Quality, concat
from protocol.errors import AssetError

ASIDE_NS = 3600 * 10**9
"""A tag at whose reading the device hung up is asked for again so long after it [ns]."""

MOST_FAILED = 2
"""Requests of a pass at which the connection may fail before the rest is left out."""

NO_PACKETS = (
    "the device knows no Multiple Service Packet and is asked for each tag by itself; "
    "write one_request_a_tag = true, so that plan and budget count so"
)

RENEW_NS = 60_000_000_000
"""Where a device tells no change counts, its tags are looked up again this long after one was not found [ns]."""

_Result = TypeVar("_Result")
_log = logging.getLogger("checkvalve.enip")


class LogixCollector(Collector):
    """One ControlLogix, CompactLogix or Micro800, or another device that answers Read Tag."""

    protocol: ClassVar[str] = "enip"
    offers = frozenset({"never_read", "range"})

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__(device, clock=clock, refused=refused)
        self._config = config.load(device)
        self._items = {item.point.number: item for items in self._config.scans for item in items}
        self._refusals: list[str] = []
        self.guard = Guard(device.name, self._refusals.append)
        self._pool: ThreadPoolExecutor | None = None
        self._driver: Driver | None = None
        self._symbols = Symbols({})
        self._changes: bytes | None = None
        self._plans: dict[tuple[int, ...], tuple[decode.Plan, list[prepared_pass.Packet]]] = {}
        self._apart: frozenset[str] = frozenset()
        """Structures that the device does not give whole."""
        self._broken: frozenset[str] = frozenset()
        """Structures at whose reading the connection fails."""
        self._suspects = Suspects()
        self._convicted: dict[int, str] = {}
        """Items that were set aside in a pass, and what was asked for them."""
        self._facts: dict[int, Facts] = {}
        self._identity = Identity()
        self._renewed_ns = 0
        self._aside: dict[int, tuple[str, int]] = {}
        """Items at whose reading the device hung up: what happened, and until when they are not asked for [ns]."""
        self._suspect: int | None = None
        """The item at which the connection failed once."""
        self._lost: dict[int, str] = {}
        """Why an item has no values."""
        self._told: set[str] = set()
        self._lines: list[str] = []

    @classmethod
    def check(cls, device: Device) -> list[str]:
        """Every mistake in the url, the settings and the points."""
        return config.mistakes(device)

    @classmethod
    def stated(cls, device: Device) -> Mapping[int, Facts]:
        """Scaled values: what makes them, and that they are float64; all else the controller knows."""
        items = [config.item_of(point, []) for point in device.points]
        return {
            number: Facts(type="float64", conversion=linear(item.scale, item.offset).strip())
            for item in items
            if item is not None and item.scale is not None
            for number in item.numbers
        }

    @classmethod
    def plan(cls, device: Device) -> list[Request]:
        """Every read request one pass over each scan would send, at most; no traffic."""
        return planning.requests(device, config.load(device))

    async def open(self) -> None:
        """Connect and learn the tags. Raises AssetError."""
        await self.close()
        pool = self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"enip-{self.device.name}")
        await self._run(lambda: self._enter(pool))

    async def read(self, scan: Scan) -> Columns:
        """One pass. Raises AssetError for the whole device."""
        return await self._run(lambda: self._pass(scan))

    async def close(self) -> None:
        """Let go of the device; never raises."""
        driver, self._driver = self._driver, None
        pool, self._pool = self._pool, None
        if driver is not None and pool is not None:
            leaving = asyncio.get_running_loop().run_in_executor(pool, driver.leave)
            try:
                await asyncio.wait_for(asyncio.shield(leaving), self.device.timeout_s)
            except TimeoutError:
                driver.transport.abort()
        if pool is not None:
            pool.shutdown(wait=False)

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        """The tag list as a draft of the asset's section; of `ranges`, patterns of names, where they are given."""
        tables, notes = await self._run(lambda: self._browse(ranges))
        return Draft(identity=self.identity(), tags=tuple(tables), notes=tuple(notes))

    def troubles(self) -> Sequence[str]:
        """Tags without values, and why."""
        return [f"{self._items[number].point.name}: {text}" for number, text in sorted(self._lost.items())]

    def remarks(self) -> Sequence[str]:
        """The same, each once."""
        fresh = [line for line in (*self._lines, *self.troubles()) if line not in self._told]
        self._lines.clear()
        self._told.update(fresh)
        return fresh

    def facts(self) -> Mapping[int, Facts]:
        """Types, as the controller has them."""
        return self._facts

    def identity(self) -> Identity:
        """Vendor, product, firmware and serial number."""
        return self._identity

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        """Run in the thread; refusals are handed on, and whoever is cancelled does not leave the thread waiting."""
        if self._pool is None:
            raise AssetError("not connected", quality=Quality.BAD_NOT_CONNECTED)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except asyncio.CancelledError:
            if self._driver is not None:
                self._driver.transport.abort()
            raise
        finally:
            while self._refusals:
                self.refused(self._refusals.pop(0))

    # -- in the thread

    def _enter(self, pool: ThreadPoolExecutor) -> None:
        """Open at the greatest depth that the device bears; `pool` is no longer ours if the opening was given up."""
        depths = [Depth.LIST] * self._config.browse + [Depth.NAME, Depth.NOTHING]
        first: Exception | None = None
        before = len(self._aside)
        while depths:
            depth, known = depths[0], (self._suspect, len(self._aside))
            driver = Driver(
                self._config,
                self.guard,
                timeout_s=self.device.timeout_s,
                depth=depth,
                programs=self._config.programs,
                budget=self.budget,
            )
            if self._pool is not pool:
                return
            self._driver = driver
            try:
                driver.enter()
                if self._pool is not pool:
                    driver.leave()
                    return
                if self._config.one_request_a_tag:
                    driver.singly()
                self._learn(driver)
            except WriteRefused as error:
                self._drop(driver)
                raise asset_error(error) from error
            except Exception as error:  # noqa: BLE001 - the library raises nearly anything on replies it cannot read
                self._drop(driver)
                often = is_timeout(error) and len(self._aside) > before
                if (self._suspect, len(self._aside)) != known and not often:
                    continue  # once more, and at the second time without the tag at which it hung up
                first = error if first is None or isinstance(error, NotConnected) else first
                if not driver.transport.answered or is_timeout(error):
                    break  # nobody there, or too slow: asking for less does not help
                _log.warning("%s: not readable by %s, asking for less: %s", self.device.name, depth.name.lower(), error)
                depths.pop(0)
            else:
                self._identity = _identity(driver.info)
                return
        assert first is not None
        raise asset_error(first) from first

    def _learn(self, driver: Driver) -> None:
        """Look the configured tags up, in the tag list or by asking for each."""
        now = self.clock()
        for number in [number for number, held in self._aside.items() if held[1] <= now]:
            del self._aside[number]
            if number in self._convicted:
                self._suspects.doubt((self._convicted.pop(number),))
        if driver.depth is Depth.LIST:
            self._changes = driver.change_counts()
            if self._changes is None:
                driver.by_name()
            self._ask(driver, self._unlisted(driver))
        else:
            self._changes = None
            driver.forget()
            self._ask(driver, list(self._items.values()))
        self._renewed_ns = self.clock()
        self._symbols = Symbols(driver.tags)
        self._plans, self._apart = {}, frozenset()
        items = [item for number, item in self._items.items() if number not in self._aside]
        found = decode.plan(items, self._symbols, whole=self._config.whole, fenced=self._config.inside)
        self._lost = {lost.numbers.start: lost.text for lost in found.lost}
        self._lost |= {number: text for number, (text, _) in self._aside.items()}
        for line in self.troubles():
            _log.warning("%s: %s", self.device.name, line)
        self._facts = {
            number: Facts(type=take.type) for ask in found.asks for take in ask.takes for number in take.numbers
        }

    def _unlisted(self, driver: Driver) -> list[config.Item]:
        """Tags that the controller does not list, and may have all the same (Micro800, some of other makers)."""
        listed = {name.lower() for name in driver.tags}
        items = [
            item
            for item in self._items.values()
            if (item.address.scope + item.address.steps[0].name).lower() not in listed
        ]
        if items:
            driver.apart()
        return items

    def _ask(self, driver: Driver, items: Sequence[config.Item]) -> None:
        """Ask for tags by name, to learn their types; one at which the device hangs up is set aside."""
        for item in items:
            if item.point.number in self._aside:
                continue
            try:
                driver.learn(item.address, item.point.count)
            except (PycommError, OSError) as error:
                number = item.point.number
                if self._suspect == number:
                    text = f"the connection failed twice when {item.address} was asked for ({error}); it is set aside"
                    self._aside[number] = text, self.clock() + ASIDE_NS
                self._suspect = None if number in self._aside else number
                raise

    def _pass(self, scan: Scan) -> Columns:
        driver = self._driver
        if driver is None:
            raise AssetError("not connected", quality=Quality.BAD_NOT_CONNECTED)
        try:
            before = self._changes
            parts = self._read(driver, scan)
            if before is not None and self._held().change_counts() != before:
                self._renew(self._held())
                before = self._changes
                parts = self._read(self._held(), scan)
                if self._held().change_counts() != before:
                    raise AssetError("the program is being changed", quality=Quality.BAD_DEVICE_FAILURE)
            return concat(parts)
        except AssetError:
            self._drop(self._driver or driver)
            raise
        except Exception as error:
            self._drop(self._driver or driver)
            raise asset_error(error) from error

    def _held(self) -> Driver:
        """The driver, which may be another one than when the pass began."""
        if self._driver is None:
            raise AssetError("not connected", quality=Quality.BAD_NOT_CONNECTED)
        return self._driver

    def _read(self, driver: Driver, scan: Scan) -> list[Columns]:
        """Ask for the scan's tags, and once more for members of structures that cannot be read whole."""
        plan, prepared = self._plan(driver, scan)
        before = self.clock()
        try:
            answers, failed = self._answers(plan, prepared)
        except prepared_pass.NoPackets:
            self._lines.append(NO_PACKETS)
            driver.singly()
            self._plans.clear()
            return self._read(driver, scan)
        time_ns = (before + self.clock()) // 2
        refused = [place for place, ask in enumerate(plan.asks) if ask.parent and answers[place].status]
        if refused:
            self._apart |= {plan.asks[place].parent for place in refused}
            self._plans.clear()
            return self._read(driver, scan)
        lost = [one for one in plan.lost if one.numbers.start not in self._aside]
        gone = lost or any(status in decode.GONE or status == prepared_pass.TYPE_CHANGED for _, status in answers)
        if not failed and gone and self._changes is None and self.clock() - self._renewed_ns > RENEW_NS:
            self._renew(driver)
            return self._read(driver, scan)
        kept = [place for place in range(len(plan.asks)) if place not in failed]
        rows = decode.rows([plan.asks[place] for place in kept], [answers[place] for place in kept], time_ns)
        cut = [
            decode.Lost(numbers=take.numbers, quality=error.quality, text=str(error))
            for place, error in failed.items()
            for take in plan.asks[place].takes
        ]
        return [*rows, decode.lost_rows([*plan.lost, *cut], time_ns)]

    def _answers(
        self, plan: decode.Plan, packets: Sequence[prepared_pass.Packet]
    ) -> tuple[list[prepared_pass.Answer], dict[int, AssetError]]:
        """Answers to what the plan asks, and what has none since the connection failed at it, by place."""
        answers = [prepared_pass.Answer(None, prepared_pass.UNFIT)] * len(plan.asks)
        failed: dict[int, AssetError] = {}
        failures: list[AssetError] = []
        heard = False
        for packet in packets:
            places = [part.place for part in packet.parts]
            names = tuple(plan.asks[place].text for place in places)
            if len(failures) < MOST_FAILED:
                try:
                    got = prepared_pass.ask(self._held(), packet)
                except (prepared_pass.NoPackets, WriteRefused, AssetError):
                    raise
                except Exception as error:
                    failures.append(asset_error(error))
                    if not self._blamed(plan, places, names, error, heard=heard):
                        raise
                else:
                    heard = True
                    self._suspects.answered(names)
                    for place, answer in zip(places, got, strict=True):
                        answers[place] = answer
                    continue
            failed |= dict.fromkeys(places, failures[-1])
        return answers, failed

    def _blamed(
        self, plan: decode.Plan, places: Sequence[int], names: tuple[str, ...], error: Exception, *, heard: bool
    ) -> bool:
        """The connection failed at a request: whether it is that request's fault, and there is a new connection.

        Args:
            heard: The device answered another one in this pass.
        """
        known, silent = self._suspects.known(names), is_timeout(error)
        if silent and not heard and len(names) == 1:
            return False  # the device may be gone
        name, held, pool = self._suspects.failed(names), self._driver, self._pool
        if held is not None:
            self._drop(held)
        if not (known or heard) or pool is None:
            return False
        if name:
            self._set_aside(plan.asks[places[0]], f"the connection failed twice when {name} was asked for ({error})")
        before = self._changes
        self._enter(pool)
        if self._changes != before:
            raise AssetError("the program is being changed", quality=Quality.BAD_DEVICE_FAILURE)
        return True

    def _set_aside(self, ask: decode.Ask, text: str) -> None:
        """Ask for it seldom; for a structure that was read whole: for its members, each by itself."""
        if ask.parent:
            self._broken |= {ask.parent}
            return
        for number, item in self._items.items():
            if any(item.numbers.start <= take.numbers.start < item.numbers.stop for take in ask.takes):
                self._aside[number] = f"{text}; it is set aside", self.clock() + ASIDE_NS
                self._convicted[number] = ask.text

    def _plan(self, driver: Driver, scan: Scan) -> tuple[decode.Plan, list[prepared_pass.Packet]]:
        """What the scan asks, prepared when it is first read after the tag list was."""
        key = tuple(point.number for point in scan.points)
        if key not in self._plans:
            items = [self._items[number] for number in key if number not in self._aside]
            whole, fenced = self._config.whole, self._config.inside
            apart = self._apart | self._broken
            plan = decode.plan(items, self._symbols, whole=whole, apart=apart, fenced=fenced)
            for number in [number for number in key if number in self._aside]:
                text, numbers = self._aside[number][0], self._items[number].numbers
                plan.lost.append(decode.Lost(numbers=numbers, quality=Quality.BAD_COMMUNICATION, text=text))
            names = [ask.text for ask in plan.asks]
            groups = self._suspects.parted(names)
            self._plans[key] = (
                plan,
                [packet for group in groups for packet in prepared_pass.prepare(driver, names, group)],
            )
        return self._plans[key]

    def _renew(self, driver: Driver) -> None:
        """Read the tag list again; other types need another catalog, and so another `open`."""
        known = self._facts
        if driver.depth is Depth.LIST:
            driver.reload(programs=self._config.programs)
        self._learn(driver)
        if self._facts != known:
            raise AssetError("the program was changed: tags have other types", quality=Quality.BAD_CONFIGURATION)

    def _browse(self, ranges: Sequence[str]) -> tuple[list[dict[str, object]], list[str]]:
        driver = self._driver
        if driver is None or driver.depth is not Depth.LIST:
            return [], ["the device gives no tag list; type the addresses"]
        try:
            if not self._config.programs:
                driver.reload(programs=True)
                self._learn(driver)
            return browse.draft(driver.tags, wanted=ranges, forbids=self._config.forbids)
        except Exception as error:
            self._drop(driver)
            raise asset_error(error) from error

    def _drop(self, driver: Driver) -> None:
        """Throw a driver away; nothing is said to a device that did not answer as it should."""
        if self._driver is driver:
            self._driver = None
        driver.transport.close()


def _identity(told: Mapping[str, Any]) -> Identity:
    revision = told.get("revision") or {}
    return Identity(
        vendor=str(told.get("vendor", "")),
        model=str(told.get("product_name", "")),
        firmware=f"{revision['major']}.{revision['minor']}" if revision else "",
        serial=str(told.get("serial", "")),
    )
