"""The server at the other end: messages published all at once, each acknowledged by itself (the only I/O to it).

nats-py runs on an event loop, which here runs while a shipment is under way and not in between: a server that asks
meanwhile whether we are still there gets its answer with the next one, or has left, and the connection is made anew.
Its own reconnecting is off: what fails is known here, and is sent again as a whole.

Two things of nats-py 2.16 are mended here. It goes on without TLS, the password with it, where the server does not ask
for TLS, whatever the program asked for; and it counts a message's body alone against the server's `max_payload`, which
counts the headers too, and answers one too long by closing the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from nats import errors
from nats.aio.client import Client
from nats.js import api
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from receiver.outputs.nats.settings import NatsTable
from receiver.outputs.shipping.messages import ShippedMessage, messages
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer, cleaned
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.shipment import Shipment

CONNECT_S = 3
ANSWER_S = 10.0
"""Longest wait for the acknowledgement of a message [s]."""
SEND_S = 15.0
"""Longest time for a shipment [s]."""
ONE_TRY = {"max_reconnect_attempts": 1, "reconnect_time_wait": 0}
"""Two tries of a connection, one after the other: with 0 tries nats-py goes on for ever inside of `connect`."""
AT_ONCE = 512
"""Most messages without an answer."""
HEADERS = len(b"NATS/1.0\r\nNats-Msg-Id: \r\nNats-Expected-Stream: \r\n\r\n")

_BY_HAND = ("authorization", "authentication", "permissions", "certificate", "ssl", "tls", "account", "nkeys")
_FULL = (10023, 10047, 10077)
"""Insufficient resources; storage, or the stream's own bound with discard = new, is reached (`Server.full`)."""


class GuardedClient(Client):
    """A client that leaves before it says its name, where TLS is asked for and the server does not ask for it."""

    tls_wanted = False

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self.tls_wanted and not info.get("tls_required"):
            raise errors.Error("the server does not ask for TLS; nothing was told to it")
        await super()._process_info(info, initial_connection)


class NatsCourier(ServerCourier):
    """One stream."""

    def __init__(self, table: NatsTable, password: str) -> None:
        """
        Args:
            table: The settings.
            password: Secret; empty where none is asked for.
        """
        self._table, self._secret = table, password
        self._runner: asyncio.Runner | None = None
        self._client: GuardedClient | None = None
        self._stream: JetStreamContext | None = None
        self._gone = asyncio.Event()
        """Set when the connection is closed."""
        self._most_bytes = 0
        """Most of a message besides headers [bytes]; 0: the stream's settings are to be looked at."""
        self._said = ""
        self._notices: tuple[str, ...] = ()

    def send(self, shipment: Shipment) -> ServerAnswer:
        """Publish all of its messages, and wait for each answer."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(asyncio.wait_for(self._sent(shipment), SEND_S))
        except TimeoutError:
            self._leave()
            return ServerAnswer(Ruling.SLOW, f"no answer within {SEND_S:.0f} s", "look why the server is slow")
        except Unfit as error:
            self._most_bytes = 0
            return ServerAnswer(Ruling.HOLD, str(error), error.step)
        except (errors.Error, OSError, ValueError) as error:
            return self._failed(error)

    def close(self) -> None:
        """Leave the server and the loop."""
        self._leave()
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def notices(self) -> Sequence[str]:
        """What the stream's own settings can lose."""
        return self._notices

    async def _sent(self, shipment: Shipment) -> ServerAnswer:
        anew = self._client is None or not self._client.is_connected
        if anew:
            await self._connect()
        if not self._most_bytes:
            await self._look()
        whole = list(messages(shipment, self._most_bytes))
        for one in whole:
            if len(one.body) + len(one.id) > self._most_bytes:
                words = f"a message of {len(one.body)} bytes, the server takes {self._most_bytes} besides its headers"
                return ServerAnswer(Ruling.LARGE, words, refusal="too large", anew=anew)
        for at in range(0, len(whole), AT_ONCE):
            await self._all_published(shipment, whole[at : at + AT_ONCE])
        return ServerAnswer(Ruling.TAKEN, anew=anew)

    async def _all_published(self, shipment: Shipment, some: Sequence[ShippedMessage]) -> None:
        """Raises the first error, and at once where the connection is closed meanwhile."""
        gone: asyncio.Future[Any] = asyncio.ensure_future(self._gone.wait())
        each = [asyncio.ensure_future(self._published(shipment, one)) for one in some]
        together: asyncio.Future[Any] = asyncio.gather(*each)
        try:
            await asyncio.wait({gone, together}, return_when=asyncio.FIRST_COMPLETED)
            if not together.done():
                raise errors.ConnectionClosedError
            together.result()
        finally:
            for one in (gone, *each):
                one.cancel()
            await asyncio.gather(gone, together, *each, return_exceptions=True)

    async def _published(self, shipment: Shipment, one: ShippedMessage) -> None:
        assert self._stream is not None, "connected before"
        subject = ".".join((self._table.subject, token(shipment.site), token(one.asset)))
        headers = {"Nats-Msg-Id": one.id}
        await self._stream.publish(subject, one.body, ANSWER_S, self._table.stream, headers)

    async def _connect(self) -> None:
        await self._left()
        self._most_bytes = 0
        host, port = self._table.address()
        client = GuardedClient()
        options: dict[str, Any] = {"allow_reconnect": False, "connect_timeout": CONNECT_S, **ONE_TRY}
        if self._table.user:
            options |= {"user": self._table.user, "password": self._secret}
        elif self._secret:
            options["token"] = self._secret
        protection = self._table.protection()
        client.tls_wanted = protection != "off"
        if client.tls_wanted:
            ca_file = None if self._table.ca_file is None else str(self._table.ca_file)
            context = ssl.create_default_context(cafile=ca_file)
            if protection == "unverified":
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            options |= {"tls": context, "tls_hostname": host}
        self._said, self._gone = "", asyncio.Event()
        shown = f"[{host}]" if ":" in host else host
        self._client, self._stream = client, client.jetstream(timeout=ANSWER_S)
        await client.connect(f"nats://{shown}:{port}", error_cb=self._error, closed_cb=self._closed, **options)

    async def _look(self) -> None:
        client, stream = self._client, self._stream
        if client is None or stream is None:
            raise errors.ConnectionClosedError
        self._look_at((await stream.stream_info(self._table.stream)).config, client.max_payload)

    def _look_at(self, config: api.StreamConfig, max_payload: int) -> None:
        """Take in the stream's settings.

        Raises:
            Unfit: nothing can be sent to it.
        """
        if config.no_ack:
            raise Unfit("the stream acknowledges nothing (no_ack)", "make one that does")
        wanted = f"{self._table.subject}.*.*"
        if not any(covers(one, wanted) for one in config.subjects or ()):
            step = f"nats stream edit {self._table.stream} --subjects '{self._table.subject}.>'"
            raise Unfit(f"the stream takes {', '.join(config.subjects or ())}, not {wanted}", step)
        out = []
        bounds = ("max_bytes", "max_msgs", "max_msgs_per_subject")
        bounded = [name for name in bounds if (getattr(config, name) or -1) > 0]
        if config.discard != api.DiscardPolicy.NEW and bounded:
            text = "the stream drops its oldest messages when it is full, acknowledged and read or not"
            out.append(f"{text} ({', '.join(bounded)}, discard = old)")
        if config.storage == api.StorageType.MEMORY:
            out.append("the stream is kept in memory: a restart of the server empties it")
        if config.retention == api.RetentionPolicy.INTEREST:
            out.append("the stream keeps nothing that no consumer waits for (retention = interest)")
        self._notices = tuple(out)
        most = config.max_msg_size or -1
        self._most_bytes = (min(max_payload, most) if most > 0 else max_payload) - HEADERS - len(self._table.stream)

    def _failed(self, error: Exception) -> ServerAnswer:
        self._most_bytes = 0
        words = cleaned(self._said or f"{type(error).__name__}: {error}", self._secret)
        if isinstance(error, NotFoundError | NoStreamResponseError):
            step = f"nats stream add {self._table.stream} --subjects '{self._table.subject}.>' --discard new"
            return ServerAnswer(Ruling.HOLD, f"no stream {self._table.stream} there takes this: {words}", step)
        if isinstance(error, APIError):
            if error.err_code in _FULL:
                return ServerAnswer(Ruling.AGAIN, words, "the stream or the server's disk is full: give it room")
            return ServerAnswer(Ruling.HOLD, words, "mend the stream's settings, by the server's words")
        self._leave()
        if any(word in words.lower() for word in _BY_HAND):
            return ServerAnswer(Ruling.HOLD, words, "mend user, password_file, tls or the server's permissions")
        return ServerAnswer(Ruling.AGAIN, words, "start the server, or name the right one in url")

    async def _error(self, error: Exception) -> None:
        self._said = self._said or str(error)

    async def _closed(self) -> None:
        self._gone.set()

    def _leave(self) -> None:
        if self._runner is not None and self._client is not None:
            self._runner.run(self._left())

    async def _left(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is not None:
            with contextlib.suppress(errors.Error, OSError, TimeoutError):  # it is gone
                await asyncio.wait_for(client.close(), CONNECT_S)


class Unfit(Exception):
    """Nothing can be sent to this stream as it is set up."""

    def __init__(self, text: str, step: str) -> None:
        super().__init__(text)
        self.step = step


def token(text: str) -> str:
    """A name as one token of a subject: letters, digits, - and _ as they are, all else as %XX."""
    return quote(text, safe="").replace(".", "%2E").replace("~", "%7E") or "-"


def covers(taken: str, wanted: str) -> bool:
    """Whether a stream's subject takes every subject of a pattern."""
    theirs, ours = taken.split("."), wanted.split(".")
    for at, one in enumerate(theirs):
        if one == ">":
            return at < len(ours)
        if at >= len(ours) or (one != "*" and one != ours[at]):
            return False
    return len(theirs) == len(ours)
