"""`discover`: one look at one device, read only, and closed again whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable

from collectors.base import Collector, Device, Draft
from protocol.errors import AssetError, ConfigError


async def browse(kind: type[Collector], device: Device, say: Callable[[str], None]) -> Draft:
    """Open, browse and close.

    Args:
        kind: The device's collector.
        device: Without scans; `check` found nothing wrong.
        say: Takes a line for each request that the guard refused.

    Raises:
        ConfigError: the device does not answer, or not as its protocol asks.
    """
    collector = kind(device, clock=time.time_ns, refused=say)
    try:
        await collector.open()
        return await collector.discover()
    except AssetError as error:
        raise ConfigError(f"{device.url}: {error}", hint="is the address right, and is the device reachable?") from None
    finally:
        await collector.close()
