"""What Grafana does with a dashboard's query before a store has it, done here; and the stores, asked as it asks them.

    Grafana's own                       becomes
    ${asset:sqlstring} / ${asset:regex} 'a','b' / (a|b), special characters escaped; `All` is every value, or `.*`
    $bucket, $__range, $__rate_interval 10s, 120s, 60s
    $timeFilter, $__timeFilter(c)       the dashboard's range
    $__timeGroupAlias(c, '10s', NULL)   floor(..)*10 AS "time"; NULL has Grafana fill what is missing

Whatever a store answers becomes rows: a column's name and its value, times in seconds since 1970. Source: Grafana's
documentation of variables, and of its PostgreSQL, InfluxDB and Prometheus data sources.
"""

from __future__ import annotations

import json
import random
import re
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from grafana_plant import BUCKET_S, LENGTH_S, START_S, blocks
from line_servers import Influx, LineServer, Quest, Victoria, until

from bench.sinks.postgres_server import ABSENT, PASSWORD, PostgresServer, running
from receiver.outputs.influx.output import InfluxOutput
from receiver.outputs.influx.settings import InfluxTable
from receiver.outputs.postgresql.output import PostgresqlOutput
from receiver.outputs.postgresql.settings import PostgresqlTable

GRAFANA = Path(__file__).parent.parent.parent / "deploy" / "grafana"
Row = dict[str, Any]
Chosen = Mapping[str, Sequence[str]]
"""A variable's values."""
END_S = START_S + LENGTH_S
RATE_S = 60
"""Grafana makes it four times the period between two fetches, at least [s]."""


class Store(ABC):
    """One store, filled by the output that feeds it."""

    stem: str
    """Of its queries' file."""
    delay_s = 0
    """How much later than its beginning a bucket is dated [s]."""

    @abstractmethod
    def rows(self, target: Mapping[str, Any], chosen: Chosen) -> list[Row]:
        """The answer to a panel's target."""

    @abstractmethod
    def values(self, query: Any, chosen: Chosen) -> list[str]:
        """The answer to a variable's query."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def rows_of(self, panel: Mapping[str, Any], chosen: Chosen) -> list[Row]:
        """The rows of a table."""
        (target,) = panel["targets"]
        return self.rows(target, chosen)


def put(text: str, chosen: Chosen) -> str:
    """Variables put in; none of Grafana's words may be left."""
    for name, values in chosen.items():
        listed = ",".join("'" + one.replace("'", "''") + "'" for one in values)
        either = "|".join(re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", one) for one in values)
        text = text.replace(f"${{{name}:sqlstring}}", listed)
        text = text.replace(f"${{{name}:regex}}", either if len(values) == 1 else f"({either})")
    text = text.replace("$bucket", f"{BUCKET_S}s").replace("$__range", f"{LENGTH_S}s")
    text = text.replace("$__rate_interval", f"{RATE_S}s")
    text = text.replace("$timeFilter", f"time >= {START_S}000ms and time <= {END_S}000ms")
    first, last = (datetime.fromtimestamp(one, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for one in (START_S, END_S))
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN '{first}' AND '{last}'", text)
    grouped = r'floor(extract(epoch from \1)/\2)*\2 AS "time"'
    text = re.sub(r"\$__timeGroupAlias\((\w+), '(\d+)s', NULL\)", grouped, text)
    assert not re.search(r"\$[\w{]", text), text
    return text


class LineStore(Store):
    """One that the influx output feeds."""

    def __init__(self, server: LineServer) -> None:
        self.server = server
        server.start()
        self.fill()

    def fill(self) -> None:
        """Hand the plant's blocks to an output, and have it send them."""
        asked = {"kind": "influx", "name": "grafana", "url": self.server.url, "bucket": "plant", "scope": "all"}
        store = self.server.folder.with_suffix(".db")
        one = InfluxOutput(store, InfluxTable.model_validate(asked), chance=random.Random(1))
        until(lambda: one.step(0.0) and one.status()["server"] != "unknown")
        one.take(blocks(), b"1")
        until(lambda: one.step(0.0) is not None and not one.status()["pending_lines"])
        assert not one.status()["aside"]
        one.close()

    def close(self) -> None:
        self.server.stop()

    def got(self, path: str, **query: str) -> Any:
        """A page of JSON."""
        told = self.server.get(path, **query)
        assert told is not None, query
        return json.loads(told)


class InfluxStore(LineStore):
    """InfluxQL at `/query`."""

    stem = "influxdb"

    def __init__(self, folder: Path) -> None:
        super().__init__(Influx(folder))

    def rows(self, target: Mapping[str, Any], chosen: Chosen) -> list[Row]:
        out = []
        for one in self._series(target["query"], chosen):
            for values in one["values"]:
                row = {**one.get("tags", {}), **dict(zip(one["columns"], values, strict=True))}
                row["time"] = row["time"] / 1e9
                legend = target["alias"]
                for tag, text in one.get("tags", {}).items():
                    legend = legend.replace(f"$tag_{tag}", text)
                out.append({**row, "legend": legend.strip()})
        return out

    def values(self, query: Any, chosen: Chosen) -> list[str]:
        return [values[1] for one in self._series(query, chosen) for values in one["values"]]

    def _series(self, query: str, chosen: Chosen) -> Any:
        (told,) = self.got("/query", db="plant", epoch="ns", q=put(query, chosen))["results"]
        assert "error" not in told, told
        return told.get("series", ())


class VictoriaStore(LineStore):
    """MetricsQL; what several instant queries say of the same labels is one row, as Grafana's `merge` makes it."""

    stem = "victoria-metrics"
    delay_s = BUCKET_S

    def __init__(self, folder: Path) -> None:
        super().__init__(Victoria(folder))
        self.server.get("/internal/force_flush")  # what was taken can be queried

    def rows(self, target: Mapping[str, Any], chosen: Chosen) -> list[Row]:
        times = {"start": str(START_S), "end": str(END_S), "step": put(target.get("interval", "1s"), chosen)}
        path = "/api/v1/query" if target.get("instant") else "/api/v1/query_range"
        given = {"time": str(END_S)} if target.get("instant") else times
        out = []
        for one in self.got(path, query=put(target["expr"], chosen), nocache="1", **given)["data"]["result"]:
            legend = target["legendFormat"]
            for label in re.findall(r"{{(\w+)}}", legend):
                legend = legend.replace(f"{{{{{label}}}}}", one["metric"].get(label, "")).strip()
            for when, value in one.get("values") or [one["value"]]:
                out.append({**one["metric"], "time": float(when), "value": float(value), "legend": legend})
        return out

    def rows_of(self, panel: Mapping[str, Any], chosen: Chosen) -> list[Row]:
        found: dict[tuple[tuple[str, str], ...], Row] = {}
        for target in panel["targets"]:
            for row in self.rows(target, chosen):
                labels = {name: text for name, text in row.items() if name not in ("time", "value", "legend")}
                value = row["value"] / 1000 if target["refId"] == "time" else row["value"]
                found.setdefault(tuple(sorted(labels.items())), dict(labels))[target["refId"]] = value
        return list(found.values())

    def values(self, query: Any, chosen: Chosen) -> list[str]:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", put(query["query"], chosen))
        assert asked, query
        times = {"start": str(START_S), "end": str(END_S)}
        told = self.got(f"/api/v1/label/{asked[2]}/values", **{"match[]": asked[1]}, **times)
        return [str(one) for one in told["data"]]


class SqlStore(Store):
    """One that is asked by Grafana's PostgreSQL data source."""

    connection: psycopg.Connection[tuple[Any, ...]]

    def rows(self, target: Mapping[str, Any], chosen: Chosen) -> list[Row]:
        done = self.connection.execute(put(target["rawSql"], chosen), prepare=False)
        names = [one.name for one in done.description or ()]
        out = []
        for values in done:
            row = dict(zip(names, values, strict=True))
            if isinstance(at := row.get("time"), datetime):
                row["time"] = at.replace(tzinfo=at.tzinfo or UTC).timestamp()
            out.append({**row, "legend": str(row.get("metric", target["refId"])).strip()})
        return out

    def values(self, query: Any, chosen: Chosen) -> list[str]:
        return [str(one) for (one,) in self.connection.execute(put(query, chosen), prepare=False)]


class PostgresStore(SqlStore):
    """Debian's PostgreSQL, read by the role that README.md has made."""

    stem = "postgresql"

    def __init__(self, folder: Path) -> None:
        self._running = running()
        self._server: PostgresServer = self._running.__enter__()
        folder.mkdir()
        (folder / "password").write_text(PASSWORD)
        section = {"kind": "postgresql", "name": "pg", "scope": "all", "url": self._server.url, "user": "writer"}
        table = PostgresqlTable.model_validate({**section, "password_file": str(folder / "password")})
        one = PostgresqlOutput.build(table, folder, wait=time.sleep)
        one.take(blocks(), b"1")
        until(lambda: one.step(one._now + 0.1) is not None and not one.status()["behind_blocks"])
        assert not one.status()["aside"]
        one.close()
        (made,) = re.findall(r"```sql\n(.+?)```", (GRAFANA / "README.md").read_text(), re.DOTALL)
        for statement in made.split(";"):
            if statement.strip():
                self._server.sql(statement)
        told: dict[str, Any] = {"host": str(self._server.folder), "port": self._server.port, "dbname": "plant"}
        self.connection = psycopg.connect(**told, user="grafana", autocommit=True)

    def close(self) -> None:
        self.connection.close()
        self._server.stop(signal.SIGINT)
        self._running.__exit__(None, None, None)


class QuestServer(Quest):
    """With its PostgreSQL port, for a user who only reads."""

    def environment(self) -> Mapping[str, str]:
        own = {"QDB_PG_NET_BIND_TO": f"127.0.0.1:{self.second_port}", "QDB_PG_READONLY_USER_ENABLED": "true"}
        return {**super().environment(), **own, "QDB_PG_ENABLED": "true"}


class QuestStore(LineStore, SqlStore):
    """QuestDB, over that port."""

    stem = "questdb"

    def __init__(self, folder: Path) -> None:
        server = QuestServer(folder)
        super().__init__(server)
        until(server.applied)
        told: dict[str, Any] = {"host": "127.0.0.1", "port": server.second_port, "dbname": "qdb"}
        self.connection = psycopg.connect(**told, user="user", password="quest", autocommit=True)

    def close(self) -> None:
        self.connection.close()
        super().close()


STORES = {one.stem: one for one in (InfluxStore, VictoriaStore, PostgresStore, QuestStore)}
MISSING = {
    "influxdb": Influx.missing(),
    "victoria-metrics": Victoria.missing(),
    "postgresql": ABSENT,
    "questdb": Quest.missing(),
}
"""Why a store cannot be run here; empty where it can."""
