"""Rules of the whole suite: a skip names its reason, and in CI a skip is a failure.

Files of tests lie in memory where there is room: what a file system makes of a power cut is asked of real ones
(tests/system/disks.py), and everywhere else a sync to the disk is time that tells nothing. What tests of stores leave
open is closed behind each of them. What runs whole processes comes first, since it waits the longest, and a worker that
has nothing left takes from another's rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from protocol.process.doorbell import Doorbell
from protocol.store.reader import Reader
from protocol.store.segment_store import Store
from sender.emit.state_keeper import StateKeeper

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Free memory below which tests write to the disk, as anywhere [bytes]."""
ENDED, REOPENED = (Store, StateKeeper), (Reader, Doorbell)
"""What holds descriptors: a process ends with them, a test that lets one die as `kill -9` does would keep them. The
first are closed once, the others as often as one likes."""

settings.register_profile("checkvalve", deadline=None, print_blob=True)
settings.load_profile("checkvalve")

SLOW = ("system", "namespace")
"""Folders of tests that start processes of both sides and wait for them."""


def pytest_configure(config: pytest.Config) -> None:
    """Where `tmp_path` lies, unless somebody says where."""
    if not config.option.basetemp and _fits(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _fits(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    room = found.f_bavail * found.f_frsize
    return room >= ROOM and not found.f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK | os.X_OK)


@pytest.fixture(autouse=True)
def _no_right_is_given_up() -> Iterator[None]:
    """A test that lets the product shed privileges in this process would take them from all tests behind it."""
    before = _capabilities()
    yield
    assert _capabilities() == before, "this test gave up capabilities of the process that runs the tests"


def _capabilities() -> str:
    try:
        lines = Path("/proc/thread-self/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("CapPrm:")), "")


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    """Descriptors of stores that this test has made are closed at its end."""
    made: dict[int, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        for holder in (*ENDED, *REOPENED):
            patch.setattr(holder, "__init__", _noting(holder.__init__, made))
        for holder in ENDED:
            patch.setattr(holder, "close", _forgetting(holder.close, made))
        yield
    for one in made.values():
        one.close()


def _noting(begin: Callable[..., None], made: dict[int, Any]) -> Callable[..., None]:
    def noted(self: Any, *given: Any, **named: Any) -> None:
        begin(self, *given, **named)
        made[id(self)] = self

    return noted


def _forgetting(close: Callable[[Any], None], made: dict[int, Any]) -> Callable[[Any], None]:
    def forgotten(self: Any) -> None:
        made.pop(id(self), None)
        close(self)

    return forgotten


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first; tests marked `soak` run only where they are asked for by `-m`."""
    items.sort(key=lambda item: item.path.parent.name not in SLOW)
    if "soak" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="long count: make soak")
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """With CI=1 turn a skip into a failure that keeps its reason."""
    report: pytest.TestReport = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report
