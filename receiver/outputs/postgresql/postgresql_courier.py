"""The server at the other end: one transaction a shipment, with time limits (the only I/O to it).

COPY into `sample` is twice as fast as anything else, and fails as a whole at the first row that is known. It is what
is tried where nothing is expected to be there. After such a failure, and over a new connection, `PASS_OVER` shipments
go into a temporary table first and from there into `sample`, where what is known is passed over (ON CONFLICT).

The session asks for `synchronous_commit = on`, whatever the server's own default is: an answer to COMMIT then means
that the rows outlive a power cut, where the server's `fsync` is on.

What its errors mean goes by SQLSTATE (PostgreSQL manual, appendix A); an error before there is a session has none, and
is told by its words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from receiver.outputs.postgresql import database_tables as tables
from receiver.outputs.postgresql.copy_rows import COLUMNS, copy_rows
from receiver.outputs.postgresql.known_rows import Connection, KnownRows, one_value
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer, cleaned
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.shipment import Shipment

CONNECT_S = 3
STATEMENT_S = 15
"""Longest statement [s]: a checkpoint on a slow disk takes some seconds."""
LOCK_S = 3
"""Longest wait for a lock [s]: nobody queues behind us for longer."""
OLDEST = 120_000
"""PostgreSQL 12: partitions are attached there without stopping readers."""
BY_HAND = "mend url, user, password_file, tls or pg_hba.conf, by the server's words"
PASS_OVER = 16
"""Shipments after which nothing that is known is expected any more."""

_AT_START = re.compile(
    r"starting up|shutting down|recovery|too many (clients|connections)|remaining connection slots", re.I
)
_BY_HAND = re.compile(r"authentication|password|pg_hba|role |does not exist|permission|certificate|SSL|GSS", re.I)
_CLASSES = {
    "08": (Ruling.AGAIN, ""),
    "22": (Ruling.REFUSED, ""),
    "23": (Ruling.REFUSED, ""),
    "25": (Ruling.HOLD, "this is a standby, or the database is read-only: name the server that takes writes"),
    "28": (Ruling.HOLD, "mend user, password_file or pg_hba.conf"),
    "3D": (Ruling.HOLD, "make the database, or name the right one in url"),
    "3F": (Ruling.HOLD, "make the schema, or let this user make it: GRANT CREATE ON DATABASE .."),
    "40": (Ruling.AGAIN, ""),
    "42": (Ruling.HOLD, "let this user write the schema, or take away what stands under its names"),
    "53": (Ruling.AGAIN, "give the server room: its disk, memory or connections are used up"),
    "54": (Ruling.LARGE, ""),
    "55": (Ruling.AGAIN, ""),
    "57": (Ruling.AGAIN, ""),
}
_INCOMING = "pg_temp.checkvalve_incoming"


class PostgresqlCourier(ServerCourier):
    """One database."""

    def __init__(self, conninfo: Mapping[str, Any], schema: str) -> None:
        """
        Args:
            conninfo: What libpq is told, with the password.
            schema: Of the tables.
        """
        self._conninfo, self._schema = conninfo, schema
        self._secret = str(conninfo.get("password", ""))
        self._connection: Connection | None = None
        self._notices: tuple[str, ...] = ()
        self._known = KnownRows(schema)
        self._months: set[str] = set()
        self._partitioned = False
        self._pass_over = PASS_OVER
        self._unfit: tuple[str, str] | None = None
        """Why this server cannot be used, and what to do."""

    def send(self, shipment: Shipment) -> ServerAnswer:
        """One transaction, or none."""
        anew = self._connection is None or self._connection.closed
        try:
            connection = self._connect() if anew or self._connection is None else self._connection
            if self._unfit:
                self.close()  # to be looked at anew
                return ServerAnswer(Ruling.HOLD, *self._unfit)
            self._make_months(connection, shipment)
            stream_id = self._known.stream_id(connection, shipment)
            ids = self._known.series_ids(connection, shipment)
            rows = copy_rows(shipment, stream_id, [one[0] for one in ids], [one[1] for one in ids])
            self._store(connection, rows)
            return ServerAnswer(Ruling.TAKEN, anew=anew)
        except psycopg.Error as error:
            return self._failed(error)

    def close(self) -> None:
        """Leave the session; what was not committed is nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def notices(self) -> Sequence[str]:
        """What the server's own settings can lose."""
        return self._notices

    def _connect(self) -> Connection:
        self.close()
        self._known.clear()
        self._months.clear()
        limits: dict[str, Any] = {
            "connect_timeout": CONNECT_S,
            "keepalives_idle": 5,
            "tcp_user_timeout": STATEMENT_S * 1000,
        }
        connection = psycopg.connect(**self._conninfo, **limits, autocommit=True)
        try:
            connection.execute(f"SET statement_timeout = '{STATEMENT_S}s'")
            connection.execute(f"SET lock_timeout = '{LOCK_S}s'")
            connection.execute("SET synchronous_commit = on")
            connection.execute("SET timezone = 'UTC'")
            self._unfit = self._looked_at(connection)
            if not self._unfit:
                columns = ", ".join(f"{name} {sql}" for name, sql in COLUMNS.items())
                connection.execute(f"CREATE TEMPORARY TABLE checkvalve_incoming ({columns}) ON COMMIT DELETE ROWS")
        except BaseException:
            connection.close()
            raise
        self._connection, self._pass_over = connection, PASS_OVER
        return connection

    def _store(self, connection: Connection, rows: bytes) -> None:
        """One transaction; rows that are there already change nothing."""
        if not self._pass_over:
            try:
                self._copy(connection, f"{self._schema}.sample", rows)
                return
            except psycopg.errors.UniqueViolation:
                self._pass_over = PASS_OVER
        with connection.transaction():
            self._copy(connection, _INCOMING, rows)
            sql = f"INSERT INTO {self._schema}.sample SELECT * FROM {_INCOMING} ON CONFLICT ({tables.KEY}) DO NOTHING"
            connection.execute(sql)
        self._pass_over -= 1

    def _copy(self, connection: Connection, table: str, rows: bytes) -> None:
        with (
            connection.transaction(),
            connection.cursor() as cursor,
            cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy,
        ):
            copy.write(rows)

    def _looked_at(self, connection: Connection) -> tuple[str, str] | None:
        """Make the tables; why this server cannot be used, and what to do, where it cannot."""
        if connection.info.server_version < OLDEST:
            return "the server is older than PostgreSQL 12", "upgrade it"
        encoding = one_value(connection, "SHOW server_encoding")
        if encoding != "UTF8":
            return f"the database is in {encoding}, which cannot hold every text", "make one with ENCODING 'UTF8'"
        off = [name for name in ("fsync", "full_page_writes") if one_value(connection, f"SHOW {name}") != "on"]
        self._notices = tuple(
            f"{name} is off at the server: a power cut there loses what it acknowledged" for name in off
        )
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (tables.LOCK,))
            if one_value(connection, "SELECT to_regclass(%s)::text", f"{self._schema}.layout") is None:
                extension = one_value(connection, "SELECT oid FROM pg_extension WHERE extname = 'timescaledb'")
                for statement in tables.making(self._schema, timescale=extension is not None):
                    connection.execute(statement)
            version = one_value(connection, f"SELECT version FROM {self._schema}.layout")
            if version == 1:
                for statement in tables.taking_over(self._schema):
                    connection.execute(statement)
                version = tables.VERSION
        if version != tables.VERSION:
            return f"the tables are of layout {version}, this build knows {tables.VERSION}", "use a build that knows it"
        kind = one_value(connection, "SELECT relkind FROM pg_class WHERE oid = %s::regclass", f"{self._schema}.sample")
        self._partitioned = kind in ("p", b"p")
        return None

    def _make_months(self, connection: Connection, shipment: Shipment) -> None:
        """The partitions of the shipment's months, and of the month after each."""
        if not self._partitioned:
            return
        for month in sorted(tables.months_of(shipment.columns.time_ns) - self._months):
            for one in (month, tables.month_after(month)):
                with connection.transaction():
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (tables.LOCK,))
                    there = one_value(connection, "SELECT to_regclass(%s)::text", f"{self._schema}.sample_{one}")
                    if there is None and tables.belongs(one):
                        for statement in tables.making_month(self._schema, one):
                            connection.execute(statement)
            self._months.add(month)

    def _failed(self, error: psycopg.Error) -> ServerAnswer:
        state, words = error.sqlstate, cleaned(error, self._secret)
        if self._connection is not None and self._connection.closed:
            self.close()
        if state is None:
            by_hand = _BY_HAND.search(words) and not _AT_START.search(words)
            if by_hand:
                return ServerAnswer(Ruling.HOLD, words, BY_HAND)
            return ServerAnswer(Ruling.AGAIN, words, "start the server, or name the right one in url")
        self._known.clear()  # they may be gone with what was rolled back
        self._months.clear()
        if state == "57014":
            return ServerAnswer(Ruling.SLOW, words, "look why the server is slow")
        ruling, step = _CLASSES.get(state[:2], (Ruling.AGAIN, "look into the server's log"))
        return ServerAnswer(ruling, words, step, refusal=state)
