"""The server at the other end: one write, one look at its own counters, each with a time limit (the only I/O to it).

Requests go through influxdb-client, synchronously and as bytes. Its batching mode is not used: it drops lines after its
retries and shares one thread between all writers of a process. One try that says what happened is all that is wanted
here; and what happened is the status itself, as only a 204 is a yes.

InfluxDB before 1.8 has no `/api/v2/write` and answers 404: then `/write` is tried, with the bucket as its database. A
bucket `name/policy` names a retention policy too, as InfluxDB 1.8 has it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException

from protocol.errors import ConfigError
from receiver.outputs.influx.answer import TAKEN, WriteAnswer
from receiver.outputs.influx.quest_tables import stand
from receiver.outputs.influx.server_kind import INFLUXDB, QUESTDB, TELEGRAF, UNKNOWN, VICTORIA, ServerKind
from receiver.outputs.influx.server_metrics import NOTHING, ServerMetrics, read_metrics

CONNECT_S = 3.0
READ_S = 15.0
"""Time limits of a request [s]: a server that compacts takes some seconds, one that is gone must not hold us long."""
METRICS_BYTES = 4 * 1024 * 1024
"""Most of `/metrics` that is read [bytes]."""
V2, V1 = "/api/v2/write", "/write"
MESSAGE_CHARACTERS = 500
"""Most of a server's words that is kept."""


class InfluxServer:
    """A write endpoint for line protocol."""

    def __init__(
        self, url: str, token: Callable[[], str], org: str, bucket: str, kind: ServerKind | None = None
    ) -> None:
        """
        Args:
            url: `http://host:port`.
            token: Gives the secret, empty where none is asked for; asked again when the server refuses it.
            kind: What the settings say it is; None: it is asked.
        """
        self._given, self._read_token = kind, token
        self._kind = kind or UNKNOWN
        self._url, self._bucket, self._org = url, bucket, org
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S))
        self._begin(token())
        self.path = V1 if kind is QUESTDB else V2
        """Where lines are written to."""
        self._tables = False
        self.unreachable = False
        """Its counters could not be asked, as the connection failed."""

    def write(self, lines: bytes) -> WriteAnswer:
        """Send lines once; never raises for what a server or a network may do."""
        answer = self._sent(lines)
        if answer.status in (401, 403) and self._token_is_new():
            answer = self._sent(lines)
        return answer

    def _sent(self, lines: bytes) -> WriteAnswer:
        if self._kind is QUESTDB and not self._tables:
            missing = stand(self._statement)
            if missing is not None:
                return replace(missing, message=self._clean(missing.message))
            self._tables = True
        answer = self._post(lines)
        if answer.failed:
            self._tables = False  # what answers next may be another server, and empty
        if answer.status == 404 and self.path == V2:
            self.path = V1
            older = self._post(lines)
            if older.status != 404:
                return older
            self.path = V2
            answer = older if "database" in older.message else answer
        return answer

    def metrics(self) -> ServerMetrics | None:
        """Its own counters; None where it cannot be asked now (a server without them says so at once)."""
        found = self._get("/metrics")
        if found is None or found[0] == 429 or found[0] >= 500:
            return None
        told = read_metrics(found[2]) if found[0] == 200 else NOTHING
        kind = self._given or (told.kind if told.kind is VICTORIA else self._asked())
        self._kind = kind
        return ServerMetrics(started=told.started, kind=kind, inserted=told.inserted, refused=told.refused)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        self._pool.clear()

    def _begin(self, token: str) -> None:
        self._token = token
        self._admission = {"Authorization": _admission(token)} if token else {}
        timeout = (int(CONNECT_S * 1000), int(READ_S * 1000))
        self._client = InfluxDBClient(url=self._url, token="", org=self._org, timeout=timeout, enable_gzip=False)

    def _token_is_new(self) -> bool:
        try:
            token = self._read_token()
        except ConfigError:
            return False  # it is being replaced: the next try reads it
        if token == self._token:
            return False
        self._client.close()
        self._begin(token)
        return True

    def _post(self, lines: bytes) -> WriteAnswer:
        database, _, policy = self._bucket.partition("/")
        query = {"org": self._org, "bucket": self._bucket, "precision": "ns"}
        if self.path == V1:
            query = {
                "db": database,
                **({"rp": policy} if policy else {}),
                "precision": "n" if self._kind is QUESTDB else "ns",
            }
        headers = {"Content-Type": "text/plain; charset=utf-8", "Accept": "application/json", **self._admission}
        try:
            _, status, told = self._client.api_client.call_api(
                self.path,
                "POST",
                None,
                list(query.items()),
                headers,
                body=lines,
                post_params=[],
                files={},
                auth_settings=[],
                _return_http_data_only=False,
                collection_formats={},
            )
        except ApiException as error:
            return WriteAnswer(int(error.status or 0), self._clean(_words(error)), _seconds(error.retry_after))
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return WriteAnswer(0, self._clean(f"{type(error).__name__}: {error}"), timed_out=_slow(error))
        if status == TAKEN:
            return WriteAnswer(TAKEN)
        what = _header(told, "Content-Type") or "nothing said of its content"
        return WriteAnswer(
            int(status), self._clean(f"that is no answer of a write API ({what}); nothing counts as taken")
        )

    def _asked(self) -> ServerKind:
        """What it says it is, when it says no counters of VictoriaMetrics."""
        found = self._get("/ping")
        if found is None:
            return self._kind
        _, headers, _ = found
        if "questdb" in _header(headers, "Server").lower():
            return QUESTDB
        version = _header(headers, "X-Influxdb-Version")
        if version == "1.0":  # what Telegraf's listeners say
            return TELEGRAF
        return INFLUXDB if version or _header(headers, "X-Influxdb-Build") else UNKNOWN

    def _statement(self, statement: str) -> tuple[int, str] | None:
        """QuestDB's answer to a statement: status and text."""
        found = self._get("/exec", {"query": statement})
        return None if found is None else (found[0], found[2])

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> tuple[int, Mapping[str, str], str] | None:
        parts = urlsplit(self._url)
        url = urlunsplit((parts.scheme, parts.netloc, path, urlencode(query or {}), ""))
        try:
            answer = self._pool.request("GET", url, headers=self._admission, preload_content=False)
            try:
                body = answer.read(METRICS_BYTES, decode_content=True).decode(errors="replace")
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self.unreachable = not _slow(error)
            return None
        self.unreachable = False
        return answer.status, answer.headers, body

    def _clean(self, words: str) -> str:
        words = " ".join(words.split())
        for secret in (self._token, self._token.partition(":")[2], self._admission.get("Authorization", "")[6:]):
            words = words.replace(secret, "***") if secret else words
        return words[:MESSAGE_CHARACTERS]


def _words(error: Any) -> str:
    message = error.message or error.reason or ""
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds; the form with a date is left to the usual waiting (RFC 9110, 10.2.3)."""
    try:
        return None if retry_after is None else float(retry_after)
    except ValueError:
        return None


def _slow(error: Exception) -> bool:
    """It was connected, and did not answer in time."""
    reason = getattr(error, "reason", error)
    return isinstance(reason, urllib3.exceptions.ReadTimeoutError | TimeoutError) and not isinstance(
        reason, urllib3.exceptions.ConnectTimeoutError
    )


def _header(headers: Any, name: str) -> str:
    return str(next((value for key, value in dict(headers).items() if key.lower() == name.lower()), ""))


def _admission(secret: str) -> str:
    """NAME:PASSWORD as every server with users reads it (InfluxDB 1.6 knows no other), anything else as a token."""
    return f"Basic {b64encode(secret.encode()).decode()}" if ":" in secret else f"Token {secret}"
