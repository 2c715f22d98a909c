"""The postgresql output keeps every law of the contract, against Debian's server."""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.sinks.postgres_server import PASSWORD, PostgresServer
from protocol.content.sample import Value
from receiver.outputs.postgresql.output import PostgresqlOutput
from receiver.outputs.testing.contract import OutputContract
from receiver.outputs.testing.feed import Fact

SCHEMAS = itertools.count()
HELD = """
SELECT asset, tag, (extract(epoch FROM date_trunc('second', time))::bigint * 1000000
       + extract(microseconds FROM time)::bigint % 1000000) * 1000 + nanosecond, value, exact, truth, text
FROM {schema}.reading
"""


class TestPostgresql(OutputContract):
    """Rows of a schema, counted by query."""

    output = PostgresqlOutput
    wrong = {  # noqa: RUF012 - never changed
        "url": "postgresql://writer:secret@127.0.0.1/plant",
        "schema_name": "Diagnostics!",
        "password_file": 7,
        "ca_file": 7,
        "user": 7,
        "tls": "on",
        "keep": 5,
    }
    server: PostgresServer
    schema: str
    password: Path

    @pytest.fixture(autouse=True)
    def _served(self, postgres: PostgresServer, tmp_path: Path) -> None:
        self.server = postgres
        self.password = tmp_path / "password"
        self.password.write_text(PASSWORD)

    def settings(self) -> Mapping[str, Any]:
        given = {"user": "writer", "password_file": str(self.password), "schema_name": self.schema}
        return {"url": self.server.url, **given}

    @contextmanager
    def destination(self) -> Iterator[None]:
        self.schema = f"contract_{next(SCHEMAS)}"
        yield

    @contextmanager
    def away(self) -> Iterator[None]:
        self.server.stop(signal.SIGINT)
        yield
        self.server.start()

    def held(self, state: Path) -> Counter[Fact]:
        if self.server.sql("SELECT to_regclass(%s)", (f"{self.schema}.reading",)) == [(None,)]:
            return Counter()
        rows = self.server.sql(HELD.format(schema=self.schema))
        return Counter(Fact(asset, tag, int(time_ns), _value(*told)) for asset, tag, time_ns, *told in rows)


def _value(value: float | None, exact: int | None, truth: bool | None, text: str | None) -> Value:
    told: list[Value] = [int(exact) if exact is not None else None, value, truth, text]
    return next((one for one in told if one is not None), None)
