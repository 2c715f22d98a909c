"""The collector keeps the laws that every collector keeps: `pytest test_line_collector.py`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from line_collector import LineCollector

from collectors.testing.contract import CollectorContract

CHANNELS = {"LEVEL": "4.25", "FLOW": "-12.5"}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The instrument."""
    while line := (await reader.readline()).decode().strip():
        word, _, rest = line.partition(" ")
        replies = {"READ": CHANNELS.get(rest, "ERR 2"), "LIST": " ".join(CHANNELS), "*IDN?": "Acme,LX-1,77,2.0"}
        writer.write(replies.get(word, "ERR 1").encode() + b"\n")
    writer.close()


class TestLineCollector(CollectorContract):
    """Every law, against the instrument above."""

    collector = LineCollector
    tags = ({"name": "level", "at": "LEVEL", "type": "float64"}, {"name": "flow", "at": "FLOW", "type": "float64"})
    planted = b"SET LEVEL 5\n"
    attempts = {"set": lambda plc: plc.ask("SET LEVEL 5"), "two": lambda plc: plc.ask("LIST\nSET LEVEL 5")}  # noqa: RUF012

    @asynccontextmanager
    async def device(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()

    def url(self, port: int) -> str:
        return f"lines://127.0.0.1:{port}"

    def heard(self, sent: bytes) -> list[tuple[str, bool]]:
        lines = sent.decode().splitlines()
        return [(line, line.split()[0] in ("READ", "LIST", "*IDN?")) for line in lines]
