"""Reads an instrument that answers lines over TCP: `READ LEVEL` gives `4.25`, or `ERR 2` where there is no LEVEL.

`LIST` gives the channels' names, `*IDN?` maker, model, serial number and firmware. It also knows `SET`, which is why
the guard lets three words through and nothing else.
"""

import asyncio
import re
from collections.abc import Callable, Sequence

from collectors.base import Collector, Device, Draft, Identity, Request, Scan
from collectors.guard import Guard
from collectors.settings import POLLERS_KEYS, KeyReader, address, refuse
from protocol.content.sample import Columns, Quality, Row, from_rows
from protocol.errors import AssetError

ALLOWED = re.compile(r"READ [A-Z0-9_]+|LIST|\*IDN\?")


class LineCollector(Collector):
    """One instrument at `lines://host:port`."""

    protocol = "lines"

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__(device, clock=clock, refused=refused)
        if wrong := self.check(device):
            refuse(device.name, wrong)
        self.guard = Guard(device.name, refused)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._told = [""] * 4

    @classmethod
    def check(cls, device: Device) -> list[str]:
        wrong: list[str] = []
        address(device.url, "lines", 5555, wrong)
        KeyReader("lines", device.settings, wrong).done()
        for point in device.points:
            keys = KeyReader(f"tags.{point.name}", point.options, wrong)
            keys.done(POLLERS_KEYS)
            if not ALLOWED.fullmatch(f"READ {point.at}") or (point.type, point.count) != ("float64", 1):
                keys.wrong("at", f"{point.at!r} is no float64 channel", 'write at = "LEVEL", type = "float64"')
        return wrong

    @classmethod
    def plan(cls, device: Device) -> list[Request]:
        every = [(scan.every_s, f"READ {point.at}") for scan in device.scans for point in scan.points]
        return [Request(what=a, every_s=s, points=1, request_bytes=len(a) + 1, reply_bytes=12) for s, a in every]

    async def open(self) -> None:
        await self.close()
        connecting = asyncio.open_connection(*address(self.device.url, "lines", 5555, []))
        try:
            self._streams = await asyncio.wait_for(connecting, self.device.timeout_s)
        except OSError as error:
            raise AssetError(f"no connection: {error}", quality=Quality.BAD_NOT_CONNECTED) from error
        if not self.device.gentle:  # a safety system is asked for what is typed, and nothing else
            self._told = [*(await self.ask("*IDN?")).split(","), "", "", "", ""][:4]

    async def read(self, scan: Scan) -> Columns:
        rows = []
        for point in scan.points:
            sent = self.clock()
            value, quality, native = meaning(await self.ask(f"READ {point.at}"))
            rows.append(Row(point.number, (sent + self.clock()) // 2, value, quality, native))
        return from_rows(rows)

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        names = (await self.ask("LIST")).split()
        tags = [{"name": name.lower(), "at": name, "type": "float64"} for name in names]
        return Draft(identity=self.identity(), tags=tuple(tags))

    def identity(self) -> Identity:
        return Identity(**dict(zip(("vendor", "model", "serial", "firmware"), self._told, strict=True)))

    async def ask(self, line: str) -> str:
        if not ALLOWED.fullmatch(line):
            self.guard.refuse(line)  # raises: no byte has left
        if self._streams is None:
            raise AssetError("not connected", quality=Quality.BAD_NOT_CONNECTED)
        await self.budget.wait()
        try:
            self._streams[1].write(line.encode() + b"\n")
            reply = await asyncio.wait_for(self._streams[0].readuntil(), self.device.timeout_s)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:  # a timeout is an OSError
            raise AssetError(f"no reply to {line}: {error!r}", quality=Quality.BAD_COMMUNICATION) from error
        return reply.decode("ascii", "replace").strip()


def meaning(reply: str) -> tuple[float | None, int, int]:
    """Value, quality and the instrument's own code of a reply."""
    if code := re.fullmatch(r"ERR (\d+)", reply):
        return None, Quality.BAD_DEVICE_FAILURE, int(code[1])
    return (float(reply), 0, 0) if re.fullmatch(r"-?\d+(\.\d+)?", reply) else (None, Quality.BAD_DECODING, 0)
