"""Every metric of `/metrics`, in its order; docs/metrics.md is this list, and the alert rules name what is in it."""

from __future__ import annotations

from receiver.portal.metrics.open_metrics import Metric, MetricType

_GAUGE, _COUNTER = MetricType.GAUGE, MetricType.COUNTER
_P, _O, _S, _D = ("process",), ("output",), ("stream",), ("folder",)

BUILD = Metric("checkvalve_build_info", MetricType.INFO, "Version of the low side", ("version",))

PROCESS_UP = Metric(
    "checkvalve_process_up", _GAUGE, "1 while the process has said something within the last 5 seconds, else 0", _P
)
REPORT_AGE = Metric("checkvalve_process_report_age_seconds", _GAUGE, "Age of the process's last word", _P)
RESTARTS = Metric("checkvalve_process_restarts_total", _COUNTER, "Times that publish started the process anew", _P)
ALARMS = Metric("checkvalve_process_alarms", _GAUGE, "Alarms that the process says now; the page has their words", _P)
WARNINGS = Metric("checkvalve_process_warnings", _GAUGE, "Warnings that the process says now", _P)

BEAT_AGE = Metric("checkvalve_link_beat_age_seconds", _GAUGE, "Since the sender was heard last; it beats every second")
CONFIRMED = Metric(
    "checkvalve_link_confirmed", _GAUGE, "1 where the link session is confirmed, 0 where a person must confirm it"
)
SENT = Metric("checkvalve_link_sent_frames_total", _COUNTER, "Frames that the sender says it sent")
RECEIVED = Metric("checkvalve_link_received_frames_total", _COUNTER, "Frames of the sender that came")
LOST = Metric("checkvalve_link_lost_frames_total", _COUNTER, "Frames that were sent and did not come")
LOSS = Metric("checkvalve_link_loss_ratio", _GAUGE, "Share of frames lost between the last two beats, 0 to 1")
KERNEL_DROPS = Metric(
    "checkvalve_link_kernel_drops_total", _COUNTER, "Buffers that the kernel dropped at the socket, of 1 to 64 frames"
)
OVERFLOW = Metric(
    "checkvalve_link_overflow_blocks_total", _COUNTER, "Blocks given up because the disk did not take them in time"
)
REFUSED = Metric("checkvalve_link_refused_frames_total", _COUNTER, "Frames refused, by reason", ("reason",))

EXPECTED = Metric("checkvalve_expected_blocks_total", _COUNTER, "Blocks that the sender made")
WHOLE = Metric("checkvalve_whole_blocks_total", _COUNTER, "Blocks that came without a loss")
REPAIRED = Metric("checkvalve_repaired_blocks_total", _COUNTER, "Blocks put together in spite of lost frames")
HEALED = Metric("checkvalve_healed_blocks_total", _COUNTER, "Blocks that were missing and came with a repeat")
MISSING = Metric("checkvalve_missing_blocks", _GAUGE, "Blocks that are missing and may still come")
EXPIRED = Metric("checkvalve_expired_blocks_total", _COUNTER, "Blocks that never came and come no more")
DAMAGED = Metric("checkvalve_damaged_blocks", _GAUGE, "Of the missing: journaled once, and unreadable now")
STREAM_MISSING = Metric("checkvalve_stream_missing_blocks", _GAUGE, "Blocks of one stream that are missing", _S)

CLOCK = Metric("checkvalve_sender_clock_offset_seconds", _GAUGE, "The sender's clock less ours, by its last beat")
SYNCED = Metric(
    "checkvalve_sender_clock_synchronized", _GAUGE, "1 where a time server holds the sender's clock, 0 where none does"
)
BACKLOG = Metric("checkvalve_sender_backlog_seconds", _GAUGE, "How far the sender is behind with sending")
SPOOL = Metric("checkvalve_sender_spool_bytes", _GAUGE, "What the sender's spool takes")
SPOOL_LIMIT = Metric("checkvalve_sender_spool_limit_bytes", _GAUGE, "What the sender's spool may take")
SPOOL_WAITING = Metric("checkvalve_sender_spool_waiting_bytes", _GAUGE, "What of the spool has not been sent yet")
SPOOL_FULL = Metric("checkvalve_sender_spool_full", _GAUGE, "1 while the sender's disk is full")
SENDER_FREE = Metric("checkvalve_sender_disk_free_bytes", _GAUGE, "Room on the disk of the sender's spool")
LOSES = Metric(
    "checkvalve_sender_loses_seconds", _GAUGE, "Until the spool drops what it has still to send, at the present rate"
)
CERTIFICATE = Metric(
    "checkvalve_sender_certificate_end_timestamp_seconds",
    _GAUGE,
    "When the first certificate of an encrypted device ends; absent while that is far away",
)

TAKEN = Metric("checkvalve_output_taken_samples_total", _COUNTER, "Samples taken from the journal, durably", _O)
ACKNOWLEDGED = Metric(
    "checkvalve_output_acknowledged_samples_total", _COUNTER, "Samples the destination said yes to", _O
)
HELD = Metric("checkvalve_output_held_samples", _GAUGE, "Acknowledged samples kept to be sent again", _O)
ASIDE = Metric("checkvalve_output_aside_samples", _GAUGE, "Samples that the destination refused, kept aside", _O)
BEHIND_BLOCKS = Metric("checkvalve_output_behind_blocks", _GAUGE, "Blocks journaled and not acknowledged, about", _O)
BEHIND = Metric("checkvalve_output_behind_seconds", _GAUGE, "Age of the oldest of them, about", _O)
WAITING = Metric("checkvalve_output_waiting_blocks", _GAUGE, "Blocks that wait for a key or a description", _O)
ALARM = Metric("checkvalve_output_alarm", _GAUGE, "1 where somebody should look at the output now", _O)
TROUBLED = Metric("checkvalve_output_troubled", _GAUGE, "1 while the output does not get on; the page says why", _O)
UNOPENED = Metric(
    "checkvalve_output_unopened_blocks_total",
    _COUNTER,
    "Journaled blocks that will never open, by reason",
    ("output", "reason"),
)
SKIPPED = Metric(
    "checkvalve_output_skipped_segments_total",
    _COUNTER,
    "Segments that the journal dropped before the output read them",
    _O,
)

JOURNAL = Metric("checkvalve_journal_bytes", _GAUGE, "What the journal takes")
SEGMENTS = Metric("checkvalve_journal_segments", _GAUGE, "Segments of the journal")
HISTORY = Metric("checkvalve_history_bytes", _GAUGE, "What the history takes")
DISK_FREE = Metric("checkvalve_disk_free_bytes", _GAUGE, "Room on the disk of a folder of the low side", _D)
DISK_SIZE = Metric("checkvalve_disk_size_bytes", _GAUGE, "Size of that disk", _D)

LISTENERS = Metric("checkvalve_portal_listeners", _GAUGE, "Pages that are open and follow live")
FAULTS = Metric("checkvalve_portal_faults_total", _COUNTER, "Things that a page could not show; the log has them")

METRICS = tuple(one for one in list(globals().values()) if isinstance(one, Metric))
