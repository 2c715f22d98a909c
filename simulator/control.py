"""Breaking things while the plant runs: one line in, one line out, on 127.0.0.1.

    fault pump-7 late 0.5s at holding:0-9 x3      how it answers: `faults.Fault.parse`
    fault turbine-1 bad LubeOil.* bad_timeout     what is wrong inside: `troubles.Troubles.add`
    fault packaging-2 download                    a command: restart, download
    trip turbine-1 [NAME]                         a protection acts now, as it does by itself every quarter of an hour
    heal pump-7 [TEXT]                            that fault, or all faults of the asset, are gone
    list                                          every asset with its faults
    counts pump-7                                 what it was asked so far, as JSON

The answer begins with `ok` or `error`. So `echo "heal pump-7" | nc 127.0.0.1 PORT` is all the tool one needs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Protocol

from protocol.errors import ConfigError
from simulator.serving import listening

LINE_BYTES = 4096
"""Longest line taken [bytes]; a longer one ends the connection."""


class Breakable(Protocol):
    """The faults of one device."""

    def add(self, given: str, /) -> object:
        """Add what these words say. Raises ConfigError."""

    def remove(self, given: str, /) -> None:
        """Take away what was added with the same words."""

    def clear(self) -> None:
        """Take everything away."""

    def texts(self) -> list[str]:
        """Those there are, as `add` takes them."""


Counts = Mapping[str, Mapping[str, int]]
"""By asset, what happened so far."""


def _no_trip(asset: str, name: str) -> str:
    raise ConfigError(f"no trip {name or 'of ' + asset}", hint="this plant has none")


def obey(
    line: str,
    assets: Mapping[str, Breakable],
    counts: Callable[[], Counts] = dict,
    trip: Callable[[str, str], str] = _no_trip,
) -> str:
    """Carry out one line; the answer never holds a line break.

    Args:
        line: As it came.
        assets: What can be broken.
        counts: What happened so far.
        trip: Lets a protection of an asset act, by its name or the first there is; gives back its name.
    """
    word, _, rest = line.strip().partition(" ")
    asset, _, text = rest.strip().partition(" ")
    if word == "list":
        return "ok " + "; ".join(f"{name}: {', '.join(faults.texts()) or 'well'}" for name, faults in assets.items())
    if word not in ("fault", "heal", "counts", "trip"):
        return "error: write fault ASSET TEXT, heal ASSET [TEXT], trip ASSET [NAME], counts ASSET, or list"
    if asset not in assets:
        return f"error: no such asset; those that can be broken are {', '.join(assets)}"
    if word == "counts":
        return f"ok {json.dumps(dict(counts().get(asset, {})))}"
    faults = assets[asset]
    try:
        if word == "trip":
            return f"ok {asset} trips: {trip(asset, text.strip())}"
        if word == "fault":
            faults.add(text)
        elif text:
            faults.remove(text)
        else:
            faults.clear()
    except ConfigError as error:
        return f"error: {error}; {error.hint}".replace("\n", " ")
    return f"ok {asset}: {', '.join(faults.texts())}" if faults.texts() else f"ok {asset} is well"


async def open_control(
    assets: Callable[[], Mapping[str, Breakable]],
    port: int,
    counts: Callable[[], Counts] = dict,
    trip: Callable[[str, str], str] = _no_trip,
) -> tuple[asyncio.Server, int]:
    """Listen for lines on 127.0.0.1 at the port or the next free one above; gives back the port it got."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write((obey(line.decode("utf-8", "replace"), assets(), counts, trip) + "\n").encode())
                await writer.drain()
        except (ValueError, ConnectionError, asyncio.CancelledError):
            pass  # too long a line, a client that went, or the end of the plant: this connection is over
        finally:
            writer.close()

    listener = listening("127.0.0.1", port)
    return await asyncio.start_server(serve, sock=listener, limit=LINE_BYTES), int(listener.getsockname()[1])
