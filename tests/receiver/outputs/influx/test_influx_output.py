"""Laws of the outside historian: none lost, none before its time, no secret said; tried against a false server."""

from __future__ import annotations

import json
import random
import socket
import sqlite3
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from history_blocks import SECOND, T0, batch, block, some_blocks, stream
from influx_peer import GONE, FakeInflux, Told, serving

from protocol.content.sample import Row
from protocol.errors import ConfigError, HeldError, StoreError
from protocol.settings.findings import Findings, read_table
from receiver.outputs.aside import AsideWish, ask
from receiver.outputs.base import OpenedBlock
from receiver.outputs.influx import line_store
from receiver.outputs.influx import output as module
from receiver.outputs.influx.answer import WriteAnswer
from receiver.outputs.influx.dialect import for_server
from receiver.outputs.influx.lines import LineWriter
from receiver.outputs.influx.output import CHECK_S, InfluxOutput
from receiver.outputs.influx.quest_tables import TABLES
from receiver.outputs.influx.server_kind import HOLD_S, INFLUXDB, QUESTDB, VICTORIA, ServerKind, named
from receiver.outputs.influx.settings import InfluxTable
from receiver.outputs.shipping import stored_output

SECRET = "s3cret-token-value"


def output(folder: Path, fake: FakeInflux, kind: str = "influxdb", **given: Any) -> InfluxOutput:
    """An output to this server, whose clock stands still and that may not wait; its token stands beside the folder."""
    if not token_file(folder).exists():
        token_file(folder).write_text(SECRET)
    told = {"name": "plant-influx", "url": fake.url, "org": "plant org", "bucket": "bucket", "server": kind}
    asked = table(**told, token_file=str(token_file(folder)), scope={"vendor": "Acme"})
    times: dict[str, Any] = {"clock": lambda: T0, "wait": never, "chance": random.Random(1)}
    return InfluxOutput(folder / "plant-influx.db", asked, **times, **given)


def token_file(folder: Path) -> Path:
    """Where an output to this folder has its token from."""
    return folder.with_suffix(".token")


class QuestTables:
    """What QuestDB 9.1 answers to statements about its tables, as it was seen."""

    def __init__(self, keys: Mapping[str, frozenset[str]] | None = None, half_made: Iterable[str] = ()) -> None:
        self.keys, self.half_made = dict(keys or {}), set(half_made)

    def answer(self, statement: str) -> Told:
        """One of the statements that the product has; another is an error of the test."""
        for one in TABLES:
            if statement == one.which_keys:
                if one.name not in self.keys:
                    return Told(400, f'{{"error":"table does not exist [table={one.name}"}}')
                return Told(200, json.dumps({"dataset": [[key] for key in sorted(self.keys[one.name])]}))
            if statement == one.made:
                self.keys.setdefault(one.name, one.keys)
                return Told(200, '{"ddl":"OK"}')
            broken = Told(400, '{"query":"..","error":"Invalid metadata at fd=7"}')
            if statement in one.keyed:
                if one.name in self.half_made:
                    return broken
                if statement != one.keyed[-1]:
                    return Told(400, '{"query":"..","error":"duplicate column [name=asset]"}')
                self.keys[one.name] = one.keys
                return Told(200, '{"ddl":"OK"}')
            if statement == one.proof:
                return broken if one.name in self.half_made else Told(200, '{"dataset":[]}')
        raise AssertionError(statement)


def table(**given: Any) -> InfluxTable:
    """An `[[output]]` as the file has it."""
    told = {"kind": "influx", "name": "x", "url": "http://127.0.0.1:9", "bucket": "b", "scope": "all"}
    return InfluxTable.model_validate(told | given)


def never(seconds: float) -> None:
    """The wait of a test in which nothing may wait."""
    raise AssertionError(f"waited {seconds} s")


def blocks(count: int = 10, seed: int = 1) -> list[OpenedBlock]:
    """Blocks of random samples, each at a time of its own in its series (the server would join them otherwise)."""
    out = []
    for one in some_blocks(random.Random(seed), stream(), count, 20):
        rows = [row._replace(time_ns=T0 + one.number * SECOND + at) for at, row in enumerate(one.body.columns.rows())]  # type: ignore[union-attr]
        out.append(block(stream(), one.number, batch(rows)))
    return out


def wanted(given: list[OpenedBlock], kind: ServerKind = INFLUXDB) -> dict[tuple[str, int], str]:
    """What a server must hold of these blocks."""
    writer, whole = LineWriter(), FakeInflux()
    writer.resolution_ns = kind.resolution_ns
    whole.take(for_server(b"".join(writer.lines(one) for one in given), kind))
    return whole.stored


def samples(fake: FakeInflux) -> dict[tuple[str, int], str]:
    """What the server holds, without the harmless line of our own."""
    return {key: fields for key, fields in fake.stored.items() if not key[0].startswith("checkvalve,")}


def pumped(one: InfluxOutput, now: float, until: Callable[[], bool]) -> float:
    """Step in virtual time until something holds; returns the time then."""
    for _ in range(2000):
        if until():
            return now
        now += max(one.step(now), 0.001)
    raise AssertionError(f"never: {one.status()}")


def stepped(one: InfluxOutput, now: float) -> float:
    """One step, and as many more at the same moment as it takes until the server has answered."""
    for _ in range(500):
        wait = one.step(now)
        if not one._thread.busy:
            return wait
    raise AssertionError("the server does not answer")


def aside_lines(one: InfluxOutput) -> list[tuple[str, bytes]]:
    """What was set aside: the server's words, and each line."""
    rows = one._store._connection.execute("SELECT words, body FROM aside").fetchall()
    unpacked = [(words, zstandard.ZstdDecompressor().decompress(body)) for words, body in rows]
    return [(words, line) for words, lines in unpacked for line in lines.splitlines(keepends=True)]


def drained(one: InfluxOutput) -> bool:
    """Everything was acknowledged."""
    return not one.status()["pending_lines"]


def test_samples_arrive_as_bytes_with_the_right_address(tmp_path: Path) -> None:
    """Bucket, organisation, nanoseconds and token as the v2 API asks; the place is stored with the lines."""
    with serving(FakeInflux()) as fake:
        one = output(tmp_path, fake)
        assert one.place() is None
        given = blocks()
        one.take(given, b"place")
        assert one.place() == b"place"
        assert fake.requests == [], "taking sends nothing"
        pumped(one, 0.0, lambda: drained(one))
        assert samples(fake) == wanted(given)
        assert fake.queries == {(("bucket", "bucket"), ("org", "plant org"), ("precision", "ns"))}
        assert fake.tokens == {f"Token {SECRET}"}
        assert one.status()["state"] == "idle"
        one.close()
        one.close()


def test_a_dead_server_loses_nothing_and_is_tried_for_ever(tmp_path: Path) -> None:
    """While nothing listens lines gather, also over a restart of ours; when the server comes all arrive."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    fake, given = FakeInflux(), blocks()
    fake.url = f"http://127.0.0.1:{port}"
    one = output(tmp_path, fake)
    now = 0.0
    for at, each in enumerate(given):
        one.take([each], b"%d" % at)
        now = pumped(one, now, lambda: one.status()["state"] == "retrying")
    steps = [stepped(one, now := now + 61) for _ in range(12)]
    assert 30 <= max(steps) <= 60
    assert one.status()["retries"] > 10
    assert not drained(one)
    one.close()
    one = output(tmp_path, fake)
    assert one.place() == b"9"
    with serving(fake, port):
        pumped(one, 0.0, lambda: drained(one))
        assert samples(fake) == wanted(given)
        assert one.status()["trouble"] == ""
        one.close()


@pytest.mark.parametrize("status", [429, 503, 500, 408])
def test_not_now_is_tried_again_after_the_wait_that_is_told(status: int, tmp_path: Path) -> None:
    """The same lines come again, not before Retry-After has passed, and none is lost."""
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks()
        one.take(given, b"x")
        fake.judge = lambda lines: Told(status, "busy", {"Retry-After": "7"})
        assert stepped(one, 100.0) == pytest.approx(7.0)
        assert one.status()["state"] == "retrying"
        assert str(status) in one.status()["trouble"]
        asked = len(fake.requests)
        assert stepped(one, 106.9) == pytest.approx(0.1)
        assert len(fake.requests) == asked
        fake.judge = lambda lines: None
        stepped(one, 107.0)
        assert samples(fake) == wanted(given)
        one.close()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_token_holds_and_raises_an_alarm(status: int, tmp_path: Path) -> None:
    """Nothing is lost or set aside; it is tried once a minute, and once it is mended everything arrives."""
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks()
        one.take(given, b"x")
        fake.judge = lambda lines: Told(status, json.dumps({"message": f"unauthorized {SECRET} access"}))
        assert stepped(one, 0.0) == 60.0
        status_told = one.status()
        assert (status_told["state"], status_told["alarm"]) == ("held", True)
        assert f"{status}: unauthorized *** access" == status_told["trouble"]
        for minute in range(1, 5):
            stepped(one, 60.0 * minute)
        assert len(fake.requests) == 5
        fake.judge = lambda lines: None
        pumped(one, 300.0, lambda: drained(one))
        assert samples(fake) == wanted(given)
        assert one.status()["alarm"] is False
        one.close()


@pytest.mark.parametrize("partial", [True, False])
def test_a_wrong_line_is_set_aside_with_the_servers_words(partial: bool, tmp_path: Path) -> None:
    """A 400 costs the line that causes it and no other, whether the server stores the others of a request or none."""
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks()
        want = wanted(given)
        chance = random.Random(4)
        wrong = {
            f"{series} {fields} {at}\n".encode() for (series, at), fields in chance.sample(sorted(want.items()), 5)
        }

        def judge(lines: bytes) -> Told | None:
            if not wrong & set(lines.splitlines(keepends=True)):
                return None
            takes = (lambda line: line not in wrong) if partial else None
            return Told(400, json.dumps({"message": "partial write: type conflict dropped=0"}), takes=takes)

        fake.judge = judge
        one.take(given, b"x")
        pumped(one, 0.0, lambda: drained(one))
        assert {f"{series} {fields} {at}\n".encode() for (series, at), fields in samples(fake).items()} == {
            f"{series} {fields} {at}\n".encode() for (series, at), fields in want.items()
        } - wrong
        status = one.status()
        assert (status["set_aside_lines"], status["alarm"]) == (5, True)
        held = aside_lines(one)
        assert {line for _, line in held} == wrong
        assert {words for words, _ in held} == {"400: partial write: type conflict dropped=0"}
        one.close()


def test_a_request_that_is_too_large_is_halved(tmp_path: Path) -> None:
    """A 413 is answered with smaller requests; nothing is set aside."""
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks()
        fake.judge = lambda lines: Told(413) if len(lines) > 900 else None
        one.take(given, b"x")
        pumped(one, 0.0, lambda: drained(one))
        assert samples(fake) == wanted(given)
        assert one.status()["set_aside_lines"] == 0
        one.close()


def test_lines_are_kept_a_minute_past_the_answer_and_sent_again_after_a_restart(tmp_path: Path) -> None:
    """A server killed after it had acknowledged gets everything of the last minute again, and older no more."""
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks(20)
        one.take(given[:10], b"1")
        now = pumped(one, 0.0, lambda: drained(one))
        assert one.status()["held_lines"] > 0
        now = pumped(one, now, lambda: one.status()["held_lines"] == 0)
        assert now >= HOLD_S
        old = set(samples(fake))
        one.take(given[10:], b"2")
        now = pumped(one, now, lambda: drained(one))
        asked = len(fake.requests)
        fake.restart(lambda series, at: (series, at) not in old)
        assert len(samples(fake)) == len(old)
        now = pumped(one, now, lambda: one.status()["rewinds"] == 1 and drained(one))
        assert samples(fake) == wanted(given)
        assert one.status()["resent_lines"] == len(wanted(given)) - len(old)
        assert len(fake.requests) <= asked + 2
        pumped(one, now, lambda: one.status()["held_lines"] == 0)
        assert one.status()["rewinds"] == 1
        one.close()


def test_a_restart_while_ours_was_down_is_noticed(tmp_path: Path) -> None:
    """What was acknowledged and held when this process ended is sent again if the server is another process now."""
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks()
        one.take(given, b"1")
        pumped(one, 0.0, lambda: drained(one))
        one.close()
        fake.restart(lambda series, at: True)
        one = output(tmp_path, fake)
        assert one.status()["held_lines"] == len(wanted(given))
        pumped(one, 5000.0, lambda: one.status()["rewinds"] == 1 and drained(one))
        assert samples(fake) == wanted(given)
        one.close()
        one = output(tmp_path, fake)
        now = pumped(one, 9000.0, lambda: one.status()["held_lines"] == 0)
        assert now >= 9000.0 + HOLD_S, "the minute begins anew with this process"
        assert one.status()["rewinds"] == 0
        one.close()


def test_a_server_that_tells_no_start_is_believed_after_a_minute(tmp_path: Path) -> None:
    """Without `process_start_time_seconds` lines are released by time, and the status says so."""
    with serving(FakeInflux()) as fake:
        fake.metrics = Told(404)
        one = output(tmp_path, fake)
        one.take(blocks(), b"1")
        now = pumped(one, 0.0, lambda: drained(one))
        assert stepped(one, now + HOLD_S / 2) <= CHECK_S
        assert one.status()["held_lines"] > 0
        pumped(one, now, lambda: one.status()["held_lines"] == 0)
        assert one.status()["restart_seen_by"] == "nothing"
        one.close()


def test_lines_that_cannot_be_checked_are_not_released_at_once(tmp_path: Path) -> None:
    """While `/metrics` fails lines stay held, well past the minute, but not for ever."""
    with serving(FakeInflux()) as fake:
        one = output(tmp_path, fake)
        one.take(blocks(), b"1")
        now = pumped(one, 0.0, lambda: drained(one))
        fake.metrics = Told(503)
        for later in range(1, 50):
            stepped(one, now + later * CHECK_S)
        assert one.status()["held_lines"] > 0
        pumped(one, now + 50 * CHECK_S, lambda: one.status()["held_lines"] == 0)
        one.close()


def test_victoria_metrics_gets_no_texts_and_its_dropped_rows_raise_an_alarm(tmp_path: Path) -> None:
    """It would store a text as 0, and it answers 204 for rows it throws away; its own counters tell."""
    page = 'process_start_time_seconds 5\nvm_rows_inserted_total{{type="influx"}} 9\nvm_rows_ignored_total {}\n'
    with serving(FakeInflux()) as fake:
        fake.metrics = Told(200, page.format(4))
        one, given = output(tmp_path, fake, kind="auto"), blocks()
        one.take(given, b"1")
        now = pumped(one, 0.0, lambda: drained(one))
        assert samples(fake) == wanted(given, VICTORIA)
        assert any("vs=" in fields for fields in wanted(given).values())
        assert not any("vs=" in fields for fields in samples(fake).values())
        assert one.status()["alarm"] is False
        fake.metrics = Told(200, page.format(6))
        stepped(one, now + CHECK_S)
        assert (one.status()["server_refused_rows"], one.status()["alarm"]) == (2, True)
        one.close()


@pytest.mark.parametrize("seed", range(6))
def test_no_sample_is_lost_to_any_mixture_of_faults(seed: int, tmp_path: Path) -> None:
    """Refusals, outages, restarts of the server with loss and of ours at any moment: in the end all are there."""
    chance = random.Random(seed)
    given = blocks(30, seed)
    with serving(FakeInflux()) as fake:
        faults = [Told(503), Told(429, "", {"Retry-After": "1"}), Told(401), Told(400), Told(500)]
        fake.judge = lambda lines: chance.choice(faults) if chance.random() < 0.3 else None
        one, now, at = output(tmp_path, fake), 0.0, 0
        while at < len(given):
            one.take(given[at : at + 2], b"%d" % (at + 2))
            at = int(one.place() or b"0")
            for _ in range(chance.randrange(4)):
                now += chance.choice([0.01, 1.0, 30.0])
                stepped(one, now)
            if chance.random() < 0.2:
                recent = set(random.Random(seed).sample(sorted(fake.stored), len(fake.stored) // 2))
                young = {key for key in recent if _held(one)}
                fake.restart(lambda series, at, young=young: (series, at) in young)  # type: ignore[misc]
            if chance.random() < 0.2:
                one.close()
                one = output(tmp_path, fake)
        fake.judge = lambda lines: None
        now = pumped(one, now + 120, lambda: drained(one))
        pumped(one, now, lambda: one.status()["held_lines"] == 0)
        aside = {line for _, line in aside_lines(one)}
        missing = {
            f"{series} {fields} {when}\n".encode()
            for (series, when), fields in wanted(given).items()
            if (series, when) not in fake.stored
        }
        assert missing <= aside, f"seed {seed}"
        one.close()


def _held(one: InfluxOutput) -> bool:
    """Nothing was released yet, so that the server may lose anything."""
    return int(one.status()["held_lines"] + one.status()["pending_lines"]) == int(one.status()["lines"])


def test_a_full_store_holds_the_journal_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the bound it wants no more; once lines were sent it does."""
    monkeypatch.setattr(stored_output, "PENDING_BYTES", 2000)
    with serving(FakeInflux()) as fake:
        fake.judge = lambda lines: Told(503)
        one, given = output(tmp_path, fake), blocks(40)
        at = 0
        while one.wants():
            one.take([given[at]], b"x")
            at += 1
        assert 1 < at < 40
        assert stepped(one, 0.0) > 0
        assert not one.wants()
        fake.judge = lambda lines: None
        pumped(one, 100.0, lambda: drained(one))
        assert one.wants()
        one.close()


def test_no_secret_is_ever_said(tmp_path: Path) -> None:
    """The token stands neither in the status nor in the store, whatever the server answers."""
    with serving(FakeInflux()) as fake:
        fake.judge = lambda lines: Told(400, f"bad token {SECRET}")
        one = output(tmp_path, fake)
        one.take(blocks(), b"x")
        for at in range(5):
            stepped(one, 61.0 * at)
        said = json.dumps(dict(one.status()))
        one.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert SECRET not in said
    assert SECRET.encode() not in stored
    assert SECRET not in repr(one)


def followed(one: InfluxOutput, given: list[OpenedBlock]) -> None:
    """Hand over as its process does: on from the output's place, and anew from there whenever it says so."""
    at = int(one.place() or b"0")
    for _ in range(4 * len(given)):
        if one.begun_again():
            at = int(one.place() or b"0")
        if at == len(given):
            return
        one.take([given[at]], b"%d" % (at + 1))
        at += 1


def _damaged(sql: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute(sql)
        connection.close()

    return damage


STORE_FAULTS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:9000]),
    "first page of zeros": lambda path: path.write_bytes(bytes(8192) + path.read_bytes()[8192:]),
    "zeros": lambda path: path.write_bytes(path.read_bytes()[:8192] + bytes(path.stat().st_size - 8192)),
    "garbage": lambda path: path.write_bytes(random.Random(1).randbytes(40_000)),
    "gone": lambda path: path.unlink(),
    "place flipped": _damaged("UPDATE meta SET value = x'3939' WHERE key = 'place'"),
    "sent flipped": _damaged("UPDATE shipment SET held = 1 WHERE id = 3"),
    "rows gone": _damaged("DELETE FROM shipment WHERE id = 3"),
    "lines damaged": _damaged("UPDATE shipment SET body = CAST(substr(body, 1, 40) AS BLOB)"),
}


@pytest.mark.parametrize("fault", STORE_FAULTS)
def test_a_damaged_store_is_begun_anew_and_everything_journaled_arrives(fault: str, tmp_path: Path) -> None:
    """Whatever became of the store: it goes on, says so, and the server holds every sample of the journal."""
    given = blocks(30)
    with serving(FakeInflux()) as fake:
        fake.judge = lambda lines: Told(503)
        one = output(tmp_path, fake)
        followed(one, given)
        pumped(one, 0.0, lambda: one.status()["retries"] > 0)
        one.close()
        STORE_FAULTS[fault](tmp_path / "plant-influx.db")
        fake.judge = lambda lines: None
        one = output(tmp_path, fake)
        now = 1000.0
        for _ in range(3):
            followed(one, given)
            now = pumped(one, now, lambda: drained(one))
        assert samples(fake) == wanted(given)
        if fault not in ("empty", "gone"):
            assert any("sent again" in line for line in one.status()["warnings"])
        one.close()
        assert (tmp_path / "plant-influx.db").stat().st_mode & 0o7777 == 0o640


def test_one_process_has_the_store_open(tmp_path: Path) -> None:
    """A second one is refused; a store of another version is not guessed at."""
    fake = FakeInflux()
    fake.url = "http://127.0.0.1:9"
    one = output(tmp_path, fake)
    with pytest.raises(HeldError):
        output(tmp_path, fake)
    one.take([], b"p")
    one._store._connection.execute("UPDATE meta SET value = 7 WHERE key = 'version'")
    one.close()
    with pytest.raises(StoreError, match="7"):
        output(tmp_path, fake)


@pytest.mark.parametrize("name", ["missing", "empty", "lines"])
def test_a_token_that_is_none_is_named_with_a_next_step(name: str, tmp_path: Path) -> None:
    """What is not there or cannot be read is a ConfigError that names the output, and never the token."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "lines").write_text(f"{SECRET}\n{SECRET}\n")
    with pytest.raises(ConfigError) as refused:
        InfluxOutput.build(table(token_file=str(tmp_path / name)), tmp_path, wait=never)
    assert '"x"' in str(refused.value)
    assert refused.value.hint
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8086",
        "ftp://x",
        "http://",
        f"http://u:{SECRET}@x:0",
        f"http://u:{SECRET}@x:8086",
        f"http://{SECRET}@x",
        "http://x:y",
        5,
        "http://x y:8086",
        f"http://x:8086/?p={SECRET}",
        f"http://x:8086#{SECRET}",
        "http://x:8086/api/v2/write",
        "http://x:8086/write/",
    ],
)
def test_an_address_that_is_none_is_told_without_its_secrets(url: object) -> None:
    """The check of the file says what is written instead, and repeats no password."""
    found = Findings()
    given = {"kind": "influx", "name": "x", "url": url, "bucket": "b", "scope": "all"}
    read_table(InfluxTable, given, "output[0]", found)
    assert list(found.mistakes) == ["output[0].url"]
    assert "; " in found.mistakes["output[0].url"]
    assert SECRET not in found.mistakes["output[0].url"]


def test_a_section_makes_an_output_with_its_own_store(tmp_path: Path) -> None:
    """`build` reads the token, names the store after the output and says its scope."""
    (tmp_path / "token").write_text(f"{SECRET}\n")
    with serving(FakeInflux()) as fake:
        asked = table(url=fake.url, token_file=str(tmp_path / "token"), scope={"vendor": "Acme"})
        one = InfluxOutput.build(asked, tmp_path, wait=never)
        one.take([block(stream(), 0, batch([Row(0, T0, 1.0)]))], b"p")
        pumped(one, 0.0, lambda: drained(one))
        assert one.status()["scope"] == "vendor Acme"
        assert fake.tokens == {f"Token {SECRET}"}
        assert (tmp_path / "x.db").exists()
        one.close()


def test_a_store_of_version_1_is_taken_over_whole(tmp_path: Path) -> None:
    """A file that the build before wrote: what waited arrives, what was held is kept, what was refused is listed."""
    told = (Path(__file__).parent / "line_store_version_1.sql").read_text()
    with sqlite3.connect(tmp_path / "plant-influx.db") as before:
        before.executescript(told)
        before.execute("INSERT INTO aside VALUES (1, 5, 422, 'no', ?)", (b"sample,tag=old v=1 5\n",))
    before.close()
    given = blocks(24)
    want, first = wanted(given), wanted(given[:12])
    refused = {key for key, fields in first.items() if fields.startswith("vs=")}
    with serving(FakeInflux()) as fake:
        one = output(tmp_path, fake)
        status = one.status()
        assert (one.place(), one.begun_again(), status["warnings"]) == (b"24", False, [])
        assert (status["taken"], status["pending_lines"], status["held"]) == (188, 101, 87)
        assert (status["aside"], status["behind_blocks"], status["behind_s"]) == (len(refused) + 1, 12, 0.0)
        now = pumped(one, 0.0, lambda: drained(one))
        assert samples(fake) == {key: fields for key, fields in want.items() if key not in first}
        assert one.status()["rewinds"] == 0, "it is the same process of the server"
        groups = InfluxOutput.set_aside(table(name="plant-influx"), tmp_path)
        assert [group.number for group in groups] == list(range(1, len(refused) + 2))
        assert {group.message for group in groups} == {"400: unable to parse", "422: no"}
        assert groups[-1].example == "sample,tag=old v=1 5"
        one.close()
        fake.restart(lambda series, at: True)
        one = output(tmp_path, fake)
        now = pumped(one, now, lambda: one.status()["rewinds"] == 1 and drained(one))
        assert samples(fake) == want, "what had been acknowledged was held"
        ask(tmp_path, "plant-influx", AsideWish.RESEND, len(groups))
        pumped(one, now, lambda: not one.status()["aside"] and drained(one))
        assert samples(fake) == want | {("sample,tag=old", 5): "v=1"}
        one.close()


@pytest.mark.parametrize("damage", ["UPDATE meta SET value = 1024 WHERE key = 'sent'", "DROP TABLE refused"])
def test_a_damaged_store_of_version_1_is_not_believed(damage: str, tmp_path: Path) -> None:
    """It is set aside like any other, and everything journaled arrives."""
    with sqlite3.connect(tmp_path / "plant-influx.db") as before:
        before.executescript((Path(__file__).parent / "line_store_version_1.sql").read_text())
        before.execute(damage)
    before.close()
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks(24)
        assert one.begun_again()
        followed(one, given)
        pumped(one, 0.0, lambda: drained(one))
        assert samples(fake) == wanted(given)
        one.close()


# --- the kinds of server ----------------------------------------------------------------------------------------------


def test_a_server_without_the_new_api_is_written_to_the_old_way_and_told(tmp_path: Path) -> None:
    """InfluxDB before 1.8 answers 404 to /api/v2/write: lines go to /write, with the bucket as database; it is said."""
    with serving(FakeInflux()) as fake:
        fake.paths, fake.ping = ("/write",), {"X-Influxdb-Version": "1.6.7"}
        one, given = output(tmp_path, fake, kind="auto"), blocks()
        one.take(given, b"x")
        pumped(one, 0.0, lambda: drained(one))
        assert len(samples(fake)) == len(wanted(given))
        assert fake.queries == {(("db", "bucket"), ("precision", "ns"))}
        assert one.status()["server"] == "influxdb"
        assert any("no /api/v2/write" in line for line in one.status()["warnings"])
        one.close()


@pytest.mark.parametrize("status", [200, 202, 206])
def test_a_page_that_says_yes_to_everything_takes_nothing(status: int, tmp_path: Path) -> None:
    """Only a 204 counts as taken: a proxy's page holds the output, in words, and later all arrive."""
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks()
        fake.judge = lambda lines: Told(status, "<html>Welcome</html>", {"Content-Type": "text/html"})
        one.take(given, b"x")
        stepped(one, 0.0)
        told = one.status()
        assert (told["state"], told["alarm"], told["acknowledged"]) == ("held", True, 0)
        assert "no answer of a write API (text/html)" in told["trouble"]
        assert "url" in told["next_step"]
        fake.judge = lambda lines: None
        pumped(one, 61.0, lambda: drained(one))
        assert samples(fake) == wanted(given)
        one.close()


@pytest.mark.parametrize("kind", ["telegraf", "victoria-metrics", "questdb"])
def test_any_failed_connection_has_what_was_in_memory_sent_again(kind: str, tmp_path: Path) -> None:
    """A server that does not say when it began may be another one after it was gone, or one whose power was cut."""
    with serving(FakeInflux()) as fake:
        fake.paths, fake.tables = ("/api/v2/write", "/write"), QuestTables().answer
        fake.metrics, fake.ping, given = Told(404), {"X-Influxdb-Version": "1.0"}, blocks(20)
        one = output(tmp_path, fake, kind=kind)
        one.take(given[:10], b"1")
        now = pumped(one, 0.0, lambda: drained(one))
        fake.stored.clear()
        fake.judge = lambda lines: Told(GONE)
        one.take(given[10:], b"2")
        now = pumped(one, now, lambda: one.status()["retries"] > 0)
        fake.judge = lambda lines: None
        now = pumped(one, now, lambda: one.status()["rewinds"] == 1 and drained(one))
        assert samples(fake) == wanted(given, named(kind))
        assert one.status()["acknowledged_means"] == ("in its log" if kind == "questdb" else "in memory")
        pumped(one, now, lambda: one.status()["held_lines"] == 0)
        one.close()


def test_questdb_has_its_tables_made_first(tmp_path: Path) -> None:
    """With DEDUP keys, or a line that comes twice would be two rows."""
    with serving(FakeInflux()) as fake:
        fake.paths = ("/write",)
        fake.tables = QuestTables().answer
        one, given = output(tmp_path, fake, kind="questdb"), blocks()
        one.take(given, b"x")
        pumped(one, 0.0, lambda: drained(one))
        assert samples(fake) == wanted(given, QUESTDB)
        made = [one for one in fake.statements if one.startswith("CREATE")]
        assert 'DEDUP UPSERT KEYS("timestamp", "asset", "conversion", "seq"' in made[0]
        assert len(made) == len(TABLES)
        one.close()


def test_tables_of_questdb_that_are_right_are_left_alone(tmp_path: Path) -> None:
    """Killed while it sets keys it never sets any again: they are set where they differ, and nowhere else."""
    with serving(FakeInflux()) as fake:
        fake.paths = ("/write",)
        held = QuestTables({one.name: one.keys for one in TABLES} | {"state": frozenset()})
        fake.tables = held.answer
        one = output(tmp_path, fake, kind="questdb")
        one.take(blocks(), b"x")
        pumped(one, 0.0, lambda: drained(one))
        (state,) = (one for one in TABLES if one.name == "state")
        assert [one for one in fake.statements if not one.startswith("SELECT")] == list(state.keyed)
        one.close()


def test_a_table_that_questdb_left_half_made_gets_no_line_and_is_told(tmp_path: Path) -> None:
    """Listed, and made "OK", but its log does not read: held with the next step; once it is gone all arrives."""
    with serving(FakeInflux()) as fake:
        fake.paths, given = ("/write",), blocks()
        held = QuestTables({one.name: one.keys for one in TABLES}, half_made={"event"})
        fake.tables = held.answer
        one = output(tmp_path, fake, kind="questdb")
        one.take(given, b"x")
        assert stepped(one, 0.0) == 60.0
        told = one.status()
        assert (told["state"], told["alarm"], fake.requests) == ("held", True, [])
        assert told["trouble"] == "404: its table event takes no lines: Invalid metadata at fd=7"
        assert 'DROP TABLE "event"' in told["next_step"]
        assert not any(one.startswith(("ALTER", "DROP")) for one in fake.statements)
        held.half_made.clear()
        del held.keys["event"]
        pumped(one, 60.0, lambda: drained(one))
        assert samples(fake) == wanted(given, QUESTDB)
        assert one.status()["trouble"] == ""
        one.close()


def test_a_questdb_that_comes_back_empty_has_its_tables_made_again(tmp_path: Path) -> None:
    """After a failed connection it may be another one, where line protocol would make tables without keys."""
    with serving(FakeInflux()) as fake:
        fake.paths, given = ("/write",), blocks(20)
        fake.tables = QuestTables().answer
        one = output(tmp_path, fake, kind="questdb")
        one.take(given[:10], b"1")
        now = pumped(one, 0.0, lambda: drained(one))
        fake.judge = lambda lines: Told(GONE)
        one.take(given[10:], b"2")
        now = pumped(one, now, lambda: one.status()["retries"] > 0)
        fake.judge, empty = lambda lines: None, QuestTables()
        fake.tables = empty.answer
        pumped(one, now, lambda: drained(one))
        assert empty.keys == {one.name: one.keys for one in TABLES}
        assert samples(fake) == wanted(given, QUESTDB)
        one.close()


@pytest.mark.parametrize(("kind", "status"), [("influxdb", 401), ("influxdb", 403), ("questdb", 401)])
def test_a_new_token_is_read_when_the_old_one_is_refused(kind: str, status: int, tmp_path: Path) -> None:
    """Written into its file while the output is held, it is used with the next try; nothing is started again."""
    with serving(FakeInflux()) as fake:
        fake.paths = ("/api/v2/write", "/write")
        one, given = output(tmp_path, fake, kind=kind), blocks()
        fake.admits = lambda token: None if token == "Token fresh" else Told(status, f"no {SECRET}")
        one.take(given, b"x")
        assert stepped(one, 0.0) == 60.0
        assert "token_file" in one.status()["next_step"]
        token_file(tmp_path).write_text("fresh")
        stepped(one, 60.0)
        pumped(one, 60.0, lambda: drained(one))
        assert samples(fake) == wanted(given, named(kind))
        one.close()


def test_a_slow_server_keeps_no_status_waiting(tmp_path: Path) -> None:
    """A step comes back while the answer is still to come; the answer counts whenever it comes."""
    asked, let_go = threading.Event(), threading.Event()

    class Slow:
        path, unreachable = "", False

        def write(self, lines: bytes) -> WriteAnswer:
            asked.set()
            let_go.wait(20)
            return WriteAnswer(204)

        def metrics(self) -> None:
            return None

        def close(self) -> None:
            return

    fake = FakeInflux()
    fake.url = "http://127.0.0.1:9"
    one = output(tmp_path, fake, server=Slow())
    one.take(blocks(), b"x")
    while not asked.is_set():
        one.step(0.0)
    for _ in range(3):
        began = time.monotonic()
        one.step(1.0)
        assert time.monotonic() - began < 5 * module.ANSWER_S
        assert one.status()["state"] == "sending"
    let_go.set()
    pumped(one, 2.0, lambda: drained(one))
    one.close()


def test_what_is_set_aside_is_listed_and_sent_again_or_dropped(tmp_path: Path) -> None:
    """A person's wish is taken up by the running process; what is sent again comes after what is new."""
    asked = table(url="http://127.0.0.1:9", name="plant-influx")
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks(10)
        words = 'partial write: field type conflict: input field \\"vs\\" on measurement \\"sample\\" is type string'
        fake.judge = lambda lines: Told(400, f'{{"error": "{words}"}}') if b" vs=" in lines else None
        one.take(given, b"x")
        now = pumped(one, 0.0, lambda: drained(one))
        groups = InfluxOutput.set_aside(asked, tmp_path)
        texts = {key for key, fields in wanted(given).items() if fields.startswith("vs=")}
        assert sum(group.samples for group in groups) == len(texts) == one.status()["aside"]
        assert groups[0].why == "the field vs has another type there"
        assert "vs=" in groups[0].example
        fake.judge = lambda lines: None
        ask(tmp_path, "plant-influx", AsideWish.RESEND, groups[-1].number)
        later = blocks(12)[10:]
        one.take(later, b"y")
        now = pumped(one, now, lambda: drained(one) and not one.status()["aside"])
        assert samples(fake) == wanted(blocks(12))
        assert fake.requests.index(next(r for r in fake.requests if T12 in r)) < len(fake.requests) - 1
        assert (one.status()["alarm"], one.status()["alarms"]) == (False, [])
        one.close()


T12 = b"%d" % (T0 + 10 * SECOND)


def test_what_was_refused_is_set_aside_once_however_often_its_server_is_another(tmp_path: Path) -> None:
    """What is held to be sent again is what was taken: a restart has no refused line refused a second time."""
    with serving(FakeInflux()) as fake:
        one, given = output(tmp_path, fake), blocks(10)
        fake.judge = lambda lines: Told(400, "unable to parse") if b" vs=" in lines else None
        one.take(given, b"x")
        now = pumped(one, 0.0, lambda: drained(one))
        want = {key: fields for key, fields in wanted(given).items() if not fields.startswith("vs=")}
        texts = len(wanted(given)) - len(want)
        for restarts in (1, 2):
            fake.restart(lambda series, at: True)
            now = pumped(one, now, lambda restarts=restarts: one.status()["rewinds"] == restarts and drained(one))  # type: ignore[misc]
            assert samples(fake) == want
            told = one.status()
            assert (told["aside"], told["held"], told["acknowledged"]) == (texts, len(want), len(want))
        one.close()
        again = output(tmp_path, fake)
        assert (again.status()["aside"], again.status()["held"]) == (texts, len(want))
        again.close()


def test_the_room_aside_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no server ever takes goes, oldest first, and is counted; for all else the output is held, nothing lost."""
    monkeypatch.setattr(line_store, "ASIDE_BYTES", 900)
    words = ["points beyond retention policy"]
    with serving(FakeInflux()) as fake:
        fake.judge = lambda lines: Told(400, words[0]) if b"site=" in lines else None
        one = output(tmp_path, fake)
        one.take(blocks(30), b"x")
        now = pumped(one, 0.0, lambda: drained(one))
        told = one.status()
        assert told["aside_dropped"] + told["aside"] == told["taken"]
        assert one._store.aside.bytes <= 900
        assert any("not kept aside" in line for line in told["alarms"])
        words[0] = "unable to parse"
        one._pump.forget()
        one.take(blocks(33)[30:], b"y")
        pumped(one, now, lambda: one.status()["state"] == "held")
        assert "fills the room" in one.status()["trouble"]
        assert one.status()["pending_lines"] > 0
        one.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1", False),
        ("https://plant:1", False),
        ("http://localhost", False),
        ("http://plant:1", True),
    ],
)
def test_samples_that_travel_readable_are_told(url: str, told: bool, tmp_path: Path) -> None:
    """Without TLS to another machine the status says so for as long as it is so, and names the machine alone."""
    one = InfluxOutput.build(table(url=url), tmp_path, wait=never)
    line = "TLS is off: samples travel readable to plant"
    assert one.status()["warnings"] == ([line] if told else [])
    one.close()


def test_a_name_with_its_password_is_sent_as_servers_with_users_read_it(tmp_path: Path) -> None:
    """InfluxDB 1.6 knows no tokens; neither the pair nor the password is said, whatever the server repeats."""
    (tmp_path / "token").write_text("plant:s3cret-pass")
    with serving(FakeInflux()) as fake:
        one = InfluxOutput.build(table(url=fake.url, token_file=str(tmp_path / "token")), tmp_path, wait=never)
        one.take(blocks(), b"x")
        pumped(one, 0.0, lambda: drained(one))
        assert fake.tokens == {f"Basic {b64encode(b'plant:s3cret-pass').decode()}"}
        fake.judge = lambda lines: Told(503, "plant may not with s3cret-pass")
        one.take([replace(block, number=block.number + 900) for block in blocks()], b"y")
        pumped(one, 100.0, lambda: one.status()["trouble"])
        assert "s3cret-pass" not in json.dumps(dict(one.status()))
        one.close()


def test_check_names_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    """Before anything is started, with its key and the next step."""
    asked = table(token_file=str(tmp_path / "missing"))
    ((key, text),) = asked.look()
    assert key == "token_file"
    assert "missing" in text
    assert "; write the token into that file" in text
    assert list(table().look()) == []
    found = Findings()
    given = {"kind": "influx", "name": "x", "url": "http://h", "bucket": "b", "scope": "all", "server": "victoria"}
    read_table(InfluxTable, given, "output[0]", found)
    assert "victoria-metrics" in found.mistakes["output[0].server"]
