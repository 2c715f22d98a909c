"""The values of the metrics, from what the processes say of themselves (pure).

Of names only those of processes, outputs and streams are labels: nothing that a device or a sender chose.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from receiver.portal.metrics import metric_list as names
from receiver.portal.metrics.open_metrics import HealthFigure, Metric
from receiver.portal.reports import LowReports, Report
from receiver.status.catch import BlockFigures, CatchStatus, LinkStatus
from receiver.status.publish import OutputStatus, PublishStatus

STREAMS = 64
"""Most streams with values of their own."""
REASONS = 64
"""Most reasons of one counter."""
SYNCED = {0: 0.0, 1: 1.0}
"""Of a sender's clock; nothing where it does not know."""


def figures(low: LowReports) -> Iterator[HealthFigure]:
    """All of them."""
    yield from _process(low.catch, low.catch.status)
    yield from _process(low.publish, low.publish.status)
    for output in low.outputs:
        yield from _process(output, output.status)
    for name, child in low.publish.status.children.items():
        yield _value(names.RESTARTS, child.restarts, process=name)
    if low.catch.written_ns is not None:
        yield from _link(low.catch, low.catch.status.link)
        yield from _blocks(low.catch.status.blocks)
        yield from _streams(low.catch.status)
        yield from _sender(low.catch)
    for output in low.outputs:
        if output.written_ns is not None:
            yield from _output(output)


def _process(report: Report[Any], said: CatchStatus | PublishStatus | OutputStatus) -> Iterator[HealthFigure]:
    yield _value(names.PROCESS_UP, report.running, process=report.process)
    if report.age_s is not None:
        yield _value(names.REPORT_AGE, max(report.age_s, 0.0), process=report.process)
        yield _value(names.ALARMS, len(said.alarms), process=report.process)
        yield _value(names.WARNINGS, len(said.warnings), process=report.process)


def _link(catch: Report[CatchStatus], link: LinkStatus) -> Iterator[HealthFigure]:
    if link.beat_age_s is not None:
        yield _value(names.BEAT_AGE, link.beat_age_s + max(catch.age_s or 0.0, 0.0))
    if link.confirmed is not None:
        yield _value(names.CONFIRMED, link.confirmed)
    yield _value(names.SENT, link.frames_sent)
    yield _value(names.RECEIVED, link.frames_received)
    yield _value(names.LOST, link.frames_lost)
    yield _value(names.LOSS, link.loss)
    yield _value(names.KERNEL_DROPS, link.kernel_drops)
    yield _value(names.OVERFLOW, link.queue_overflow)
    for reason, count in list(link.refused.items())[:REASONS]:
        yield _value(names.REFUSED, count, reason=reason)


def _blocks(blocks: BlockFigures) -> Iterator[HealthFigure]:
    yield _value(names.EXPECTED, blocks.expected)
    yield _value(names.WHOLE, blocks.whole)
    yield _value(names.REPAIRED, blocks.repaired)
    yield _value(names.HEALED, blocks.healed)
    yield _value(names.MISSING, blocks.missing)
    yield _value(names.EXPIRED, blocks.expired)
    yield _value(names.DAMAGED, blocks.damaged)


def _streams(catch: CatchStatus) -> Iterator[HealthFigure]:
    for one in catch.streams[:STREAMS]:
        yield _value(names.STREAM_MISSING, one.missing, stream=one.stream.hex())


def _sender(catch: Report[CatchStatus]) -> Iterator[HealthFigure]:
    sender, link, spool = catch.status.sender, catch.status.link, catch.status.sender.spool
    heard_s = None
    if catch.written_ns is not None and link.beat_age_s is not None:
        heard_s = catch.written_ns / 1e9 - link.beat_age_s  # when the beat came, by our clock
    if heard_s is not None and link.beat_wall_ns is not None:
        yield _value(names.CLOCK, round(link.beat_wall_ns / 1e9 - heard_s, 3))
    if sender.synced in SYNCED:
        yield _value(names.SYNCED, SYNCED[sender.synced])
    if sender.backlog_s is not None:
        yield _value(names.BACKLOG, sender.backlog_s)
    if isinstance(full := spool.get("full"), bool):
        yield _value(names.SPOOL_FULL, full)
    told = {
        "bytes": names.SPOOL,
        "most_bytes": names.SPOOL_LIMIT,
        "waiting_bytes": names.SPOOL_WAITING,
        "free_bytes": names.SENDER_FREE,
        "loses_s": names.LOSES,
    }
    for key, metric in told.items():
        if (value := _figure(spool.get(key))) is not None:
            yield _value(metric, value)
    if heard_s is not None and (ends_s := _figure(spool.get("certificate_s"))) is not None:
        yield _value(names.CERTIFICATE, round(heard_s + ends_s))


def _output(report: Report[OutputStatus]) -> Iterator[HealthFigure]:
    name, status, counters = report.process, report.status, report.counters
    counts = {
        names.TAKEN: counters.taken,
        names.ACKNOWLEDGED: counters.acknowledged,
        names.HELD: counters.held,
        names.ASIDE: counters.aside,
        names.BEHIND_BLOCKS: status.behind_blocks,
        names.BEHIND: status.behind_s,
        names.WAITING: status.waiting,
        names.ALARM: status.alarm,
        names.TROUBLED: bool(counters.trouble),
        names.SKIPPED: status.skipped_segments,
    }
    for metric, value in counts.items():
        if value is not None:
            yield _value(metric, value, output=name)
    for reason, count in list(status.refused.items())[:REASONS]:
        yield _value(names.UNOPENED, count, output=name, reason=reason)


def _value(metric: Metric, value: float, **labels: str) -> HealthFigure:
    assert tuple(labels) == metric.labels, metric.name
    return HealthFigure(metric, float(value), labels)


def _figure(value: object) -> float | None:
    """A number that the sender says; a sender of another version may say something else."""
    return float(value) if isinstance(value, int | float) and type(value) is not bool else None
