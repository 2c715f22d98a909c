"""The server at the other end: one write, one look at its own counters, each with a time limit (the only I/O to it).

Writes go through influxdb-client, synchronously and as bytes. Its batching mode is not used: it drops lines after its
retries and shares one thread between all writers of a process. Its synchronous mode tries once and says what happened,
which is all that is wanted here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import urllib3
from influxdb_client import InfluxDBClient, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from receiver.outputs.influx.answer import WriteAnswer

CONNECT_S = 3.0
READ_S = 15.0
"""Time limits of a request [s]: a server that compacts takes some seconds, one that is gone must not hold us long."""
METRICS_BYTES = 4 * 1024 * 1024
"""Most of `/metrics` that is read [bytes]."""
MESSAGE_CHARACTERS = 500
"""Most of a server's words that is kept."""

_REFUSED = re.compile(r"^vm_rows_(?:invalid_total\{type=\"influx\"\}|ignored_total(?:\{.*\})?) ([0-9.e+]+)$", re.M)
_INSERTED = re.compile(r"^vm_rows_inserted_total\{type=\"influx\"\} ([0-9.e+]+)$", re.M)
_STARTED = re.compile(r"^process_start_time_seconds ([0-9.e+]+)$", re.M)


@dataclass(frozen=True, slots=True)
class ServerMetrics:
    """What a server says of itself."""

    started: float | None
    """When its process began [s since 1970]; None where it does not say."""
    victoria: bool
    """It is VictoriaMetrics: texts become 0 there, and an acknowledged line is in memory only for some seconds."""
    inserted: int
    """Rows it took in all, since its start; 0 where it does not say."""
    refused: int
    """Rows it took and threw away, same."""


class InfluxServer:
    """An InfluxDB v2 write endpoint."""

    def __init__(self, url: str, token: str, org: str, bucket: str) -> None:
        """
        Args:
            url: `http://host:port`.
            token: Secret; empty where none is asked for.
        """
        self._token = token
        self._bucket, self._org = bucket, org
        self._client = InfluxDBClient(
            url=url, token=token, org=org, timeout=(int(CONNECT_S * 1000), int(READ_S * 1000)), enable_gzip=False
        )
        self._write = self._client.write_api(write_options=SYNCHRONOUS)
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S))
        parts = urlsplit(url)
        self._metrics = urlunsplit((parts.scheme, parts.netloc, "/metrics", "", ""))

    def write(self, lines: bytes) -> WriteAnswer:
        """Send lines once; never raises for what a server or a network may do."""
        try:
            self._write.write(self._bucket, self._org, lines, write_precision=WritePrecision.NS)
        except ApiException as error:
            return WriteAnswer(int(error.status or 0), self._clean(_words(error)), _seconds(error.retry_after))
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return WriteAnswer(0, self._clean(f"{type(error).__name__}: {error}"))
        return WriteAnswer(204)

    def metrics(self) -> ServerMetrics | None:
        """Its own counters; None where it cannot be asked now (a server without them says so at once)."""
        headers = {"Authorization": f"Token {self._token}"} if self._token else {}
        try:
            answer = self._pool.request("GET", self._metrics, headers=headers, preload_content=False)
            try:
                body = answer.read(METRICS_BYTES, decode_content=True).decode(errors="replace")
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return None
        if answer.status == 429 or answer.status >= 500:
            return None
        if answer.status != 200:
            return ServerMetrics(started=None, victoria=False, inserted=0, refused=0)
        return read_metrics(body)

    def close(self) -> None:
        """Close all connections."""
        self._write.close()
        self._client.close()
        self._pool.clear()

    def _clean(self, words: str) -> str:
        words = " ".join(words.split())
        if self._token:
            words = words.replace(self._token, "***")
        return words[:MESSAGE_CHARACTERS]


def read_metrics(body: str) -> ServerMetrics:
    """What is wanted of a page of metrics in the text format of Prometheus."""
    started = _STARTED.search(body)
    return ServerMetrics(
        started=float(started[1]) if started else None,
        victoria="vm_rows_inserted_total" in body,
        inserted=sum(int(float(count)) for count in _INSERTED.findall(body)),
        refused=sum(int(float(count)) for count in _REFUSED.findall(body)),
    )


def _words(error: Any) -> str:
    message = error.message or error.reason or ""
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds; the form with a date is left to the usual waiting (RFC 9110, 10.2.3)."""
    try:
        return None if retry_after is None else float(retry_after)
    except ValueError:
        return None
