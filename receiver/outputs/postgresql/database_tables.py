"""The tables of one schema: made where they are missing, a month of samples a partition (statements; no connection).

    stream        a start of the sender's packer; `boot` orders them
    tag           site, asset, tag: what a sample belongs to for ever
    description   unit, type, conversion, whether simulated, vendors of a tag: one row for each there was, by `version`
    sample        one row a sample; primary key: tag_id, time, stream_id, number, rank
    reading       a view: samples with the names, for people and dashboards

A sample is the same one if stream, block number, asset and rank are the same (`shipping/shipment.py`); tag and time
stand before them in the key because people ask for those, and because a partition needs its time there. Two samples of
a tag at one time are two rows. `description_id` is no part of it: a tag that is described anew before a block is sent
again changes nothing of what is there.

`sample` is partitioned by months of UTC, from `FIRST` to before `LAST`, each made when a sample of it comes; what a
clock that is wrong dates before or after lies in two partitions of their own, so that times can never make more than
these. A partition is made beside the table and attached, which readers need not stop for. Where the extension
timescaledb is there, `sample` is made a hypertable of its own chunks instead.

No foreign keys on `sample`: each would be looked up for every row, and no row of the other tables is ever deleted here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from protocol.content.array import Array
from receiver.outputs.postgresql.copy_rows import COLUMNS

VERSION = 2
"""Of the layout; a later one than a build knows is refused, never guessed. 1 knew no conversion."""
FIRST, LAST = np.datetime64("2020-01", "M"), np.datetime64("2060-01", "M")
LOCK = 0x43_48_4B_56
"""Advisory lock under which tables are made ("CHKV"): two outputs may write one schema."""

KEY = "tag_id, time, stream_id, number, rank"
"""Columns of the primary key of `sample`."""


def making(schema: str, *, timescale: bool) -> Iterator[str]:
    """Statements that make all tables, in one transaction."""
    columns = ", ".join(f"{name} {sql}" for name, sql in COLUMNS.items())
    yield f"CREATE SCHEMA IF NOT EXISTS {schema}"
    yield f"CREATE TABLE {schema}.layout (version integer NOT NULL)"
    yield f"INSERT INTO {schema}.layout VALUES ({VERSION})"
    yield (
        f"CREATE TABLE {schema}.stream (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        "key bytea NOT NULL UNIQUE, boot bigint NOT NULL, site text NOT NULL)"
    )
    yield (
        f"CREATE TABLE {schema}.tag (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        "site text NOT NULL, asset text NOT NULL, tag text NOT NULL, UNIQUE (site, asset, tag))"
    )
    yield (
        f"CREATE TABLE {schema}.description (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        f"tag_id integer NOT NULL REFERENCES {schema}.tag, version integer NOT NULL, unit text NOT NULL, "
        "type text NOT NULL, simulated boolean NOT NULL, vendors text[] NOT NULL, digest bytea NOT NULL, "
        "since timestamptz NOT NULL DEFAULT now(), conversion text NOT NULL DEFAULT '', UNIQUE (tag_id, digest))"
    )
    partitioned = "" if timescale else " PARTITION BY RANGE (time)"
    yield f"CREATE TABLE {schema}.sample ({columns}, PRIMARY KEY ({KEY})){partitioned}"
    if timescale:
        yield f"SELECT create_hypertable('{schema}.sample', 'time', chunk_time_interval => interval '7 days')"
    else:
        yield from attaching(schema, "before", "MINVALUE", f"'{FIRST}-01 00:00+00'")
        yield from attaching(schema, "after", f"'{LAST}-01 00:00+00'", "MAXVALUE")
    yield (
        f"CREATE VIEW {schema}.reading AS SELECT tag.site, tag.asset, tag.tag, description.unit, sample.time, "
        "sample.nanosecond, sample.value, sample.exact, sample.truth, sample.text, sample.quality, sample.native, "
        "sample.healed, description.simulated, stream.boot, sample.number, sample.rank "
        f"FROM {schema}.sample JOIN {schema}.tag ON tag.id = sample.tag_id "
        f"JOIN {schema}.description ON description.id = sample.description_id "
        f"JOIN {schema}.stream ON stream.id = sample.stream_id"
    )


def taking_over(schema: str) -> Iterator[str]:
    """Statements that make layout 1 this one, in one transaction; readers of it go on."""
    yield f"ALTER TABLE {schema}.description ADD COLUMN IF NOT EXISTS conversion text NOT NULL DEFAULT ''"
    yield f"UPDATE {schema}.layout SET version = {VERSION}"


def months_of(time_ns: Array) -> set[str]:
    """The months of these times that have a partition of their own: `2026_11`."""
    months = np.unique(time_ns.astype("datetime64[ns]").astype("datetime64[M]"))
    return {str(one).replace("-", "_") for one in months if FIRST <= one < LAST}


def month_after(month: str) -> str:
    """`2026_12` after `2026_11`."""
    return str(np.datetime64(month.replace("_", "-"), "M") + 1).replace("-", "_")


def making_month(schema: str, month: str) -> Iterator[str]:
    """Statements that make the partition of a month, in one transaction."""
    first, last = (f"'{one.replace('_', '-')}-01 00:00+00'" for one in (month, month_after(month)))
    yield from attaching(schema, month, first, last)


def attaching(schema: str, name: str, first: str, last: str) -> Iterator[str]:
    """Make a partition beside the table, then attach it."""
    yield f"CREATE TABLE {schema}.sample_{name} (LIKE {schema}.sample INCLUDING ALL)"
    yield f"ALTER TABLE {schema}.sample ATTACH PARTITION {schema}.sample_{name} FOR VALUES FROM ({first}) TO ({last})"


def belongs(month: str) -> bool:
    """Whether a month has a partition of its own."""
    return bool(FIRST <= np.datetime64(month.replace("_", "-"), "M") < LAST)
