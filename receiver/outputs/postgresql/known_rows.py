"""The rows of `stream`, `tag` and `description` that a shipment names: found, or made where they are missing.

Remembered for one session; a database that was restored from a backup begins a new one. Rows are made in transactions
of their own, before the samples': one without samples harms nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import psycopg

from receiver.outputs.postgresql.copy_rows import inert
from receiver.outputs.postgresql.database_tables import LOCK
from receiver.outputs.shipping.shipment import Shipment, ShippedSeries

KNOWN = 200_000
"""ShippedSeries whose rows are remembered."""

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class KnownRows:
    """Those of one schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._streams: dict[bytes, int] = {}
        self._series: dict[tuple[str, ShippedSeries], tuple[int, int]] = {}

    def clear(self) -> None:
        """Forget all: another session, or something was rolled back."""
        self._streams.clear()
        self._series.clear()

    def stream_id(self, connection: Connection, shipment: Shipment) -> int:
        """The row of the shipment's stream."""
        if shipment.stream not in self._streams:
            sql = f"INSERT INTO {self._schema}.stream (key, boot, site) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
            select = f"SELECT id FROM {self._schema}.stream WHERE key = %s"
            found = one_value(connection, select, shipment.stream)
            if found is None:
                connection.execute(sql, (shipment.stream, shipment.boot, inert(shipment.site)))
                found = one_value(connection, select, shipment.stream)
            self._streams[shipment.stream] = int(found)
        return self._streams[shipment.stream]

    def series_ids(self, connection: Connection, shipment: Shipment) -> list[tuple[int, int]]:
        """Rows of tag and description of each series; made where they are missing, and known from then on."""
        new = [one for one in shipment.series if (shipment.site, one) not in self._series]
        if new:
            if len(self._series) + len(new) > KNOWN:
                self._series.clear()
                new = list(shipment.series)
            self._learn(connection, inert(shipment.site), shipment.site, new)
        return [self._series[shipment.site, one] for one in shipment.series]

    def _learn(self, connection: Connection, written: str, site: str, new: Sequence[ShippedSeries]) -> None:
        assets, names = [inert(one.asset) for one in new], [inert(one.tag) for one in new]
        schema = self._schema
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            connection.execute(
                f"INSERT INTO {schema}.tag (site, asset, tag) "
                "SELECT DISTINCT %s, asset, tag FROM unnest(%s::text[], %s::text[]) AS given (asset, tag) "
                f"WHERE NOT EXISTS (SELECT FROM {schema}.tag AS known "
                "WHERE known.site = %s AND known.asset = given.asset AND known.tag = given.tag)",
                (written, assets, names, written),
            )
            found = connection.execute(
                "SELECT known.id FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS given (asset, tag, at) "
                f"JOIN {schema}.tag AS known ON known.site = %s AND known.asset = given.asset "
                "AND known.tag = given.tag ORDER BY given.at",
                (assets, names, written),
            )
            tag_ids = [int(row[0]) for row in found]
            rows = [_described(tag_id, one) for tag_id, one in zip(tag_ids, new, strict=True)]
            with connection.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO {schema}.description "
                    "(tag_id, digest, unit, type, conversion, simulated, vendors, version) SELECT "
                    "%(tag_id)s, %(digest)s, %(unit)s, %(type)s, %(conversion)s, %(simulated)s, %(vendors)s::text[], "
                    f"1 + (SELECT count(*) FROM {schema}.description WHERE tag_id = %(tag_id)s) "
                    f"WHERE NOT EXISTS (SELECT FROM {schema}.description "
                    "WHERE tag_id = %(tag_id)s AND digest = %(digest)s)",
                    rows,
                )
            found = connection.execute(
                "SELECT known.id FROM unnest(%s::integer[], %s::bytea[]) WITH ORDINALITY AS given (tag_id, digest, at) "
                f"JOIN {schema}.description AS known ON known.tag_id = given.tag_id AND known.digest = given.digest "
                "ORDER BY given.at",
                (tag_ids, [row["digest"] for row in rows]),
            )
            described = [int(row[0]) for row in found]
        for one, tag_id, description_id in zip(new, tag_ids, described, strict=True):
            self._series[site, one] = tag_id, description_id


def one_value(connection: Connection, sql: str, *given: Any) -> Any:
    """The first column of the first row; None where there is none."""
    row = connection.execute(sql, given or None).fetchone()
    return None if row is None else row[0]


def _described(tag_id: int, series: ShippedSeries) -> dict[str, Any]:
    vendors = sorted(inert(one) for one in series.vendors)
    unit, kind, conversion = inert(series.unit), inert(series.type), inert(series.conversion)
    told = (unit, kind, series.simulated, vendors, *([conversion] if conversion else []))  # layout 1 knew none
    digest = hashlib.sha256(repr(told).encode()).digest()
    return {
        "tag_id": tag_id,
        "digest": digest[:16],
        "unit": unit,
        "type": kind,
        "conversion": conversion,
        "simulated": series.simulated,
        "vendors": vendors,
    }
