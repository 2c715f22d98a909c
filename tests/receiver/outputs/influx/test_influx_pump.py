"""Laws of the pump: every line is taken or set aside, only wrong ones are set aside, waits grow and end at a minute."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from receiver.outputs.influx.answer import WriteAnswer, ruling, wait_s
from receiver.outputs.influx.line_refusal import each, time_of
from receiver.outputs.influx.pump import GROW_AFTER, LEAST_LINES, Pump, halves
from receiver.outputs.influx.server_kind import UNKNOWN, VICTORIA
from receiver.outputs.influx.server_metrics import read_metrics
from receiver.outputs.shipping.server_answer import HOLD_WAIT_S, MOST_WAIT_S, Ruling

PROBE = b"probe v=1 1\n"


def pump(seed: int = 1) -> Pump:
    """A pump with fixed jitter."""
    return Pump(PROBE, random.Random(seed))


@pytest.mark.parametrize("seed", range(40))
def test_every_line_is_taken_or_set_aside(seed: int) -> None:
    """A server with wrong lines, a size limit and outages: each good line arrives, each wrong one is set aside once."""
    chance = random.Random(seed)
    lines = [b"line %d\n" % at for at in range(chance.randrange(1, 60))]
    wrong = set(chance.sample(lines, chance.randrange(len(lines) + 1)))
    limit = chance.choice([1, 3, 10, 1000])
    taken: set[bytes] = set()
    one = pump(seed)
    one.load((5,), b"".join(lines), 7)
    waited = 0.0
    for _ in range(5000):
        if one.finished:
            break
        sent = one.request().splitlines(keepends=True)
        if chance.random() < 0.2:
            answer = WriteAnswer(chance.choice([0, 408, 429, 500, 503]), "later")
        elif chance.random() < 0.05:
            answer = WriteAnswer(chance.choice([401, 403, 404]), "no")
        elif len(sent) > limit:
            answer = WriteAnswer(413, "too large")
        elif wrong & set(sent):
            answer = WriteAnswer(chance.choice([400, 422]), f"cannot parse {sent[0]!r}")
            taken |= set(sent) - wrong  # a partial write
        else:
            answer = WriteAnswer(204)
            taken |= set(sent)
        waited += one.answered(answer, 7)
    assert one.finished, f"seed {seed}"
    assert taken - {PROBE} == set(lines) - wrong, f"seed {seed}"
    assert sorted(line for aside in one.aside for line in each(aside.cargo.lines)) == sorted(wrong)
    assert all(": cannot parse" in aside.words for aside in one.aside)
    assert one.trouble == ""


@pytest.mark.parametrize("status", [400, 422, 413])
def test_a_server_that_refuses_everything_costs_nothing(status: int) -> None:
    """A proxy that answers so to every request holds the output; no line is set aside, and later all are taken."""
    one = pump()
    lines = [b"line %d\n" % at for at in range(20)]
    one.load((1,), b"".join(lines), 7)
    waits = [one.answered(WriteAnswer(status, "bad gateway page"), 7) for _ in range(30) if one.request()]
    assert one.aside == []
    assert one.state == "held"
    assert "every line" in one.trouble
    assert HOLD_WAIT_S in waits
    taken = []
    while not one.finished:
        taken += [line for line in one.request().splitlines(keepends=True) if line != PROBE]
        assert one.answered(WriteAnswer(204), 7) == 0.0
    assert sorted(taken) == sorted(lines)
    assert one.trouble == ""


def answered(one: Pump, judge: Callable[[bytes], WriteAnswer]) -> set[bytes]:
    """Send until all is answered; what was taken, without the probe."""
    taken: set[bytes] = set()
    for _ in range(5000):
        if one.finished:
            return taken - {PROBE}
        sent = one.request()
        answer = judge(sent)
        if answer.status == 204:
            taken |= set(each(sent))
        one.answered(answer, 7)
    raise AssertionError("it never ends")


def sample(at: int, series: int = 0, field: str = "v=1") -> bytes:
    """A line at a time."""
    return f"sample,tag=t{series} {field},q=192i {at}\n".encode()


@pytest.mark.parametrize("kept_from", [0, 1, 700, 2999, 3000])
def test_lines_older_than_the_server_keeps_go_by_their_time(kept_from: int) -> None:
    """Few requests find the time; all older lines go aside as one class, all others arrive; later ones cost none."""
    lines = [sample(at, at % 7) for at in range(3000)]
    random.Random(2).shuffle(lines)
    one = pump()

    def judge(sent: bytes) -> WriteAnswer:
        if sent != PROBE and any(time_of(line) < kept_from for line in each(sent)):
            return WriteAnswer(400, "partial write: points beyond retention policy dropped=1")
        return WriteAnswer(204)

    one.load((1,), b"".join(lines), 7)
    taken = answered(one, judge)
    aside = {line for part in one.aside for line in each(part.cargo.lines)}
    assert taken == {line for line in lines if time_of(line) >= kept_from}
    assert aside == set(lines) - taken
    assert {part.refusal for part in one.aside} <= {"older than the server keeps"}
    assert one.requests < 30
    before = one.requests
    one.load((2,), b"".join(lines[:100]), 7)
    assert answered(one, judge) == {line for line in lines[:100] if time_of(line) >= kept_from}
    assert one.requests <= before + 1


def test_lines_whose_field_has_another_type_there_go_together() -> None:
    """A type clash costs four requests, however many lines it is; the others are sent first and arrive."""
    numbers = [sample(at, at % 7) for at in range(3000)]
    texts = [sample(at, 8, f'vs="a, vb=\\"{at}"') for at in range(500)]
    switches = [sample(at, 9, "vb=true") for at in range(500)]
    one = pump()

    def judge(sent: bytes) -> WriteAnswer:
        if any(b" vb=" in line.partition(b" vs=")[0] for line in each(sent)):
            words = 'partial write: field type conflict: input field "vb" on measurement "sample" is type boolean'
            return WriteAnswer(400, f"{words}, already exists as type float dropped=500")
        return WriteAnswer(204)

    one.load((1,), b"".join(numbers + texts + switches), 7)
    assert answered(one, judge) == set(numbers + texts)
    (part,) = one.aside
    assert set(each(part.cargo.lines)) == set(switches)
    assert "vb" in part.refusal
    assert one.requests <= 6


def test_thousands_of_refused_lines_cost_few_requests() -> None:
    """Whatever the server says: a tenth of a request a line at most; most of the good lines arrive, no line is lost."""
    lines = [sample(at, at % 100) for at in range(10_000)]
    wrong = {line for line in lines if b"tag=t1" in line or b"tag=t2" in line or b"tag=t3" in line}
    assert len(wrong) > 3000
    one = pump()
    one.load((1,), b"".join(lines), 7)
    taken = answered(one, lambda sent: WriteAnswer(400 if wrong & set(each(sent)) else 204, "unable to parse"))
    aside = {line for part in one.aside for line in each(part.cargo.lines)}
    assert not taken & wrong
    assert wrong <= aside
    assert taken | aside == set(lines)
    assert one.requests < 1000


def test_a_request_that_is_too_slow_is_halved() -> None:
    """A server that takes longer for much gets less at once, down to a floor; nothing is set aside."""
    lines = [sample(at) for at in range(5000)]
    one = pump()
    one.load((1,), b"".join(lines), 7)
    slow = WriteAnswer(0, "read timed out", timed_out=True)
    assert answered(one, lambda sent: slow if sent.count(b"\n") > 300 else WriteAnswer(204)) == set(lines)
    assert one.aside == []
    assert LEAST_LINES <= one.most_lines <= 625
    assert one.trouble == ""


def test_a_kind_of_server_that_likes_more_gets_more_until_it_is_too_much() -> None:
    """What it may be sent at once is the kind's; lowered by a server's no it grows back to that, and not beyond."""
    one = pump()
    one.allow(40_000)
    one.load((1,), b"".join(sample(at) for at in range(30_000)), 7)
    sizes = []

    def judge(sent: bytes) -> WriteAnswer:
        sizes.append(sent.count(b"\n"))
        return WriteAnswer(413 if len(sizes) == 1 else 204)

    answered(one, judge)
    assert (sizes[0], sum(sizes[1:]), len(sizes)) == (30_000, 30_000, 3)
    one.allow(40_000)
    assert one.most_lines == sizes[1] < 16_000
    for group in range(200):
        one.load((group,), b"line\n", 7)
        one.request()
        one.answered(WriteAnswer(204), 7)
    assert one.most_lines == 40_000


def test_waits_double_to_a_minute_with_jitter() -> None:
    """0.5 s doubling to 60 s, each between half and all of it; Retry-After counts where it is told."""
    chance = random.Random(3)
    waits = [wait_s(WriteAnswer(503), failures, chance) for failures in range(1, 30)]
    for failures, wait in enumerate(waits, 1):
        most = min(0.5 * 2 ** (failures - 1), MOST_WAIT_S)
        assert most / 2 <= wait <= most
    assert len({round(wait, 6) for wait in waits[10:]}) > 10
    assert wait_s(WriteAnswer(429, "", 7.0), 1, chance) == 7.0
    assert wait_s(WriteAnswer(503, "", -1.0), 1, chance) == 0.0
    assert wait_s(WriteAnswer(429, "", 1e9), 1, chance) == 600.0


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (200, Ruling.HOLD), (202, Ruling.HOLD),
        (204, Ruling.TAKEN), (0, Ruling.AGAIN), (408, Ruling.AGAIN), (429, Ruling.AGAIN),
        (500, Ruling.AGAIN), (503, Ruling.AGAIN), (599, Ruling.AGAIN), (401, Ruling.HOLD), (403, Ruling.HOLD),
        (404, Ruling.HOLD), (301, Ruling.HOLD), (418, Ruling.HOLD), (413, Ruling.LARGE), (400, Ruling.REFUSED),
        (422, Ruling.REFUSED),
    ],
)  # fmt: skip
def test_each_answer_has_its_meaning(status: int, what: Ruling) -> None:
    """The table of `answer.py`, row by row."""
    assert ruling(WriteAnswer(status)) is what


def test_a_size_limit_is_remembered_and_tried_again() -> None:
    """After a 413 later groups are cut before they are sent; after a while larger ones are tried again."""
    one = pump()
    one.load((1,), b"".join(b"line %03d\n" % at for at in range(100)), 7)
    while not one.finished:
        one.answered(WriteAnswer(413 if one.request().count(b"\n") > 30 else 204), 7)
    assert one.most_lines == 25
    one.load((2,), b"".join(b"line %03d\n" % at for at in range(100)), 7)
    assert one.request().count(b"\n") == 25
    for group in range(3, 3 + GROW_AFTER):
        one.load((group,), b"line\n", 7)
        one.request()
        one.answered(WriteAnswer(204), 7)
    assert one.most_lines > 25


@pytest.mark.parametrize(
    "lines", [b"a\n", b"a\nbb\n", b"a\n" + b"x" * 100 + b"\n", b"x" * 100 + b"\na\n", b"a\nb\nc\n"]
)
def test_halves_are_whole_lines(lines: bytes) -> None:
    """Nothing is lost, and two lines or more are always divided."""
    first, second = halves(lines)
    assert first + second == lines
    assert first.endswith(b"\n")
    assert bool(second) == (lines.count(b"\n") > 1)


def test_metrics_are_read_from_the_text_format() -> None:
    """Start time, rows taken and rows thrown away, of VictoriaMetrics and of others."""
    page = """# TYPE x counter
process_start_time_seconds 1763884800
vm_rows_ignored_total{reason="big_timestamp"} 3
vm_rows_ignored_total{reason="small_timestamp"} 1
vm_rows_inserted_total{type="influx"} 1.5e+06
vm_rows_inserted_total{type="native"} 8
vm_rows_invalid_total{type="influx"} 5
vm_rows_invalid_total{type="graphite"} 70
"""
    metrics = read_metrics(page)
    assert (metrics.started, metrics.kind) == (1763884800.0, VICTORIA)
    assert (metrics.inserted, metrics.refused) == (1_500_000, 9)
    other = read_metrics("process_start_time_seconds 1.76388480012e+09\n")
    assert (other.started, other.kind, other.inserted, other.refused) == (1763884800.12, UNKNOWN, 0, 0)
    assert read_metrics("").started is None
