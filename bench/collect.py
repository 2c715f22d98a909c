"""Collectors beside the bare library's best loop over the same devices and the same requests, turn by turn.

    collect.modbus            16 devices x 1,000 registers (500 float32), one loop, full speed; wall time
    collect.modbus.scattered  requests that serve 100 float32, one somewhere in each 20 of 2,000 registers, max_gap 32
    collect.opcua.subscribe   cores used for 5,000 nodes that change at 1 Hz; `lost`: changes that never came
    collect.opcua.poll        5,000 nodes, read as fast as the server answers
    collect.enip.tags         1,000 named DINT tags of one controller
    collect.enip.array        ten INT[1000] of one controller
    collect.fleet             see `bench.fleet`

Devices run in a process of their own on the same machine (`bench.field`), so a figure holds both ends' share of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from bench import fleet, sim
from bench.field import ARRAY, ARRAYS, HOST, ModbusDevice, field
from bench.figures import BenchRow, undisturbed
from collectors.base import Collector, Device, numbered

DEVICES, REGISTERS = 16, 1000
NODES = 5000
TAGS = 1000
SECONDS = 1.0
"""One turn of a rate."""
LISTEN_S = 10
"""Time of a subscription that is counted [s]; whole seconds, since every node changes once in each."""

SETTLE_S = 3
"""Before it is counted [s]."""

Turn = Callable[[], Awaitable[float]]


def measure(runs: int = 7) -> list[BenchRow]:
    """Every `collect.*` row, and those of the simulated devices.

    Args:
        runs: Turns of each rate; the subscription takes at most 3, the fleet one long one.
    """
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    with undisturbed():
        rows = [_modbus(runs), _scattered(runs), _subscribe(min(runs, 3)), _poll(runs), *_enip(runs)]
    rows += fleet.measure()
    return rows + _simulator(runs)


SIMULATOR = {
    "sim.modbus": "requests/s",
    "sim.enip": "tags/s",
    "sim.opcua.ready": "s",
    "sim.opcua.changes": "changes/s",
    "sim.large.cpu": "cores",
    "sim.large.rss": "MB",
}
"""Rows of `bench.sim`, and their units."""


def _simulator(runs: int) -> list[BenchRow]:
    """Its own rows; what could not be measured (a port that somebody else has) is said, and costs no other row."""
    try:
        return list(sim.measure(runs))
    except (RuntimeError, OSError) as error:
        why = f"could not be measured: {str(error).strip().splitlines()[-1]}"
        return [BenchRow(row=name, unit=unit, note=why) for name, unit in SIMULATOR.items()]


def device(url: str, tags: Sequence[Mapping[str, Any]], **settings: Any) -> Device:
    """One scan of these tags."""
    return Device(name="d", url=url, kind="process", settings=settings, scans=numbered([(1.0, tags)]), timeout_s=10.0)


def load(name: str) -> type[Collector]:
    """The collector of this kind, as `checkvalve send` loads it."""
    from collectors import registry

    return registry.load(name)


def opened(name: str, made: Device) -> Collector:
    """A collector of it, not opened yet."""
    return load(name)(made, clock=time.time_ns, refused=_refused)


def _refused(line: str) -> None:
    raise RuntimeError(line)


async def turns(runs: int, ours: Turn, bare: Turn) -> tuple[tuple[float, ...], float]:
    """Both by turns, after one of each that does not count: what ours gave, and the bare median."""
    await ours()
    await bare()
    taken: list[tuple[float, float]] = [(await ours(), await bare()) for _ in range(runs)]
    return tuple(one for one, _ in taken), median(other for _, other in taken)


async def rate(once: Callable[[], Awaitable[Any]], units: float) -> float:
    """Units a second of wall time."""
    begun, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < SECONDS:
        await once()
        done += 1
    return done * units / spent


def _modbus(runs: int) -> BenchRow:
    """All devices at once, each as fast as it answers."""
    from pymodbus.client import AsyncModbusTcpClient

    async def main(ports: list[int]) -> tuple[tuple[float, ...], float]:
        tags = [{"name": "f", "at": "holding:0", "type": "float32", "count": REGISTERS // 2}]
        plcs = [opened("modbus", device(f"tcp://{HOST}:{port}", tags)) for port in ports]
        clients = [AsyncModbusTcpClient(HOST, port=port, retries=0) for port in ports]
        for plc, client in zip(plcs, clients, strict=True):
            await plc.open()
            await client.connect()

        async def whole(client: AsyncModbusTcpClient) -> None:
            for start in range(0, REGISTERS, 125):
                assert len((await client.read_holding_registers(start, count=125)).registers) == 125

        async def ours() -> float:
            return sum(await asyncio.gather(*[rate(partial(one.read, one.device.scans[0]), REGISTERS) for one in plcs]))

        async def bare() -> float:
            return sum(await asyncio.gather(*[rate(partial(whole, client), REGISTERS) for client in clients]))

        try:
            return await turns(runs, ours, bare)
        finally:
            for plc, client in zip(plcs, clients, strict=True):
                await plc.close()
                client.close()

    with field("modbus", DEVICES) as ports:
        taken, baseline = asyncio.run(main(ports))
    note = f"{DEVICES} devices x {REGISTERS} registers in reads of 125, decoded to float32; bare: pymodbus, not decoded"
    return BenchRow(row="collect.modbus", unit="registers/s", runs=taken, baseline=baseline, note=note)


def _scattered(runs: int) -> BenchRow:
    """Requests that a server counts; each run scatters anew, from its number."""

    async def asked(seed: int, gap: int) -> float:
        dice = random.Random(seed)
        places = [20 * number + dice.randrange(19) for number in range(100)]
        tags = [{"name": f"f{at}", "at": f"holding:{at}", "type": "float32"} for at in places]
        async with await asyncio.get_running_loop().create_server(ModbusDevice, HOST, 0) as server:
            made = device(f"tcp://{HOST}:{server.sockets[0].getsockname()[1]}", tags, max_gap=gap)
            plc = opened("modbus", made)
            await plc.open()
            before = ModbusDevice.asked
            await plc.read(made.scans[0])
            await plc.close()
        return float(ModbusDevice.asked - before)

    taken = tuple(asyncio.run(asked(seed, 32)) for seed in range(runs))
    without = median(asyncio.run(asked(seed, 0)) for seed in range(runs))
    note = f"seeds 0 to {runs - 1}; counted by the server; baseline: max_gap 0, where only neighbours share a request"
    return BenchRow(row="collect.modbus.scattered", unit="requests", runs=taken, baseline=without, note=note)


def _subscribe(runs: int) -> BenchRow:
    """Processor time of this process while every node changes once a second."""

    async def main(port: int) -> tuple[list[float], int]:
        tags = [{"name": f"n{number}", "at": f"ns=2;i={number}", "type": "int64"} for number in range(1, NODES + 1)]
        made = device(f"opc.tcp://{HOST}:{port}/", tags)
        plc = opened("opcua", made)
        await plc.open()
        cores: list[float] = []
        renewed: list[list[int]] = [[] for _ in range(NODES)]

        async def hear(seconds: float) -> None:
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                await asyncio.sleep(1.0)
                got = await plc.read(made.scans[0])
                for tag, value in zip(got.tag.tolist(), got.ints.tolist(), strict=True):
                    renewed[tag].append(value)

        await hear(SETTLE_S)  # what changed while the items were being made was never promised
        renewed = [values[-1:] for values in renewed]
        for _ in range(runs):
            spent, begun = time.process_time(), time.perf_counter()
            await hear(LISTEN_S)
            cores.append((time.process_time() - spent) / (time.perf_counter() - begun))
        await plc.close()
        return cores, sum(values[-1] - values[0] + 1 - len(set(values)) for values in renewed)

    with field("opcua", 1, NODES) as ports:
        cores, lost = asyncio.run(main(ports[0]))
    note = (
        f"{NODES} nodes at 1 Hz for {runs} x {LISTEN_S} s; each node counts its changes, lost: numbers that never came"
    )
    return BenchRow(row="collect.opcua.subscribe", unit="cores", runs=tuple(cores), lost=lost, note=note)


def _poll(runs: int) -> BenchRow:
    """The same nodes, asked for."""
    from asyncua import Client, ua

    async def main(port: int) -> tuple[tuple[float, ...], float]:
        url = f"opc.tcp://{HOST}:{port}/"
        tags = [{"name": f"n{number}", "at": f"ns=2;i={number}", "type": "int64"} for number in range(1, NODES + 1)]
        made = device(url, tags, mode="poll")
        plc = opened("opcua", made)
        await plc.open()
        async with Client(url, timeout=10) as client:
            nodes = [client.get_node(ua.NodeId(number, 2)) for number in range(1, NODES + 1)]
            try:
                return await turns(
                    runs,
                    lambda: rate(lambda: plc.read(made.scans[0]), NODES),
                    lambda: rate(lambda: client.read_attributes(nodes), NODES),
                )
            finally:
                await plc.close()

    with field("opcua", 1, NODES) as ports:
        taken, baseline = asyncio.run(main(ports[0]))
    note = f"{NODES} nodes that change at 1 Hz; bare: asyncua read_attributes, all in one request"
    return BenchRow(row="collect.opcua.poll", unit="values/s", runs=taken, baseline=baseline, note=note)


def _enip(runs: int) -> list[BenchRow]:
    """Rows of a Logix controller: tags read by name, and arrays."""
    names = [f"Tag_{number:05}" for number in range(TAGS)]
    arrays = [f"Array_{number}" for number in range(ARRAYS)]
    with field("logix", 1, TAGS) as ports:
        tags = asyncio.run(_logix(ports[0], [{"name": one, "at": one} for one in names], names, TAGS, runs))
        many = [{"name": one, "at": f"{one}[0]", "count": ARRAY} for one in arrays]
        bare = [f"{one}{{{ARRAY}}}" for one in arrays]
        whole = asyncio.run(_logix(ports[0], many, bare, ARRAYS * ARRAY, runs))
    return [
        BenchRow(
            row="collect.enip.tags",
            unit="tags/s",
            runs=tags[0],
            baseline=tags[1],
            note=f"{TAGS} DINT tags of one controller; bare: pycomm3 LogixDriver.read of all names",
        ),
        BenchRow(
            row="collect.enip.array",
            unit="values/s",
            runs=whole[0],
            baseline=whole[1],
            note=f"{ARRAYS} x INT[{ARRAY}]; bare: pycomm3 LogixDriver.read of the arrays",
        ),
    ]


async def _logix(
    port: int, tags: Sequence[Mapping[str, Any]], names: Sequence[str], units: int, runs: int
) -> tuple[tuple[float, ...], float]:
    from pycomm3 import LogixDriver

    made = device(f"enip://{HOST}:{port}", tags)
    plc = opened("enip", made)
    await plc.open()
    driver = LogixDriver(HOST)
    driver._cfg["port"] = port
    await asyncio.to_thread(driver.open)

    async def bare() -> None:
        assert all(one.error is None for one in await asyncio.to_thread(driver.read, *names))

    try:
        return await turns(runs, lambda: rate(lambda: plc.read(made.scans[0]), units), lambda: rate(bare, units))
    finally:
        await plc.close()
        await asyncio.to_thread(driver.close)
