"""What every false device has in common: how it is started, which port it got, what it counted.

    async def serve(plant, section, host, port) -> Server

is the one function by which `main` starts a protocol. A server fills its image once from `plant.moment`, then on each
moment that `plant.listen` hands it, and answers from the image. It holds the port that was asked for or, if that is
taken, the next free one above; port 0 means any.
"""

from __future__ import annotations

import errno
import socket
from typing import Protocol

from protocol.errors import ConfigError

TRIES = 200
"""Ports tried upwards before giving up."""


class Server(Protocol):
    """A running false device."""

    @property
    def port(self) -> int:
        """The TCP port it listens on."""

    @property
    def counts(self) -> dict[str, int]:
        """What happened since the start: `connections`, `requests`, `refused` and what else the protocol counts."""

    async def close(self) -> None:
        """Stop listening and end every connection."""


def listening(host: str, port: int, *, backlog: int = 512) -> socket.socket:
    """A bound, listening, non-blocking TCP socket on `port` or the next free one above it.

    Raises:
        ConfigError: the address is not ours, or TRIES ports in a row are taken.
    """
    for wanted in range(port, min(port + TRIES, 65536)) if port else (0,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, wanted))
            listener.listen(backlog)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise ConfigError(f"{host}:{wanted}: {error.strerror}", hint="give an address of this machine") from error
        listener.setblocking(False)
        return listener
    raise ConfigError(f"{host}: no free port from {port} on", hint="give another port")
