"""Laws of rows in a real PostgreSQL: killed under load, described anew, told apart at one time, refused in words."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.sinks.postgres_server import PASSWORD, PostgresServer
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import NO_TIME, Flag, Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.postgresql.output import PostgresqlOutput
from receiver.outputs.postgresql.settings import PostgresqlTable
from receiver.outputs.testing.feed import T0_NS, block, samples

SOAK_KILLS = 50
KILLS = 5


def output(folder: Path, server: PostgresServer, schema: str, **given: Any) -> PostgresqlOutput:
    """An output of the real server, into a schema."""
    (folder / "password").write_text(given.pop("password", PASSWORD))
    section = {"kind": "postgresql", "name": "pg", "scope": "all", "url": server.url, "user": "writer"}
    keys = {"password_file": str(folder / "password"), "schema_name": schema}
    table = PostgresqlTable.model_validate({**section, **keys, **given})
    return PostgresqlOutput.build(table, folder, wait=time.sleep)


def stepped(one: PostgresqlOutput, until: Callable[[], object], most_s: float = 30) -> None:
    """Step until something holds; waits of the output pass at once."""
    now = one._now
    ends = time.monotonic() + most_s
    while not until():
        assert time.monotonic() < ends, one.status()
        now += max(one.step(now), 0.001)


def sent(one: PostgresqlOutput) -> bool:
    """Everything was acknowledged or set aside."""
    return not one.status()["behind_blocks"]


def described(rows: list[Row], number: int = 0, **tags: Any) -> OpenedBlock:
    """A block of rows of one tag, `t`, described as asked."""
    tag = Tag(id=0, asset="a", name="t", **tags)
    of = StreamDescription(key=b"stream-9", boot=7, site="s", assets={"a": Asset(name="a")}, tags={0: tag})
    body = BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0)
    return block(number, body, of=of)


def test_a_sample_has_its_value_whole(postgres: PostgresServer, tmp_path: Path) -> None:
    """Each kind of value, the largest integers, no number, texts with NUL, times to the nanosecond and before 1970."""
    rows = [
        Row(0, T0_NS + 1, 4.5),
        Row(0, T0_NS + 999, float("nan")),
        Row(0, T0_NS + 1000, float("-inf")),
        Row(0, -1, 2**53 + 1),
        Row(0, T0_NS, -(2**63)),
        Row(0, T0_NS, 12, 0x80050000, 2**32 - 1, T0_NS + 5),
        Row(0, T0_NS, True),
        Row(0, T0_NS, "nul \0, tab\t, \\N, ärger \U0001f525"),
        Row(0, T0_NS, None, 0x80050000),
        Row(0, T0_NS, 1.0, flags=Flag.REFRESH),
    ]
    one = output(tmp_path, postgres, "whole")
    one.take([described(rows)], b"1")
    one.take([described([Row(0, T0_NS, 2**64 - 1), Row(0, -(2**63), 5), Row(0, 2**63 - 1, 6)], 1, type="uint64")], b"2")
    stepped(one, lambda: sent(one))
    columns = "number, rank, (extract(epoch FROM time) * 1000000)::numeric(20), nanosecond, value, exact, truth, text"
    told = postgres.sql(f"SELECT {columns}, quality, native, other_ns FROM whole.sample ORDER BY number, rank")
    micro = T0_NS // 1000
    assert told == [
        (0, 0, -1, 999, float(2**53), 2**53 + 1, None, None, 0, 0, None),
        (0, 1, micro, 0, -(2.0**63), -(2**63), None, None, 0, 0, None),
        (0, 2, micro, 0, 12.0, None, None, None, 0x80050000, 2**32 - 1, T0_NS + 5),
        (0, 3, micro, 0, None, None, True, None, 0, 0, None),
        (0, 4, micro, 0, None, None, None, "nul ␀, tab\t, \\N, ärger \U0001f525", 0, 0, None),
        (0, 5, micro, 0, None, None, None, None, 0x80050000, 0, None),
        (0, 6, micro, 1, 4.5, None, None, None, 0, 0, None),
        (0, 7, micro, 999, None, None, None, "NaN", 0, 0, None),
        (0, 8, micro + 1, 0, None, None, None, "-Infinity", 0, 0, None),
        (1, 0, -(2**63) // 1000, -(2**63) % 1000, 5.0, None, None, None, 0, 0, None),
        (1, 1, micro, 0, 2.0**64, 2**64 - 1, None, None, 0, 0, None),
        (1, 2, (2**63 - 1) // 1000, (2**63 - 1) % 1000, 6.0, None, None, None, 0, 0, None),
    ]
    assert NO_TIME < 0
    one.close()


def test_a_unit_that_changes_is_a_description_of_its_own(postgres: PostgresServer, tmp_path: Path) -> None:
    """The tag stays one; samples before and after keep their unit; a block that comes again is not there twice."""
    one = output(tmp_path, postgres, "units")
    first, later = described([Row(0, T0_NS, 4.0)], unit="bar"), described([Row(0, T0_NS, 400.0)], 1, unit="kPa")
    again = described([Row(0, T0_NS, 4.0)], unit="kPa")
    for at, given in enumerate((first, later, again, first)):
        one.take([given], b"%d" % at)
        stepped(one, lambda: sent(one))
    one.close()
    assert postgres.sql("SELECT unit, value FROM units.reading ORDER BY number") == [("bar", 4.0), ("kPa", 400.0)]
    assert postgres.sql("SELECT version, unit FROM units.description ORDER BY 1") == [(1, "bar"), (2, "kPa")]
    assert postgres.sql("SELECT count(*) FROM units.tag") == [(1,)]


def test_a_scale_that_changes_is_a_description_too_and_layout_1_is_taken_over(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Tables that an earlier build made get the column; what it described stays, and is not described again."""
    one = output(tmp_path, postgres, "scales")
    one.take([described([Row(0, T0_NS, 4.0)], unit="bar")], b"1")
    stepped(one, lambda: sent(one))
    one.close()
    postgres.sql("ALTER TABLE scales.description DROP COLUMN conversion")
    postgres.sql("UPDATE scales.layout SET version = 1")
    one = output(tmp_path, postgres, "scales")
    for number, scale in enumerate(("", "int16 x 0.1", "int16 x 0.01"), 1):
        one.take([described([Row(0, T0_NS, 4.0)], number, unit="bar", conversion=scale)], b"2")
    stepped(one, lambda: sent(one))
    one.close()
    told = postgres.sql("SELECT version, unit, conversion FROM scales.description ORDER BY 1")
    assert told == [(1, "bar", ""), (2, "bar", "int16 x 0.1"), (3, "bar", "int16 x 0.01")]
    assert postgres.sql("SELECT version FROM scales.layout") == [(2,)]


def test_months_have_partitions_and_wrong_clocks_make_none(postgres: PostgresServer, tmp_path: Path) -> None:
    """A month is made when a sample of it comes, with the one after; 1970 and 2200 lie in two that are always there."""
    year_ns = 31_556_952 * 10**9
    one = output(tmp_path, postgres, "months")
    one.take([described([Row(0, at, 1.0) for at in (0, T0_NS, 230 * year_ns, 240 * year_ns)])], b"1")
    stepped(one, lambda: sent(one))
    one.close()
    sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'months.sample'::regclass ORDER BY 1"
    names = [name for (name,) in postgres.sql(sql)]
    assert names == [f"months.sample_{one}" for one in ("2025_11", "2025_12", "after", "before")]
    assert postgres.sql("SELECT count(*) FROM months.sample") == [(4,)]


def test_a_password_written_while_the_server_refuses_us_is_used(postgres: PostgresServer, tmp_path: Path) -> None:
    """Held with the wrong one; the right one in its file is read with the next try, and nothing is started again."""
    one = output(tmp_path, postgres, "renewed", password="another")
    one.take([samples(0)], b"1")
    stepped(one, lambda: one.status()["state"] == "held")
    (tmp_path / "password").write_text(PASSWORD)
    stepped(one, lambda: sent(one))
    assert one.status()["trouble"] == ""
    assert postgres.sql("SELECT count(*) > 0 FROM renewed.sample") == [(True,)]
    one.close()


@pytest.mark.parametrize("kills", [KILLS, pytest.param(SOAK_KILLS, marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
def test_a_killed_server_costs_no_sample_and_doubles_none(kills: int, postgres: PostgresServer, tmp_path: Path) -> None:
    """SIGKILL under load, again and again, at a moment drawn by lot: every sample is there once in the end."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    schema = f"killed_{kills}"
    one, given, number = output(tmp_path, postgres, schema), [], 0
    for _ in range(kills):
        killer = threading.Timer(chance.uniform(0.02, 0.2), postgres.stop)
        killer.start()
        while killer.is_alive():
            blocks = [samples(number + at) for at in range(20)]
            one.take(blocks, b"%d" % number)
            given += blocks
            number += 20
            one.step(one._now + 0.01)
        killer.join()
        given.append(samples(number))
        one.take(given[-1:], b"%d" % number)
        number += 1
        stepped(one, lambda: one.status()["trouble"])
        assert one.status()["next_step"]
        postgres.start()
        stepped(one, lambda: sent(one))
    one.close()
    wanted = Counter(
        (one.number, row.tag, row.time_ns // 1000)
        for one in given
        if isinstance(one.body, BatchBody)
        for row in one.body.columns.rows()
    )
    tags = {"pressure": 0, "running": 1, "energy": 2, "mode": 3, "strokes": 4}
    rows = postgres.sql(f"SELECT number, tag, (extract(epoch FROM time) * 1000000)::bigint FROM {schema}.reading")
    held = Counter((number, tags[tag], micro) for number, tag, micro in rows)
    assert held == wanted, f"seed {seed}"


def test_a_frozen_server_holds_nothing_up_and_is_told(postgres: PostgresServer, tmp_path: Path) -> None:
    """A backend that is stopped: steps and takes go on within a blink, the status says so; then all arrives."""
    one = output(tmp_path, postgres, "frozen")
    one.take([samples(0)], b"0")
    stepped(one, lambda: sent(one))
    backend = postgres.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'writer'")[0][0]
    os.kill(backend, signal.SIGSTOP)
    try:
        one.take([samples(1)], b"1")
        began = time.monotonic()
        for second in range(70):
            one.step(one._now + 1)
            one.take([samples(2 + second)], b"%d" % second)
        assert time.monotonic() - began < 20
        status = one.status()
        assert "no answer for" in status["trouble"]
    finally:
        os.kill(backend, signal.SIGCONT)
    stepped(one, lambda: sent(one))
    assert not one.status()["trouble"]
    one.close()


@pytest.mark.parametrize(
    ("given", "word", "step"),
    [
        ({"password": "another"}, "password authentication failed", "password_file"),
        ({"url": "postgresql://127.0.0.1:{port}/nobody_has"}, "does not exist", "url"),
        ({"user": "nobody"}, "password authentication failed", "user"),
        ({"tls": "verified"}, "SSL", "tls"),
    ],
)
def test_what_a_person_must_mend_is_held_and_told(
    given: dict[str, str], word: str, step: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """A wrong password, database, name or protection: held, with the server's words and the next step, no secret."""
    given = {key: value.format(port=postgres.port) for key, value in given.items()}
    one = output(tmp_path, postgres, "held", **given)
    one.take([samples(0)], b"0")
    stepped(one, lambda: one.status()["state"] == "held")
    status = one.status()
    assert word in status["trouble"]
    assert step in status["next_step"]
    assert PASSWORD not in str(status)
    assert not status["alarm"]
    stepped(one, lambda: one.status()["alarm"])
    one.close()


def test_a_right_that_is_missing_is_held_and_resumes(postgres: PostgresServer, tmp_path: Path) -> None:
    """Rights taken away under way hold the output; given back, all arrives."""
    one = output(tmp_path, postgres, "rights")
    one.take([samples(0)], b"0")
    stepped(one, lambda: sent(one))
    postgres.sql("ALTER TABLE rights.sample OWNER TO owner")
    one.take([samples(1)], b"1")
    stepped(one, lambda: one.status()["state"] == "held")
    assert "permission denied" in one.status()["trouble"]
    postgres.sql("ALTER TABLE rights.sample OWNER TO writer")
    stepped(one, lambda: sent(one))
    one.close()


def test_what_the_database_refuses_is_set_aside_by_class(postgres: PostgresServer, tmp_path: Path) -> None:
    """A check of somebody's own: those rows stand aside with its words, all others arrive, and no request a row."""
    one = output(tmp_path, postgres, "refusing")
    one.take([described([Row(0, T0_NS, 1.0)])], b"0")
    stepped(one, lambda: sent(one))
    postgres.sql("ALTER TABLE refusing.sample ADD CONSTRAINT sane CHECK (value < 100)")
    bad = {700, 701, 5000}
    rows = [Row(0, T0_NS + at, 1000.0 if at in bad else 1.0) for at in range(8000)]
    one.take([described(rows, 1)], b"1")
    stepped(one, lambda: sent(one))
    status = one.status()
    assert status["aside"] == len(bad)
    assert status["alarm"]
    assert status["warnings"] == [f"{len(bad)} samples set aside, refused as 23514"]
    assert status["requests"] < 100
    assert postgres.sql("SELECT count(*) FROM refusing.sample") == [(1 + 8000 - len(bad),)]
    many = [Row(0, T0_NS + at, 1000.0 if at % 2 else 1.0) for at in range(6000)]
    one.take([described(many, 2)], b"2")
    stepped(one, lambda: sent(one))
    assert one.status()["requests"] - status["requests"] < 400, "a request for each of thousands"
    held = postgres.sql("SELECT count(*) FROM refusing.sample WHERE number = 2")[0][0]
    assert held + one.status()["aside"] - len(bad) == 6000
    one.close()


def test_a_unique_index_of_somebody_elses_loses_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    """Two samples of a tag at one time, where the database takes one: the other is set aside, never passed over."""
    one = output(tmp_path, postgres, "narrow")
    one.take([described([Row(0, T0_NS, 1.0)])], b"0")
    stepped(one, lambda: sent(one))
    postgres.sql("CREATE UNIQUE INDEX ON narrow.sample (tag_id, time)")
    one.take([described([Row(0, T0_NS, 2.0)], 1)], b"1")
    stepped(one, lambda: sent(one))
    assert one.status()["aside"] == 1
    one.close()


def test_what_weakens_a_server_is_told(postgres: PostgresServer, tmp_path: Path) -> None:
    """A server that does not sync loses what it acknowledged at a power cut: its status says so."""
    postgres.set(full_page_writes="off")
    try:
        one = output(tmp_path, postgres, "weak")
        one.take([samples(0)], b"0")
        stepped(one, lambda: sent(one))
        assert any("full_page_writes is off" in line for line in one.status()["warnings"])
        one.close()
    finally:
        postgres.set(full_page_writes="")


def test_the_same_block_in_another_order_is_the_same(postgres: PostgresServer, tmp_path: Path) -> None:
    """What identifies a sample does not depend on what came with it: whole, within a scope, in parts."""
    whole = samples(3)
    assert isinstance(whole.body, BatchBody)
    columns = whole.body.columns
    seen = columns.select(columns.tag != 4)
    cut = replace(whole, body=BatchBody(columns=seen, first_ns=0, last_ns=0))
    one = output(tmp_path, postgres, "cut")
    for at, given in enumerate((cut, whole, cut)):
        one.take([given], b"%d" % at)
        stepped(one, lambda: sent(one))
    one.close()
    assert postgres.sql("SELECT count(*) FROM cut.sample") == [(len(columns),)]


def test_a_certificate_is_verified_against_the_authority_that_is_named(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """With TLS asked for: held with the authorities of this machine, which do not know it; with its own it arrives."""
    pair = [postgres.folder / "server.crt", postgres.folder / "server.key"]
    words = ["-subj", "/CN=plant", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-nodes"]
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", *words, "-out", str(pair[0]), "-keyout", str(pair[1])]
    subprocess.run(making, check=True, capture_output=True)
    for file in pair:
        file.chmod(0o600)
        shutil.chown(file, postgres.folder.owner(), postgres.folder.group())
    postgres.set(ssl="on", ssl_cert_file=str(pair[0]), ssl_key_file=str(pair[1]))
    try:
        given = {"tls": "verified"}
        one = output(tmp_path, postgres, "sealed", **given)
        one.take([samples(0)], b"1")
        stepped(one, lambda: one.status()["state"] == "held")
        assert "certificate" in one.status()["trouble"]
        one.close()
        one = output(tmp_path, postgres, "sealed", **given, ca_file=str(pair[0]))
        stepped(one, lambda: sent(one))
        one.close()
    finally:
        postgres.set(ssl="", ssl_cert_file="", ssl_key_file="")
