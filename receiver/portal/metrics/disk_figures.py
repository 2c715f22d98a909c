"""What the low side's folders take, and what room their disks have. Reads sizes, never content."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from protocol.store.layout import segment_numbers, segment_path
from receiver.portal.metrics import metric_list as names
from receiver.portal.metrics.open_metrics import HealthFigure


def disk_figures(state: Path, history: Path) -> Iterator[HealthFigure]:
    """All of them; a folder that cannot be looked at has none.

    Args:
        state: The receiver's folder, with the journal in it.
        history: The folder of the history.
    """
    journal = state / "journal"
    try:
        numbers = segment_numbers(journal)
        yield HealthFigure(names.JOURNAL, sum(_size(segment_path(journal, one)) for one in numbers), {})
        yield HealthFigure(names.SEGMENTS, len(numbers), {})
        yield HealthFigure(names.HISTORY, sum(_size(one) for one in history.glob("*.db*")), {})
    except OSError:
        pass
    for folder, path in (("state", state), ("history", history)):
        try:
            told = shutil.disk_usage(path)
        except OSError:
            continue
        yield HealthFigure(names.DISK_FREE, told.free, {"folder": folder})
        yield HealthFigure(names.DISK_SIZE, told.total, {"folder": folder})


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # retention took it meanwhile
