"""Laws of what a beat foretells: a person of the low side is told in time, with what to do, and not for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from link_sender import WALL_NS, Low, Sender, key_files

from protocol.process.document import from_json
from receiver.status.catch import CatchStatus, LinkWatch
from receiver.status.concerns import concerns, line
from receiver.status.wording import complete

DAY = 86400.0
HEALTHY: dict[str, Any] = {
    "bytes": 10**9,
    "most_bytes": 20 * 10**9,
    "keep_s": 14 * DAY,
    "free_bytes": 200 * 10**9,
    "certificate_s": 80 * DAY,
    "loses_s": 9 * DAY,
}
"""What a sender says that nobody need care for."""


def told(apart_s: float = 0.0, *, age_s: float | None = 0.5, synced: int | None = 2, **spool: Any) -> dict[str, Any]:
    """catch's file after a beat of a healthy sender, but for what is changed."""
    return {
        "link": {"beat_age_s": age_s, "confirmed": True},
        "sender": {"spool": HEALTHY | spool, "backlog_s": 0.0, "synced": synced},
        "watch": {"beat": {"session": 1, "apart_s": apart_s}},
    }


CASES: dict[str, tuple[dict[str, Any], list[tuple[str, str, bool]]]] = {
    "nothing": (told(), []),
    "a quartz without a time server, after five days": (told(43.0, synced=0), []),
    "the same, the other way": (told(-43.0, synced=0), []),
    "two minutes ahead": (told(120.0), [("clock-apart", "2 min ahead", False)]),
    "three days back": (told(-3 * DAY), [("clock-apart", "3 d behind", True)]),
    "a clock of 1970": (told(-1.7e9, synced=0), [("clock-apart", "19675 d 22 h behind", True)]),
    "disk full": (told(full=True, free_bytes=0), [("sender-disk-full", "disk full", True)]),
    "little room, and the spool is still to grow": (
        told(free_bytes=9 * 10**8),
        [("sender-disk-low", "900 MB free", False)],
    ),
    "little room, and the spool needs no more": (told(free_bytes=9 * 10**8, bytes=20 * 10**9), []),
    "as good as no room": (told(free_bytes=10**6, bytes=20 * 10**9), [("sender-disk-low", "1 MB free", True)]),
    "loses tomorrow": (told(loses_s=20 * 3600), [("sender-loses", "in 20 h", False)]),
    "loses in 40 minutes": (told(loses_s=2400), [("sender-loses", "in 40 min", True)]),
    "a certificate ends this month": (told(certificate_s=20 * DAY), [("certificate-ends", "in 20 d", False)]),
    "a certificate ends this week": (told(certificate_s=3 * DAY), [("certificate-ends", "in 3 d", True)]),
    "a certificate has ended": (told(certificate_s=-5), [("certificate-ends", "has ended", True)]),
    "the grave one first": (
        told(100.0, full=True),
        [("sender-disk-full", "disk full", True), ("clock-apart", "1 min 40 s ahead", False)],
    ),
    "a sender of an earlier build": (
        told() | {"sender": {"spool": {"bytes": 5, "most_bytes": 9, "full": False}}},
        [],
    ),
    "a link that is silent": (told(-3 * DAY, age_s=60.0, full=True), []),
    "a link that never spoke": (told(-3 * DAY, age_s=None, full=True), []),
    "figures that are none": (told(loses_s="soon", free_bytes=True, certificate_s=None, most_bytes="x", bytes=[]), []),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_beat_foretells_is_told_in_time_and_nothing_else(name: str) -> None:
    """Name, figure and gravity of each, the gravest first."""
    file, expected = CASES[name]
    catch, watch = from_json(CatchStatus, file), from_json(LinkWatch, file["watch"])
    assert [(one.name, one.value, one.grave) for one in concerns(catch, watch)] == expected


@pytest.mark.parametrize("name", [name for name, (_, expected) in CASES.items() if expected])
def test_every_concern_says_what_to_do_and_is_an_alarm_or_a_warning(name: str) -> None:
    """Each line stands in exactly one of the two lists that `status`, the pages and `doctor` show."""
    whole = complete(CASES[name][0])
    catch = from_json(CatchStatus, whole)
    lines = [line(one) for one in catch.concerns]
    assert len(lines) == len(CASES[name][1])
    assert sorted([*whole["alarms"], *whole["warnings"]]) == sorted(lines)
    assert list(whole["alarms"]) == [line(one) for one in catch.concerns if one.grave]
    assert all(one.cause and one.step and not one.step.endswith(".") for one in catch.concerns)


@pytest.mark.parametrize(
    ("synced", "says"), [(0, "has no time server"), (1, "is held by a time server"), (2, "ours. ")]
)
def test_either_clock_may_be_the_wrong_one(synced: int, says: str) -> None:
    """The line asks to look at both sides, and tells what the sender knows of its own clock."""
    (alarm,) = complete(told(-3 * DAY, synced=synced))["alarms"]
    assert alarm.startswith("the two clocks differ by 3 d: the sender's is behind ours")
    assert "on each side" in alarm
    assert says in alarm


def test_the_difference_is_that_of_the_moment_at_which_the_beat_came(tmp_path: Path) -> None:
    """However old the beat is when it is told, and by our clock as it is set now."""
    pair = key_files(tmp_path)
    sender, low = Sender(pair), Low(pair)
    low.receive(sender.link(), sender.beat(wall_ns=WALL_NS - 400 * 10**9))
    for wait_s, set_s, expected in ((0.0, 0.0, "6 min 40 s"), (3.0, 0.0, "6 min 40 s"), (1.0, -100.0, "5 min")):
        low.wait(wait_s)
        low.wall_ns += int(set_s * 1e9)  # somebody sets our clock
        shown: Mapping[str, Any] = low.status()
        assert shown["concerns"][0]["value"] == f"{expected} behind"
