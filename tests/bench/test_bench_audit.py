"""The bench of the auditor's kit: its rows, and that the file it makes is what it says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from audit.capture.capture import run
from audit.capture.pcap import Capture
from audit.capture.read_capture import CaptureQuestion
from audit.check import CheckStatus
from bench import audit as bench


def test_rows_have_their_names_and_values() -> None:
    """A short file and one run; no figure is compared, since start-up is most of it."""
    rows = bench.measure(runs=1, frames=5_000)
    assert [row.row for row in rows] == ["audit.capture", "audit.capture.rss"]
    assert all(row.value is not None and row.value > 0 for row in rows)
    assert (rows[1].value or 1000) < 100


def test_the_file_is_a_capture_of_a_mixed_link(tmp_path: Path) -> None:
    """Of the size that is asked for, the same from the same seed, and with all that makes reading slow."""
    bench.make(tmp_path / "one.pcap", 3_000)
    bench.make(tmp_path / "two.pcap", 3_000)
    assert (tmp_path / "one.pcap").read_bytes() == (tmp_path / "two.pcap").read_bytes()
    with Capture(tmp_path / "one.pcap") as capture:
        assert sum(len(part.at) for part in capture) == 3_000
        assert (capture.rest, capture.walk.damage) == (0, "")
    found = {
        check.id: check for check in run(CaptureQuestion(path=tmp_path / "one.pcap", high=bench.HIGH), now_ns=0).checks
    }
    assert found["CAP-1"].status == CheckStatus.FAIL
    kinds = Counter(one["kind"] for one in found["CAP-3"].evidence[0].value["kinds"])
    assert len(kinds) >= 7
