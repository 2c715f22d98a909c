"""What the guard refuses is counted, reported and raised."""

from __future__ import annotations

import pytest

from collectors.guard import Guard, WriteRefused


def test_each_refusal_is_counted_reported_and_raised() -> None:
    """Nothing that was refused goes by unseen."""
    lines: list[str] = []
    guard = Guard("pump-7", lines.append)
    for number in range(3):
        with pytest.raises(WriteRefused, match=f"function {number}"):
            guard.refuse(f"modbus function {number}")
    assert guard.count == 3
    assert len(lines) == 3
    assert all(line.startswith("pump-7: modbus function ") for line in lines)
